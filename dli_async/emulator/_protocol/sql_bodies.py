"""Reads the bodies of submit-job (dli_02_0102) and export-result (dli_02_0024)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .answers import Refused, dli_error
from .bodies import parse_json
from .calls import Call
from .fields import bad, check_fields, check_path, flag, read_json, text, word
from .specs import Tags

__all__ = ["ResultBody", "SqlBody", "peek_sql", "read_result_body", "read_sql_body"]

_SQL_FIELDS = (
    *("sql", "currentdb", "current_catalog", "queue_name", "conf", "tags", "engine_type"),
)
_RESULT_FIELDS = (
    *("data_path", "data_type", "compress", "queue_name", "export_mode", "with_column_header"),
    *("limit_num", "encoding_type", "quote_char", "escape_char"),
)
_NAME = re.compile(r"(?!_)(?![0-9]+$)[A-Za-z0-9_]{1,128}")
_TAG = re.compile(r"[\w .:+@-]*")
_LONGEST_SQL = 500_000
_CATALOGUE = "dli"


@dataclass(frozen=True, slots=True)
class SqlBody:
    """A statement and where and how it is to run."""

    sql: str
    database: str
    queue_name: str
    conf: tuple[str, ...]
    tags: Tags


@dataclass(frozen=True, slots=True)
class ResultBody:
    """How a result is to be exported; every default filled in."""

    data_path: str
    data_type: str
    compress: str
    queue_name: str
    export_mode: str
    with_column_header: bool
    limit_num: int
    encoding_type: str
    quote_char: str
    escape_char: str


def read_sql_body(call: Call) -> SqlBody:
    """What a call to submit-job asks for.

    Raises:
        Refused: with DLI.0001 for a bad field, DLI.0002 for a catalog that is not there, DLI.0007
            for another engine, DLI.0009 for a statement that is too long.
    """
    given = read_json(call)
    check_fields(given, _SQL_FIELDS, ("sql",))
    sql = text("sql", given["sql"])
    if len(sql) >= _LONGEST_SQL or len(sql.encode(errors="replace")) >= 2**20:
        raise Refused(dli_error("DLI.0009", "the SQL has 500,000 characters or 1 MB, or more"))
    if (engine := text("engine_type", given.get("engine_type", "spark"))) != "spark":
        raise Refused(dli_error("DLI.0007", f"not emulated: the engine {engine}; known is spark"))
    catalogue = _name("current_catalog", given, _CATALOGUE)
    if catalogue.lower() != _CATALOGUE:
        raise Refused(dli_error("DLI.0002", f"There is no catalog named {catalogue}."))
    return SqlBody(
        sql=sql,
        database=_name("currentdb", given, "default"),
        queue_name=_name("queue_name", given, "default").lower(),
        conf=tuple(text("conf", line) for line in _list("conf", given)),
        tags=tuple(map(_tag, _list("tags", given))),
    )


def _name(field: str, given: dict[str, Any], default: str) -> str:
    name = text(field, given.get(field, default))
    if not _NAME.fullmatch(name):
        raise bad(f"{field} has letters, digits and underscores only, and not as it is: {name!r}")
    return name


def _list(field: str, given: dict[str, Any]) -> list[Any]:
    value = given.get(field, [])
    if not isinstance(value, list):
        raise bad(f"{field} must be a list")
    return value


def _tag(item: Any) -> tuple[str, str]:
    if not isinstance(item, dict) or set(item) != {"key", "value"}:
        raise bad("a tag has a key and a value")
    key, value = (text(f"the {name} of a tag", item[name]) for name in ("key", "value"))
    if not 1 <= len(key) <= 128 or key.startswith("_sys_") or key != key.strip():
        raise bad(f"the key of a tag has 1 to 128 characters, no _sys_ in front: {key!r}")
    if len(value) > 255 or not _TAG.fullmatch(key) or not _TAG.fullmatch(value):
        raise bad(f"a tag has letters, digits, spaces and _.:+-@ only: {key!r}: {value!r}")
    return key, value


def read_result_body(call: Call) -> ResultBody:
    """What a call to export-result asks for.

    Raises:
        Refused: with DLI.0001 for a bad field, or a path that breaks a rule.
    """
    given = read_json(call)
    check_fields(given, _RESULT_FIELDS, ("data_path", "data_type"))
    path = text("data_path", given["data_path"])
    check_path(path)
    encodings = ("utf-8", "gb2312", "gbk")
    return ResultBody(
        data_path=path,
        data_type=word("data_type", given["data_type"], ("csv", "json")),
        compress=word("compress", given.get("compress", "none"), _CODECS),
        queue_name=_name("queue_name", given, "default").lower(),
        export_mode=word("export_mode", given.get("export_mode", _MODES[0]), _MODES),
        with_column_header=flag("with_column_header", given.get("with_column_header", False)),
        limit_num=_limit(given.get("limit_num", 0)),
        encoding_type=word("encoding_type", given.get("encoding_type", "utf-8"), encodings),
        quote_char=_character("quote_char", given.get("quote_char", '"')),
        escape_char=_character("escape_char", given.get("escape_char", "\\")),
    )


_CODECS = ("none", "gzip", "bzip2", "deflate")
_MODES = ("ErrorIfExists", "Overwrite")


def _limit(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise bad(f"limit_num must be a whole number from 0: {value!r}")
    return value


def _character(name: str, value: Any) -> str:
    if len(text(name, value)) != 1:
        raise bad(f"{name} must be one character: {value!r}")
    return str(value)


def peek_sql(body: bytes) -> str:
    """The statement of a body that nobody has checked yet; empty if there is none."""
    try:
        sql = parse_json(body)["sql"]
    except (ValueError, TypeError, KeyError):
        return ""
    return sql if isinstance(sql, str) else ""
