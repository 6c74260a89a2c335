"""How answers are read: what is optional and cannot be read becomes None, and the rest counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
)
from pydantic_core import to_json

_CODE = re.compile(r"DLI\.\d{4,5}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What is beyond cannot be meant, and would overflow whatever is reckoned with it.
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_LONGEST = timedelta(days=100 * 366)
_MOST = 2**63 - 1


def find_code(text: str | None) -> str | None:
    """The DLI error code in a text, wherever it hides (JSON text, free text, broken JSON)."""
    match = _CODE.search(text or "")
    return match[0] if match else None


def or_none(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Turns what cannot be read into None: an optional field must not cost a whole answer."""
    try:
        return handler(value)
    except (ValidationError, OverflowError):
        return None


def _as_text(value: Any) -> Any:
    # Documented as JSON in a text, and met as bare JSON.
    return to_json(value).decode() if isinstance(value, (dict, list)) else value


def _from_millis(value: Any) -> Any:
    try:
        millis = int(value)
    except (TypeError, ValueError):
        return value  # ISO text, as the models themselves are dumped
    return _EPOCH + timedelta(milliseconds=millis) if millis > 0 else None


def _span_from_millis(value: Any) -> Any:
    try:
        return timedelta(milliseconds=int(value))
    except (TypeError, ValueError):
        return value


def _in_range(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    return aware if _EPOCH < aware < _LATEST else None


Text = Annotated[str | None, BeforeValidator(_as_text), WrapValidator(or_none)]
Count = Annotated[Annotated[int, Field(ge=0, le=_MOST)] | None, WrapValidator(or_none)]
Flag = Annotated[bool | None, WrapValidator(or_none)]
Ratio = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, WrapValidator(or_none)]
Moment = Annotated[
    datetime | None,
    BeforeValidator(_from_millis),
    AfterValidator(_in_range),
    WrapValidator(or_none),
]
Span = Annotated[
    Annotated[timedelta, Field(ge=timedelta(0), le=_LONGEST)] | None,
    BeforeValidator(_span_from_millis),
    WrapValidator(or_none),
]


class AnswerModel(BaseModel):
    """The base of what the service says: immutable, and deaf to fields it does not know."""

    # Built when first used, which takes 1 to 2 ms each: most programs need few of them.
    model_config = ConfigDict(
        frozen=True, extra="ignore", coerce_numbers_to_str=True, defer_build=True
    )
