"""One job: what it was asked for, and the moments of its life."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from .._engine.engine import Exported, Staged
from .._protocol.specs import Asked

LAUNCHING, RUNNING = "LAUNCHING", "RUNNING"
FINISHED, FAILED, CANCELLED = "FINISHED", "FAILED", "CANCELLED"
STATES = (LAUNCHING, RUNNING, FINISHED, FAILED, CANCELLED)
ENDED = frozenset((FINISHED, FAILED, CANCELLED))

Outcome = Staged | Exception


@dataclass(frozen=True, slots=True)
class Fate:
    """An end that a fault has decided beforehand: nothing is written.

    `share` is the share of the run time after which it comes; None is before the job starts.
    """

    state: str
    message: str
    share: float | None = 1.0


@dataclass(slots=True, eq=False)
class Job:
    """One export and what became of it; moments are seconds since the epoch."""

    number: int
    job_id: str
    spec: Asked
    owner: str
    created_at: float
    run_time: float
    fate: Fate | None = None
    started_at: float | None = None
    ended_at: float | None = None
    state: str = LAUNCHING
    message: str = ""
    exported: Exported | None = None
    due: float = math.inf
    outcome: Outcome | None = None
    work: Future[None] | None = None

    def state_at(self, moment: float) -> str:
        """The state that somebody who looked at that moment would have seen."""
        if self.has_ended(moment):
            return self.state
        if self.started_at is not None and moment >= self.started_at:
            return RUNNING
        return LAUNCHING

    def has_ended(self, moment: float) -> bool:
        """Whether the job was over at that moment."""
        return self.ended_at is not None and moment >= self.ended_at

    def discard(self) -> Callable[[], None] | None:
        """Forgets what was written and has not appeared; gives the call that removes the files."""
        outcome, self.outcome = self.outcome, None
        if not isinstance(outcome, Staged):
            return None
        outcome.discard()
        return outcome.clean

    @property
    def start_ms(self) -> int:
        """DLI's start_time: when the job was submitted, in milliseconds."""
        return int(self.created_at * 1000)

    def seconds(self, now: float) -> float:
        """How long the job has lived, or lived."""
        until = now if self.ended_at is None else min(now, self.ended_at)
        return max(0.0, until - self.created_at)
