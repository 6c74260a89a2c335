"""The emulator's own routes, for tests that look at it from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .._jobs.ledger import Ledger
from .._protocol.answers import Answer, Refused
from .._protocol.bodies import parse_json
from .._protocol.calls import Call, Guard, Route
from ..faults import Faults, UnknownFault


class AdminRoutes:
    """Answers `/_emulator/...`; nobody has to log in for it.

    What changes something has to come as `application/json`, a body or not: a page of another site
    cannot send that without asking first.
    """

    def __init__(
        self, ledger: Ledger, faults: Faults, reset: Callable[[bool], Awaitable[None]]
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._reset = reset

    def routes(self) -> list[Route]:
        """The routes of this file."""
        base = "/_emulator"
        files = frozenset({"files"})
        return [
            Route("ledger", "GET", f"{base}/ledger", self.ledger, guard=Guard.ADMIN),
            Route("faults", "POST", f"{base}/faults", self.faults, guard=Guard.ADMIN),
            Route("reset", "POST", f"{base}/reset", self.reset, files, Guard.ADMIN),
        ]

    def ledger(self, call: Call) -> Answer:
        """GET /_emulator/ledger: what has happened so far."""
        return Answer(self._ledger.as_dict())

    def faults(self, call: Call) -> Answer:
        """POST /_emulator/faults: a list that replaces all faults."""
        _need_json(call)
        try:
            faults = parse_json(call.body)
            if not isinstance(faults, list):
                raise UnknownFault("faults are a JSON list")
            self._faults.set(faults)
        except UnknownFault as unknown:
            raise Refused(Answer({"error": str(unknown), "known": unknown.known}, 400)) from None
        except ValueError:
            raise Refused(Answer({"error": "the body is not JSON"}, 400)) from None
        return Answer({"faults": faults})

    async def reset(self, call: Call) -> Answer:
        """POST /_emulator/reset: as if it had just been started."""
        _need_json(call)
        files = call.flag("files")
        await self._reset(files)
        return Answer({"reset": True, "files": files})


def _need_json(call: Call) -> None:
    if not call.is_json:
        text = "calls of /_emulator need Content-Type: application/json"
        raise Refused(Answer({"error": text}, 415))
