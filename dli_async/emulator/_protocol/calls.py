"""One call as it arrived, and the table that tells which route it means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

import anyio

from .answers import Answer, Refused, dli_error


@dataclass(slots=True)
class Call:
    """A request: path and query exactly as received, since a signature covers those bytes.

    Attributes:
        body: empty until `pieces`, where they are given, have been read.
        pieces: the body as it arrives.
        bound: names and addresses under which a server was reached; None in process.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    pieces: AsyncIterable[bytes] | None = None
    bound: Collection[str] | None = None
    now: float = 0.0
    request_id: str = ""
    route: str = "unknown"
    params: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    caller: str = ""
    subject: tuple[str, ...] = ()
    is_gone: Callable[[], bool] = lambda: False
    pause: Callable[[float], Awaitable[None]] = anyio.sleep

    @property
    def is_json(self) -> bool:
        """Whether the content type says so."""
        media = self.headers.get("content-type", "").partition(";")[0]
        return media.strip() == "application/json"

    def number(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """An integer argument within its documented range."""
        text = self.arguments.get(name, "")
        if text == "":
            return default
        value = int(text) if text.lstrip("-").isdecimal() and len(text) < 20 else None
        if value is None or value < low or (high is not None and value > high):
            span = f"at least {low}" if high is None else f"between {low} and {high}"
            raise Refused(dli_error("DLI.0001", f"{name} must be an integer {span}: {text!r}"))
        return value

    def flag(self, name: str) -> bool:
        """A boolean argument, in any case; false when absent."""
        text = self.arguments.get(name, "false").lower()
        if text not in ("true", "false"):
            raise Refused(dli_error("DLI.0001", f"{name} must be true or false: {text!r}"))
        return text == "true"

    def word(self, name: str, known: Collection[str], default: str = "") -> str:
        """One of the documented words, found in any case."""
        text = self.arguments.get(name, "")
        if text == "":
            return default
        found = next((word for word in known if word.lower() == text.lower()), None)
        if found is None:
            one_of = ", ".join(known)
            raise Refused(dli_error("DLI.0001", f"{name} must be one of {one_of}: {text!r}"))
        return found


class Guard(Enum):
    """Who looks at a caller's credentials before the handler runs."""

    DLI = "the gateway, which also compares the project"
    IAM = "the gateway, for IAM"
    NOBODY = "no credentials, or the handler asks for its own"
    ADMIN = "nobody: not a route of the cloud, so neither counted nor faulted"


Handler = Callable[[Call], Answer] | Callable[[Call], Awaitable[Answer]]


class Route(NamedTuple):
    """A method and a path, the name that faults and the ledger use, and who handles it."""

    name: str
    method: str
    path: str
    handler: Handler
    arguments: frozenset[str] = frozenset()
    guard: Guard = Guard.DLI

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Router:
    """Finds the route of a path by its number of segments, then segment by segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._by_shape: dict[tuple[str, int], list[tuple[Route, list[str]]]] = defaultdict(list)
        for route in self.routes:
            segments = route.path.split("/")
            self._by_shape[route.method, len(segments)].append((route, segments))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and the path's variable parts, decoded; None if there is no such route."""
        segments = path.split("/")
        for route, pattern in self._by_shape.get((method, len(segments)), ()):
            params = _variables(pattern, segments)
            if params is not None:
                return route, params
        return None


def _variables(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    found = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{") and segment:
            found[expected[1:-1]] = unquote(segment)
        elif expected != segment:
            return None
    return found


def read_arguments(call: Call, known: frozenset[str]) -> dict[str, str]:
    """The query's arguments; repeated ones are joined by commas.

    An unknown one is answered loudly: a service that ignored a misspelt filter would hide the
    mistake until production.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(call.query, keep_blank_values=True):
        if name not in known:
            raise Refused(not_emulated(f"parameter {name!r} of {call.route}", sorted(known)))
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def not_emulated(what: str, known: list[str]) -> Answer:
    """501 with what is known instead."""
    return Answer({"error_msg": f"not emulated: {what}", "known": known}, 501)
