"""Takes calls away, as the vendor may take `export-table` away some day.

A word is the name of a route, as faults have it, and what it answers from now on: `export-table`
(the gateway does not know it any more: 404 APIGW.0101) or `export-table:DLI.0007` (DLI itself
refuses it, with 400).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .answers import DLI_CODES, Answer, Refused, dli_error, gateway_error
from .calls import Call, Guard, Handler, Route

__all__ = ["withdraw"]

_GONE = "The API does not exist or has not been published in the environment"


def withdraw(routes: Sequence[Route], words: Iterable[str]) -> list[Route]:
    """The routes, with those that are named answering as if they were gone.

    Raises:
        ValueError: for a word that names no route, or no code; with those there are.
    """
    gone = dict(map(_read, words))
    names = sorted({route.name for route in routes if route.guard is not Guard.ADMIN})
    for name, code in gone.items():
        if name not in names:
            raise ValueError(
                f"there is no call {name!r} to take away; known are {', '.join(names)}"
            )
        if code and code not in DLI_CODES:
            raise ValueError(f"{code!r} is none of {', '.join(DLI_CODES)}")
    return [_gone(route, gone[route.name]) if route.name in gone else route for route in routes]


def _read(word: str) -> tuple[str, str]:
    name, _, code = word.partition(":")
    return name, code


def _gone(route: Route, code: str) -> Route:
    if code:
        return route._replace(handler=_refuse(dli_error(code)))
    # The gateway looks for the API before it looks at who calls.
    return route._replace(handler=_refuse(gateway_error(404, _GONE)), guard=Guard.NOBODY)


def _refuse(answer: Answer) -> Handler:
    def handler(call: Call) -> Answer:
        raise Refused(Answer(dict(answer.content), answer.status))

    return handler
