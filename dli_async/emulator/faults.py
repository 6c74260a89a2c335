"""Faults: what a network, a gateway and a busy service do to a client, on demand.

Set as a list of dicts, in process (`emulator.faults.set([...])`) or by `POST /_emulator/faults`:

    [{"route": "export-table", "when": "after", "kind": "reset", "probability": 0.5, "seed": 11}]

Routes go by the names that the ledger counts by: `export-table`, `submit-job`, `status`. A list
replaces the one before, `[]` clears it. `when` is `before` the handler (default) or `after` it:
then the job exists and only the answer is lost. A fault may be limited by `probability` (0 to 1,
with a `seed` of its own), `nth` (the nth matching request, or a list of such numbers), `times` (at
most so often) and `match` (a glob for the table, `db.table` or the path of the job concerned).

Answers, with `when`; s are seconds:

====================  =====================================  =====================================
kind                  server                                 in process
====================  =====================================  =====================================
reset                 the connection is aborted (RST)        httpx.ReadError
timeout               no answer until the client leaves      hangs; httpx.ReadTimeout at its limit
truncate              half of the body, then the end         half, then httpx.RemoteProtocolError
refuse (before)       as reset: it was accepted to be read   httpx.ConnectError
slow-headers:<s>      delay; a client that left meanwhile    delay; httpx.ReadTimeout at the
                      is not served (before)                 client's limit
slow-body:<s>         the body arrives in ten pieces         the same
broken-json           200 and text that is not JSON          the same
is-success-false      200 and `is_success: false`            the same
status:<code>         an error as DLI words it               the same
status:<code>:gateway an error as the gateway words it       the same
status:<code>:html    a page as a proxy shows it             the same
status:<code>:<DLI>   an error with that DLI code            the same
throttle (before)     429 without Retry-After                the same
throttle:<s>          429, Retry-After in seconds            the same
throttle:date         429, Retry-After as a date             the same
slow-down (before)    503 SlowDown, on OBS's routes only     the same
expired-token (bef.)  403 ExpiredToken, on OBS's only        the same
====================  =====================================  =====================================

States, without `when`, the same in both fronts:

=====================  ===========================================================================
list-lag:<s>           the job list tells what was true s seconds ago
status-lag:<s>         a job younger than s is unknown to `status` (or to the route that is named)
foreign-jobs:<n>       n jobs of other people (10,000 at most) stand in the list, spread over the
                       last minute
shifting-pages         rows move across the border of two pages, now up, now down
rate-limit:<n>         more than n requests in a second are answered by 429
unknown-status         RUNNING is called COMPUTED, which no page explains
scaling                RUNNING is called SCALING
finish                 FINISHED is called FINISH
string-booleans        booleans are the strings "true" and "false"
broken-message         `message` holds quotes that nobody escaped, so the answer is no JSON
fail:<DLI code>        the job fails with that code (DLI.0012 and DLI.1028: it never starts)
cancelled-by-other     somebody cancels the job half-way
slow-cancel:<s>        a cancel is accepted and takes effect s seconds later, if it is not too late
list-refused           403 for the job list
page-size:<n>          a list of OBS has at most n keys on a page
hidden-object          a list of OBS leaves out the objects that `match` names (by key or name)
wrong-length           the body of an object is one byte short, and the length that is told fits it
ignored-range          a GET of OBS with a Range is answered by 200 and the whole object
etag-not-md5           ETags of OBS are those of objects that were written in parts
=====================  ===========================================================================
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ._fault_words import ONE_SIDE, ROUTES, STATES, UnknownFault, Word, read_fault
from ._protocol.calls import Call

__all__ = ["Fault", "Faults", "UnknownFault"]


@dataclass(slots=True)
class Fault:
    """One fault and how often it has fired."""

    word: Word
    route: str = "*"
    when: str = "before"
    probability: float = 1.0
    seed: int | None = None
    nth: tuple[int, ...] = ()
    times: int | None = None
    match: str | None = None
    seen: int = 0
    fired: int = 0
    arrivals: deque[float] = field(default_factory=deque)
    random: random.Random = field(default_factory=random.Random)

    def concerns(self, names: Iterable[str]) -> bool:
        """Whether `match` leaves in somebody of these names."""
        return self.match is None or any(fnmatchcase(name, self.match) for name in names)

    def fires(self) -> bool:
        """Draws whether it happens this time."""
        if self.times is not None and self.fired >= self.times:
            return False
        self.seen += 1
        if self.nth and self.seen not in self.nth:
            return False
        if self.probability < 1 and self.random.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def is_over_limit(self, now: float) -> bool:
        """Whether a rate limit is used up; counts the call if it is not."""
        while self.arrivals and now - self.arrivals[0] >= 1.0:
            self.arrivals.popleft()
        if len(self.arrivals) >= self.word.number:
            return True
        self.arrivals.append(now)
        return False


class Faults:
    """The faults that are set, and the count of those that fired."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.active: list[Fault] = []
        self.count: Counter[str] = Counter()

    def set(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Replaces all faults.

        Raises:
            UnknownFault: for a word that is not known; the faults before stay.
        """
        known = [self._build(number, item) for number, item in enumerate(faults)]
        self.active = known

    def _build(self, number: int, item: Mapping[str, Any]) -> Fault:
        fault = Fault(**read_fault(item))
        fault.random.seed(f"{self._seed}:{number}" if fault.seed is None else fault.seed)
        return fault

    def clear(self) -> None:
        """Removes all faults."""
        self.active = []

    def answer(self, call: Call, when: str) -> Fault | None:
        """The first fault that takes the place of this call's answer, if any."""
        for fault in self.active:
            if (
                fault.word.kind not in STATES
                and fault.when == when
                and fault.route in ("*", call.route)
                and call.route in (*ONE_SIDE.get(fault.word.kind, ROUTES), "unknown")
                and fault.concerns(call.subject)
                and self._fires(fault)
            ):
                return fault
        return None

    def state(
        self,
        kind: str,
        call: Call,
        *,
        whole: bool = False,
        applies: Callable[[Fault], bool] = lambda _: True,
    ) -> Fault | None:
        """The fault of this kind that bends the truth of this call, if any.

        With `whole`, the call is about many jobs, and `match` is for the caller to apply. Where
        it does not apply it would change nothing, so it neither fires nor is used up.
        """
        for fault in self.active:
            if (
                fault.word.kind == kind
                and STATES[kind].acts_on(call.route, fault.route)
                and (whole or fault.concerns(call.subject))
                and applies(fault)
                and self._fires(fault)
            ):
                return fault
        return None

    def throttle(self, call: Call) -> Fault | None:
        """The rate limit that refuses this call, if any."""
        return self.state("rate-limit", call, applies=lambda fault: fault.is_over_limit(call.now))

    def _fires(self, fault: Fault) -> bool:
        fired = fault.fires()
        if fired:
            self.count[fault.word.kind] += 1
        return fired
