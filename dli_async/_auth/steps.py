"""What a login needs from the outside, said as data.

A source of credentials is a generator of steps: it yields a `LoginCall` or a `ReadFile` and is sent
what came of it. So it runs over any transport, on asyncio and trio, bound to a client or not,
and does no I/O of its own.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["LoginAnswer", "LoginCall", "ReadFile", "Step", "Steps", "ask", "epoch", "read_file"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoginCall:
    """One HTTP request of a login.

    Attributes:
        purpose: what it is for, in words, for errors and logs.
        timeout: seconds for connecting, and again for each read.
        signed: whether it carries the credentials that it helps (the project lookup does).
    """

    purpose: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    timeout: float = 30.0
    signed: bool = False


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """What came back for a `LoginCall`; the names of `headers` ignore case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text, unreadable bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty one where it is something else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def sent_at(self, default: float) -> float:
        """Return the server's own time in epoch seconds (`Date`), or `default`.

        An expiry compared with it does not suffer from a local clock that is wrong.
        """
        try:
            return parsedate_to_datetime(self.headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            return default


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A small text file to be read away from the event loop."""

    path: Path

    def run(self) -> str:
        """Read it: blocking, and raising what `open` raises."""
        return self.path.read_text(encoding="utf-8-sig")


Step = LoginCall | ReadFile
Steps = Generator[Step, Any, T]


def ask(call: LoginCall) -> Steps[LoginAnswer]:
    """Take one step over HTTP: `answer = yield from ask(call)`."""
    answer: LoginAnswer = yield call
    return answer


def read_file(path: Path) -> Steps[str]:
    """Take one step to the disk: `text = yield from read_file(path)`."""
    text: str = yield ReadFile(path)
    return text


def epoch(text: object) -> float | None:
    """Return a time like `2026-01-01T00:00:00.000000Z` in epoch seconds; None if it is none."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
