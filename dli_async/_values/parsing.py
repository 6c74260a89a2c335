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
    ValidationError,
    WrapValidator,
)
from pydantic_core import to_json

_CODE = re.compile(r"DLI\.\d{4,5}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


Text = Annotated[str | None, BeforeValidator(_as_text), WrapValidator(or_none)]
Count = Annotated[int | None, WrapValidator(or_none)]
Flag = Annotated[bool | None, WrapValidator(or_none)]
Ratio = Annotated[float | None, WrapValidator(or_none)]
Moment = Annotated[
    datetime | None, BeforeValidator(_from_millis), AfterValidator(_aware), WrapValidator(or_none)
]
Span = Annotated[timedelta | None, BeforeValidator(_span_from_millis), WrapValidator(or_none)]


class AnswerModel(BaseModel):
    """The base of what the service says: immutable, and deaf to fields it does not know."""

    # Built when first used, which takes 1 to 2 ms each: most programs need few of them.
    model_config = ConfigDict(
        frozen=True, extra="ignore", coerce_numbers_to_str=True, defer_build=True
    )
