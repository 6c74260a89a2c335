"""Reads the body of an export-table call as strictly as the documents allow.

This is the emulator's own judgement (dli_02_0020, dli_01_0010); it shares nothing with the
client's checks, so that one can find the other's mistakes.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from .answers import Answer, Refused, dli_error
from .bodies import parse_json
from .calls import Call

_REQUIRED = ("data_path", "data_type", "database_name", "table_name", "compress")
_WORDS = {
    "data_type": ("csv", "json"),
    "compress": ("gzip", "bzip2", "deflate", "none"),
    "export_mode": ("ErrorIfExists", "Overwrite"),
}
_DEFAULTS = {"queue_name": "default", "export_mode": "ErrorIfExists", "with_column_header": False}
_FIELDS = (*_REQUIRED, *_DEFAULTS)
_PATH = re.compile(r"(?:obs|s3a)://([^/]+)/(.+?)/?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f]')


@dataclass(frozen=True, slots=True)
class Spec:
    """The eight fields of an export, every default filled in, words in documented spelling."""

    data_path: str
    data_type: str
    database_name: str
    table_name: str
    compress: str
    queue_name: str
    export_mode: str
    with_column_header: bool

    @property
    def folder(self) -> str:
        """The path in one spelling, for comparisons: scheme and a trailing slash do not count."""
        return "obs://" + self.data_path.partition("://")[2].rstrip("/")

    @property
    def overwrites(self) -> bool:
        """Whether an existing folder is replaced rather than an error."""
        return self.export_mode == "Overwrite"

    @property
    def names(self) -> tuple[str, ...]:
        """What a glob may match: the table in both forms, and the path."""
        table = f"{self.database_name}.{self.table_name}"
        return (table, self.table_name, self.data_path, self.folder)

    def fields(self) -> dict[str, Any]:
        """The eight fields as the request has them."""
        return asdict(self)


def read_spec(call: Call) -> Spec:
    """The spec in a call's body.

    Raises:
        Refused: with DLI.0001 for a missing or bad field, or a path that breaks a rule.
    """
    given = {name: value for name, value in _read_json(call).items() if value not in (None, "")}
    fields: dict[str, Any] = _DEFAULTS | given
    for name in _REQUIRED:
        if name not in fields:
            raise _bad(f"{name} must not be empty")
    for name in fields:
        if name not in _FIELDS:
            raise _bad(f"unknown field {name}; known are {', '.join(_FIELDS)}")
        fields[name] = _boolean(fields[name]) if "header" in name else _text(name, fields[name])
    _check_path(fields["data_path"])
    # Queue names are stored in lower case (dli_02_0194).
    return Spec(**{**fields, "queue_name": fields["queue_name"].lower()})


def peek_names(body: bytes) -> tuple[str, ...]:
    """What a fault's glob may match in a body that nobody has checked yet."""
    try:
        fields = parse_json(body)
        table, path = fields["table_name"], fields["data_path"]
        return (f"{fields['database_name']}.{table}", table, path, path.rstrip("/"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()


def _read_json(call: Call) -> dict[str, Any]:
    if not call.is_json:
        # dli_03_0060 gives the text; status and code are a guess.
        answer = Answer({"error_code": "DLI.0001", "error_msg": "unsupported media Type"}, 415)
        raise Refused(answer)
    try:
        body = parse_json(call.body)
    except ValueError:
        raise _bad("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _bad("the body must be a JSON object")
    return body


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _bad(f"{name} must be a string")
    if name not in _WORDS:
        return value
    # The page itself writes errorifexists and ErrorIfExists, so case does not count.
    found = next((word for word in _WORDS[name] if word.lower() == value.lower()), None)
    if found is None:
        raise _bad(f"{name} must be one of {', '.join(_WORDS[name])}: {value!r}")
    return found


def _boolean(value: Any) -> bool:
    # The documents' sample sends the string "true" for this Boolean (dli_02_0020).
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _bad(f"with_column_header must be true or false: {value!r}")
    return value


def _check_path(path: str) -> None:
    match = _PATH.fullmatch(path)
    if match is None:
        raise _bad(f"data_path must name a folder in a bucket, obs://bucket/folder: {path!r}")
    bucket, folders = match[1], match[2].split("/")
    if "," in path:
        raise _bad(f"data_path must not contain a comma: {path!r}")
    if re.search(r"\.[0-9][^.]*$", bucket):
        raise _bad(f"the bucket's name must not end in a dot and a digit: {bucket!r}")
    for name in (bucket, *folders):
        if _FORBIDDEN.search(name) or not name or name[0] == "." or name[-1] == ".":
            raise _bad(f"data_path contains a bad folder name: {name!r}")


def _bad(text: str) -> Refused:
    return Refused(dli_error("DLI.0001", text))
