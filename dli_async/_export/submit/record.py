"""What keeps record of a submit outside of this process.

What remains: a process looks at the time after its note and right before it sends, but one that is
stopped after that and before the socket may still post what another has posted meanwhile. Whoever
finds the note looks through the whole grace first, so it takes a stop at just that point for longer
than `request_timeout` and `grace` together.
"""

from __future__ import annotations

from typing import Protocol

from ..departure import Departure


class SubmitRecord(Protocol):
    """Keeps record of a submit outside this process, so that another one can go on from there."""

    async def before_post(self, departure: Departure) -> None:
        """Awaited right before each POST leaves, after all that can wait.

        A process that finds `departure` and no job must look before it posts. What this raises
        keeps the POST from leaving.
        """

    async def accepted(self, job_id: str) -> None:
        """Awaited when the job is known, before whoever submits hears of it."""
