"""Reads JSON bodies field by field, as strictly as the documents allow."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from .answers import Answer, Refused, dli_error
from .bodies import parse_json
from .calls import Call

__all__ = ["bad", "check_fields", "check_path", "flag", "read_json", "text", "word"]

_PATH = re.compile(r"(?:obs|s3a)://([^/]+)/(.+?)/?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f]')


def read_json(call: Call) -> dict[str, Any]:
    """The fields of a body that have a value.

    Raises:
        Refused: it is no JSON object, or does not say that it is JSON.
    """
    if not call.is_json:
        # dli_03_0060 gives the text; status and code are a guess.
        answer = Answer({"error_code": "DLI.0001", "error_msg": "unsupported media Type"}, 415)
        raise Refused(answer)
    try:
        body = parse_json(call.body)
    except ValueError:
        raise bad("the body is not JSON") from None
    if not isinstance(body, dict):
        raise bad("the body must be a JSON object")
    return {name: value for name, value in body.items() if value not in (None, "")}


def check_fields(
    given: Mapping[str, Any], known: Collection[str], required: Collection[str]
) -> None:
    """Refuses a body with an unknown field, or without a required one."""
    for name in required:
        if name not in given:
            raise bad(f"{name} must not be empty")
    for name in given:
        if name not in known:
            raise bad(f"unknown field {name}; known are {', '.join(known)}")


def text(name: str, value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise bad(f"{name} must be a string")
    return value


def word(name: str, value: Any, known: Collection[str]) -> str:
    """One of the documented words, in their spelling.

    The page itself writes errorifexists and ErrorIfExists, so case does not count.
    """
    given = text(name, value)
    found = next((each for each in known if each.lower() == given.lower()), None)
    if found is None:
        raise bad(f"{name} must be one of {', '.join(known)}: {given!r}")
    return found


def flag(name: str, value: Any) -> bool:
    """A boolean; the documents' sample sends the string "true" for one (dli_02_0020)."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise bad(f"{name} must be true or false: {value!r}")
    return value


def check_path(path: str) -> None:
    """Refuses a path that breaks a documented rule."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise bad(f"data_path must name a folder in a bucket, obs://bucket/folder: {path!r}")
    bucket, folders = match[1], match[2].split("/")
    if "," in path:
        raise bad(f"data_path must not contain a comma: {path!r}")
    if re.search(r"\.[0-9][^.]*$", bucket):
        raise bad(f"the bucket's name must not end in a dot and a digit: {bucket!r}")
    for name in (bucket, *folders):
        if _FORBIDDEN.search(name) or not name or name[0] == "." or name[-1] == ".":
            raise bad(f"data_path contains a bad folder name: {name!r}")


def bad(text: str) -> Refused:
    """A refusal of a field."""
    return Refused(dli_error("DLI.0001", text))
