"""The words of a fault, read strictly: a misspelt fault would make a test prove nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ._protocol.answers import DLI_CODES

_DLI = (
    *("export-table", "status", "list-jobs", "detail", "progress", "cancel", "databases"),
    *("tables", "table", "queues", "iam-token", "iam-keys", "iam-projects", "metadata"),
    *("submit-job", "export-result", "preview"),
)
_OBS = ("obs-list", "obs-head", "obs-get", "obs-delete")
ROUTES = (*_DLI, *_OBS)

ANSWERS = (
    *("reset", "timeout", "truncate", "broken-json", "is-success-false", "status:<code>"),
    *("status:<code>:gateway", "status:<code>:html", "status:<code>:<DLI code>", "throttle"),
    *("throttle:<seconds>", "throttle:date", "slow-headers:<s>", "slow-body:<s>", "refuse"),
    *("slow-down", "expired-token"),
)
ONE_SIDE: Mapping[str, tuple[str, ...]] = {
    "broken-json": _DLI,
    "is-success-false": _DLI,
    "slow-down": _OBS,
    "expired-token": _OBS,
}
"""The answers that only some routes can give."""

_FIELDS = ("route", "when", "kind", "probability", "seed", "nth", "times", "match")


@dataclass(frozen=True, slots=True)
class State:
    """Where a state kind acts: `default` for `*`, and where else it may be sent by name."""

    usage: str
    default: tuple[str, ...] = _DLI
    also: tuple[str, ...] = ()

    def acts_on(self, route: str, wanted: str) -> bool:
        """Whether a fault that was set for `wanted` acts on `route`."""
        return route in self.default if wanted == "*" else route == wanted


_LATER = ("detail", "progress", "cancel")
_SUBMITS = ("export-table", "submit-job", "export-result")
_JOBS = ("status", "list-jobs", "progress")
STATES: Mapping[str, State] = {
    "list-lag": State("list-lag:<s>", ("list-jobs",)),
    "status-lag": State("status-lag:<s>", ("status",), (*_LATER, "preview", "export-result")),
    "foreign-jobs": State("foreign-jobs:<n>", ("list-jobs",)),
    "shifting-pages": State("shifting-pages", ("list-jobs",)),
    "rate-limit": State("rate-limit:<n>"),
    "unknown-status": State("unknown-status", _JOBS),
    "finish": State("finish", _JOBS),
    "scaling": State("scaling", _JOBS),
    "string-booleans": State("string-booleans"),
    "broken-message": State("broken-message", ("status",), _DLI),
    "fail": State("fail:<DLI code>", _SUBMITS),
    "cancelled-by-other": State("cancelled-by-other", _SUBMITS),
    "slow-cancel": State("slow-cancel:<s>", ("cancel",)),
    "list-refused": State("list-refused", ("list-jobs",)),
    "page-size": State("page-size:<n>", ("obs-list",)),
    "hidden-object": State("hidden-object", ("obs-list",)),
    "wrong-length": State("wrong-length", ("obs-get",)),
    "ignored-range": State("ignored-range", ("obs-get",)),
    "etag-not-md5": State("etag-not-md5", ("obs-list", "obs-head", "obs-get")),
}

KINDS = (*ANSWERS, *(state.usage for state in STATES.values()))
_SECONDS = ("slow-headers", "slow-body", "list-lag", "status-lag", "slow-cancel")
_COUNTS = ("foreign-jobs", "rate-limit", "page-size")
_MOST = {"foreign-jobs": 10_000}  # every look at the list makes all of them
_BARE = (
    *("reset", "timeout", "truncate", "broken-json", "is-success-false", "refuse", "throttle"),
    *("slow-down", "expired-token"),
)
_NEVER_AFTER = ("refuse", "throttle", "slow-down", "expired-token")


class UnknownFault(ValueError):
    """A fault that nobody knows; `known` has the words that are known."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.known: dict[str, Sequence[str]] = {
            "route": (*ROUTES, "*"),
            "when": ("before", "after"),
            "kind": KINDS,
            "optional": _FIELDS[3:],
        }


@dataclass(frozen=True, slots=True)
class Word:
    """A kind, taken apart: `status:503:html` is kind `status`, number 503, form `html`."""

    kind: str
    number: float = 0.0
    form: str = ""


def read_fault(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a fault, checked.

    Raises:
        UnknownFault: naming what is wrong.
    """
    if not isinstance(item, Mapping):
        raise UnknownFault(f"a fault is an object, not {item!r}")
    for name in item:
        if name not in _FIELDS:
            raise UnknownFault(f"unknown field {name!r}; known are {', '.join(_FIELDS)}")
    word = _read_word(str(item.get("kind", "")))
    route = item.get("route", "*")
    if route not in (*ROUTES, "*"):
        raise UnknownFault(f"unknown route {route!r}")
    return {"word": word, "route": route, "when": _when(item, word, route), **_limits(item)}


def _read_word(text: str) -> Word:
    kind, _, rest = text.partition(":")
    if (kind in _BARE or (kind in STATES and STATES[kind].usage == kind)) and not rest:
        return Word(kind)
    try:
        return _read_argument(kind, rest)
    except UnknownFault:
        raise
    except (ValueError, KeyError):
        raise UnknownFault(f"unknown kind {text!r}") from None


def _read_argument(kind: str, rest: str) -> Word:
    if kind in _SECONDS or (kind == "throttle" and rest != "date"):
        return Word(kind, _positive(float(rest)), "seconds")
    if kind in _COUNTS:
        return Word(kind, int(_within(kind, _positive(int(rest)))))
    if kind == "throttle":
        return Word(kind, form="date")
    if kind == "fail" and rest in DLI_CODES:
        return Word(kind, form=rest)
    if kind == "status":
        code, _, form = rest.partition(":")
        if form in ("", "gateway", "html", *DLI_CODES) and 300 <= int(code) <= 599:
            return Word(kind, int(code), form)
    raise KeyError(kind)


def _within(kind: str, number: float) -> float:
    most = _MOST.get(kind, number)
    if number > most:
        raise UnknownFault(f"{kind}:<n> takes at most {most:,}")
    return number


def _positive(number: float) -> float:
    if not 0 <= number < float("inf"):
        raise ValueError(number)
    return number


def _when(item: Mapping[str, Any], word: Word, route: str) -> str:
    when = item.get("when", "before")
    if when not in ("before", "after"):
        raise UnknownFault(f"unknown when {when!r}")
    if word.kind in STATES:
        if "when" in item:
            raise UnknownFault(f"{word.kind} is a state and has no `when`")
        state = STATES[word.kind]
        if route not in ("*", *state.default, *state.also):
            raise UnknownFault(f"{word.kind} does not act on {route}")
    elif route not in ("*", *ONE_SIDE.get(word.kind, ROUTES)):
        raise UnknownFault(f"{word.kind} does not act on {route}")
    elif when == "after" and word.kind in _NEVER_AFTER:
        raise UnknownFault(f"{word.kind} keeps a request from the handler, so it is never `after`")
    return str(when)


def _limits(item: Mapping[str, Any]) -> dict[str, Any]:
    probability = item.get("probability", 1.0)
    nth = item.get("nth", ())
    nth = (nth,) if isinstance(nth, int) else nth
    if not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise UnknownFault(f"probability is between 0 and 1, not {probability!r}")
    if not isinstance(nth, list | tuple) or not all(_is_count(n, 1) for n in nth):
        raise UnknownFault(f"nth is a number from 1, or a list of such, not {nth!r}")
    if not all(_is_count(item.get(name), 0) for name in ("times", "seed")):
        raise UnknownFault("times and seed are whole numbers")
    if not isinstance(item.get("match"), str | None):
        raise UnknownFault("match is a glob")
    limits = {name: item[name] for name in ("times", "seed", "match") if name in item}
    return {"probability": float(probability), "nth": tuple(nth), **limits}


def _is_count(value: object, low: int) -> bool:
    return value is None or (type(value) is int and value >= low)
