"""Texts by name, as specs hold them: options, settings and tags."""

from __future__ import annotations

import re
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator

from .literals import no_variable, option
from .posting import KEY

_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,255}", re.ASCII)
_TAG = re.compile(r"[\w .:+@-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Settings by which a statement would be read in another way than it was checked.
_PARSER = (
    *("spark.sql.parser.", "spark.sql.variable.", "spark.sql.ansi.", "spark.sql.extensions"),
    "spark.sql.legacy.setopsprecedence.",
)
# Options that are fields of their own.
_FIELDS = {
    "path": "data_path",
    "header": "with_column_header",
    "compression": "compress",
    "codec": "compress",
}


class Words(dict[str, str]):
    """A mapping that can be hashed, and not changed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("the fields of a spec cannot be changed; model_copy makes another one")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = pop = popitem = clear = setdefault = _refuse


def _options(given: dict[str, str]) -> Words:
    lower = [key.lower() for key in given]
    for key, value in given.items():
        field = _FIELDS.get(key.lower())
        if field is not None:
            raise ValueError(f"{key!r} is said by the field {field}")
        option(key, value)
    if len(set(lower)) < len(lower):
        raise ValueError("must name each option once, in whatever case")
    return Words(given)


def _conf(given: dict[str, str]) -> Words:
    for key, value in given.items():
        if not _SETTING.fullmatch(key):
            raise ValueError(f"{key!r} is not the name of a setting")
        if key.lower().startswith(_PARSER):
            raise ValueError(f"{key!r} changes how statements are read, and is refused")
        if _CONTROL.search(value) or value != value.strip():
            raise ValueError(f"{value!r} begins or ends with a blank, or holds control characters")
        no_variable(value)
    return Words(given)


def _tags(given: dict[str, str]) -> Words:
    for key, value in given.items():
        if key == KEY or key.lower().startswith("_sys_"):
            raise ValueError(f"{key!r} belongs to the library, or to the service")
        if not _is_word(key, 128) or not _is_word(value, 255):
            raise ValueError(
                f"{key!r}, {value!r}: may hold letters, digits, blanks inside, and _ . : + - @; "
                "128 characters in a key and 255 in a value"
            )
    return Words(given)


def _is_word(text: str, most: int) -> bool:
    is_fit = len(text) <= most and text == text.strip()
    return is_fit and _TAG.fullmatch(text) is not None


Options = Annotated[dict[str, str], AfterValidator(_options)]
Conf = Annotated[dict[str, str], AfterValidator(_conf)]
Tags = Annotated[dict[str, str], AfterValidator(_tags)]
