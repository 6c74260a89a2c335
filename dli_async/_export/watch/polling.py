"""Asking for the status of one job until it ends.

`StatusSource` is the pluggable part: job id in, report out. The loop around it is tenacity's; how
long a wait may last is the business of whoever waits, with an anyio scope.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from ..._http.api import Api
from ..._values.errors import ConfigurationError
from ..._values.policies import PollPolicy
from ..._values.reports import StatusReport
from .patience import is_borne
from .watch import Watch
from .watched import Watched, WatchedJob

_log = logging.getLogger("dli_async.watch")

StatusSource = Callable[[str], Awaitable[StatusReport]]
"""The pluggable job-status endpoint: an async callable from job id to `StatusReport`."""


class _HasApi(Protocol):
    @property
    def api(self) -> Api: ...


class StatusEndpoint:
    """A `StatusSource` that asks DLI's status endpoint, or one of the same shape.

    Args:
        client: the `DliClient` whose connections and login are used.
        path: path below the client's endpoint; `{job_id}` is filled in, and `{project_id}` where
            it occurs. The default is DLI's own (dli_02_0021).

    Raises:
        ConfigurationError: the path has no `{job_id}`, or names another host.
    """

    def __init__(
        self, client: _HasApi, path: str = "/v1.0/{project_id}/jobs/{job_id}/status"
    ) -> None:
        if not path.startswith("/") or "{job_id}" not in path:
            raise ConfigurationError(
                f"path={path!r}: must start with / and hold {{job_id}}, as in "
                "/v1.0/{project_id}/jobs/{job_id}/status"
            )
        self._client = client
        self._path = path

    async def __call__(self, job_id: str) -> StatusReport:
        """One look, without repeats: the loop around it decides when to look again."""
        return await self._client.api.status(job_id, path=self._path, repeat=False)

    def __repr__(self) -> str:
        return f"StatusEndpoint(path={self._path!r})"


def source_watch(source: StatusSource, policy: PollPolicy) -> Watch:
    """A watch of one job through a source."""
    return Watch(policy, lambda watched: _SourceLooks(source, policy, watched))


class _SourceLooks:
    """Looks at one job through a source, in a tenacity loop that any of its waiters may drive."""

    def __init__(self, source: StatusSource, policy: PollPolicy, watched: Watched) -> None:
        self._source = source
        self._policy = policy
        self._watched = watched

    def joined(self, job: WatchedJob, *, fresh: bool) -> None:
        if len(job.waiters) == 1:
            self._job = job
            delay = self._policy.initial_delay if fresh else 0.0
            self._first_look = anyio.current_time() + delay
            self._begin()

    def _begin(self) -> None:
        job, policy = self._job, self._policy
        loop = policy.polling(
            lambda report: not report.is_terminal, lambda error: is_borne(job, error, policy)
        )
        self._attempts = aiter(loop)

    async def next(self) -> None:
        try:
            await anyio.sleep(max(0.0, self._first_look - anyio.current_time()))
            report = await self._answer()
        except BaseException:
            # A loop that was left half-way does not go on.
            self._begin()
            raise
        self._watched.hear(self._job, report, anyio.current_time())

    async def _answer(self) -> StatusReport:
        while True:
            attempt = await anext(self._attempts)
            with attempt:
                report = await ask_source(self._source, self._job.job_id)
            outcome = attempt.retry_state.outcome
            if outcome is None or not outcome.failed:
                attempt.retry_state.set_result(report)
                return report
            _log.debug("a look failed: %s", outcome.exception())


async def ask_source(source: StatusSource, job_id: str) -> StatusReport:
    """One look through a source, which is held to its contract.

    Raises:
        ConfigurationError: it is not async, or returned something else than a report.
    """
    asked = source(job_id)
    if not inspect.isawaitable(asked):
        raise ConfigurationError("the status source is not async: must be an `async def`")
    report = await asked
    if not isinstance(report, StatusReport):
        raise ConfigurationError(
            f"the status source returned {type(report).__name__}: must be a StatusReport"
        )
    # A gateway may know the job by another name; here it keeps its own.
    return report if report.job_id == job_id else report.model_copy(update={"job_id": job_id})
