"""Asking for the status of one job until it ends.

`StatusSource` is the pluggable part: job id in, report out. The loop around it is tenacity's; how
long a wait may last is the business of whoever waits, with an anyio scope.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio

from ..._http.api import Api
from ..._http.transport import TRANSPORT_ERRORS
from ..._values.errors import ApiError, ConfigurationError, DliError, NotFound, twin_of
from ..._values.policies import PollPolicy, RetryCallState, is_transient
from ..._values.reports import StatusReport
from ..errors import JobTimeout

_log = logging.getLogger("dli_async.watch")

E = TypeVar("E", bound=Exception)

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


class _Patience:
    """Which errors of a look are noise, and for how long.

    Noise is what may pass: no answer, throttling, server trouble, and "no such job" while the job
    is new or was just seen. Facts (a refused login, a wrong id) end the wait at once.
    """

    def __init__(self, policy: PollPolicy) -> None:
        self._policy = policy
        self._known_at = anyio.current_time()
        self._failing_since: float | None = None
        self.last_error: BaseException | None = None

    def relax(self) -> None:
        self._known_at = anyio.current_time()
        self._failing_since = None

    def is_noise(self, error: BaseException) -> bool:
        self.last_error = error
        now = anyio.current_time()
        if isinstance(error, NotFound):
            return now - self._known_at < self._policy.missing_grace
        if not is_noise(error):
            return False
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since < self._policy.give_up_after

    def end(self, job_id: str, report: StatusReport | None) -> DliError | None:
        """What the last error means for the wait; None if it is not about looking."""
        error = self.last_error
        if isinstance(error, ApiError) and not is_transient(error):
            return fact_about(job_id, error)
        if error is not None and is_noise(error):
            return kept_failing(job_id, error, report, self._policy)
        return None


def fact_about(job_id: str, error: E) -> E:
    """An error that ends one wait; each gets its own, since tracebacks and notes grow."""
    fact = twin_of(error)
    if isinstance(fact, ApiError):
        fact.job_id = job_id
        fact.add_note(f"while waiting for job {job_id}")
    return fact


def kept_failing(
    job_id: str, last: BaseException, report: StatusReport | None, policy: PollPolicy
) -> JobTimeout:
    """The end of a wait whose looks failed for too long."""
    return JobTimeout(
        f"looking at job {job_id} kept failing for {policy.give_up_after:g} s; "
        f"the job may still run (last: {last})",
        job_id=job_id,
        report=report,
    )


def is_noise(error: BaseException) -> bool:
    """Whether a look failed in a way that may pass, be it through us or a user's own source."""
    if isinstance(error, DliError):
        return is_transient(error)
    return isinstance(error, TRANSPORT_ERRORS)


class Polling:
    """The tenacity loop over one job, a report at a time; each may be waited for by another task.

    Args:
        source: is asked with `job_id`.
        delay: seconds before the first look.
    """

    def __init__(
        self,
        source: StatusSource,
        job_id: str,
        policy: PollPolicy,
        *,
        delay: float = 0.0,
    ) -> None:
        self._source = source
        self._job_id = job_id
        self._delay = delay
        self._patience = _Patience(policy)
        self._attempts = aiter(policy.polling(_unfinished, self._patience.is_noise))
        self._report: StatusReport | None = None

    async def next(self) -> StatusReport:
        """Looks, when it is time to, until there is an answer.

        It is not to be called again after a terminal report, or after an error or cancellation.

        Raises:
            JobTimeout: looks failed for `policy.give_up_after` seconds.
            ApiError: a fact that ends the wait, such as `NotFound` or `PermissionDenied`.
        """
        delay, self._delay = self._delay, 0.0
        await anyio.sleep(delay)
        try:
            while True:
                attempt = await anext(self._attempts)
                with attempt:
                    report = await ask_source(self._source, self._job_id)
                if not _failed(attempt.retry_state):
                    break
        except Exception as error:
            patience = self._patience
            is_told = error is patience.last_error
            end = patience.end(self._job_id, self._report) if is_told else None
            if end is None:
                raise
            raise end from error
        self._patience.relax()
        attempt.retry_state.set_result(report)
        self._report = report
        return report


def _unfinished(report: StatusReport) -> bool:
    return not report.is_terminal


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


def _failed(state: RetryCallState) -> bool:
    if state.outcome is None or not state.outcome.failed:
        return False
    _log.debug("a look failed: %s", state.outcome.exception())
    return True
