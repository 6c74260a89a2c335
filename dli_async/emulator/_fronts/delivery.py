"""An answer and the way it is brought to the client; the fronts know how to do that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum, auto

from .._protocol.answers import Answer, dli_error, gateway_error, html_page, throttled
from ..faults import Fault

_RETRY_AFTER = 2.0
_DLI_CODES = {401: "DLI.0013", 403: "DLI.0003", 404: "DLI.0023", 408: "DLI.0019"}
_HALF_DONE = b'{"is_success":true,"message":"'
_PIECES = 10


class How(Enum):
    """What becomes of the answer on its way."""

    WHOLE = auto()
    RESET = auto()
    REFUSED = auto()
    NEVER = auto()
    TRUNCATED = auto()


@dataclass(slots=True)
class Delivery:
    """One answer on its way; `spread` is how many seconds its body takes to arrive."""

    answer: Answer
    how: How = How.WHOLE
    spread: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def half(self) -> bytes:
        """What arrives of a truncated body."""
        body = self.answer.body()
        return body[: len(body) // 2]

    def pieces(self) -> list[bytes]:
        """The body as it trickles."""
        body = self.answer.body()
        size = math.ceil(len(body) / _PIECES) or 1
        return [body[start : start + size] for start in range(0, len(body), size)]

    @property
    def gap(self) -> float:
        """Seconds before each piece."""
        return self.spread / _PIECES


_WAYS = {"reset": How.RESET, "refuse": How.REFUSED, "timeout": How.NEVER}


def stand_in(fault: Fault, answer: Answer | None, now: float) -> Delivery:
    """What the client gets in place of the answer; None is before the handler has made one."""
    kind = fault.word.kind
    if kind in _WAYS:
        return Delivery(answer or Answer(), _WAYS[kind])
    if kind == "truncate":
        return Delivery(answer or Answer({"is_success": True, "message": ""}), How.TRUNCATED)
    if kind == "slow-body":
        return Delivery(answer or Answer(), spread=fault.word.number)
    if kind == "broken-json":
        return Delivery(_broken(answer))
    if kind == "is-success-false":
        text = "Please contact DLI service. DLI.0999: The request was not carried out."
        return Delivery(Answer({"is_success": False, "message": text}))
    return Delivery(_throttled(fault, now) if kind == "throttle" else _error(fault))


def _broken(answer: Answer | None) -> Answer:
    if answer is None:
        return Answer(raw=_HALF_DONE)
    body = answer.body()
    return Answer(raw=body[: max(1, len(body) // 2)])


def _throttled(fault: Fault, now: float) -> Answer:
    answer = throttled()
    if fault.word.form == "seconds":
        answer.headers["Retry-After"] = str(math.ceil(fault.word.number))
    elif fault.word.form == "date":
        answer.headers["Retry-After"] = formatdate(math.ceil(now + _RETRY_AFTER), usegmt=True)
    return answer


def _error(fault: Fault) -> Answer:
    status, form = int(fault.word.number), fault.word.form
    if form == "html":
        return html_page(status)
    if form == "gateway":
        return gateway_error(status, "The gateway could not pass the request on")
    # Faults of the service come as HTTP 400 too, with DLI.0999 (dli_02_0056).
    code = form or _DLI_CODES.get(status, "DLI.0999")
    return dli_error(code, "Please contact DLI service. Injected by a fault.", status)
