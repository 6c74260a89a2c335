"""Jobs that run on, or may, and that nobody awaits any more."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from .._values.spec import ExportSpec

# A service that lets go of jobs for months must not grow for ever; the log has all of them.
MOST_DETACHED = 10_000

_log = logging.getLogger("dli_async.submit")


class Resumable(Protocol):
    """A job, as far as its log line needs it."""

    @property
    def spec(self) -> ExportSpec | None: ...

    @property
    def job_id(self) -> str | None: ...

    @property
    def token(self) -> str: ...


J = TypeVar("J", bound=Resumable)


class Detached(Generic[J]):
    """The latest 10,000 of them, each under the submission that its handles share."""

    def __init__(self) -> None:
        self._jobs: dict[object, J] = {}

    def __iter__(self) -> Iterator[J]:
        return iter(self._jobs.values())

    def add(self, submission: object, job: J, level: int) -> None:
        """Lists a job, and logs how to resume it."""
        self._jobs[submission] = job
        if len(self._jobs) > MOST_DETACHED:
            del self._jobs[next(iter(self._jobs))]
        where = f"runs on as job {job.job_id}" if job.job_id else "may have been accepted"
        name = job.spec or "the export"
        text = "nobody awaits %s any more; it %s; token to resume: %s"
        _log.log(level, text, name, where, job.token)

    def discard(self, submission: object) -> None:
        """Takes a job off the list: somebody awaits it, or it has ended."""
        self._jobs.pop(submission, None)
