"""The calls by SQL: submit a statement, look at a result, export it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from .._engine.engine import UnsafePath
from .._engine.sql.conf import read_conf
from .._engine.sql.errors import SqlError, unsupported
from .._engine.sql.plan import Plan, Result, SqlEngine
from .._engine.sql.statement import kind_of
from .._jobs.job import FAILED, FINISHED, Fate, Job
from .._jobs.job_table import JobTable
from .._jobs.sql_specs import ResultSpec, SqlSpec
from .._protocol.answers import Answer, Refused, dli_error
from .._protocol.calls import Call, Route
from .._protocol.sql_bodies import SqlBody, read_result_body, read_sql_body
from .jobs import JobRoutes

__all__ = ["OffLoop", "SqlCheck", "SqlRoutes"]

SqlCheck = Literal["submit", "job"]
OffLoop = Callable[[Callable[[], Any]], Awaitable[Any]]

_ARGUMENTS = frozenset({"page-size", "queue-name"})
_MOST_SHOWN = 1_000
# The documents have these as errors of a request and as messages of jobs that failed.
_LEFT_OPEN = ("DLI.0002", "DLI.0004", "DLI.0005")
_ONLY_JOBS_FAIL = "DLI.0999"


class SqlRoutes:
    """Answers the calls by SQL.

    Args:
        table: where jobs are.
        engine: runs the statements; None refuses them all.
        jobs: finds jobs, and knows the faults that are laid on them.
        check_folder: is asked before a result is exported; it refuses folders that cannot be.
        off_loop: runs what takes its time, and answers what it answers.
        sql_check: whether a wrong statement is refused, or accepted as a job that fails.
        result_life: seconds for which a result can be asked for; None is for ever.
        job_bucket: where results are kept in full as csv; empty is nowhere.
    """

    def __init__(
        self,
        table: JobTable,
        engine: SqlEngine | None,
        jobs: JobRoutes,
        check_folder: Callable[[ResultSpec], None],
        off_loop: OffLoop,
        *,
        sql_check: SqlCheck,
        result_life: float | None,
        job_bucket: str,
    ) -> None:
        self._table = table
        self._engine = engine
        self._jobs = jobs
        self._check_folder = check_folder
        self._off_loop = off_loop
        self._sql_check = sql_check
        self._result_life = result_life
        self._job_bucket = job_bucket

    def routes(self) -> list[Route]:
        """The routes of this file."""
        base = "/v1.0/{project}/jobs"
        one = f"{base}/{{job}}"
        return [
            Route("submit-job", "POST", f"{base}/submit-job", self.submit_job),
            Route("export-result", "POST", f"{one}/export-result", self.export_result),
            Route("preview", "GET", f"{one}/preview", self.preview, _ARGUMENTS),
        ]

    async def submit_job(self, call: Call) -> Answer:
        """POST .../jobs/submit-job (dli_02_0102)."""
        body = read_sql_body(call)
        self._jobs.check_queue(body.queue_name)
        plan: Plan | None = None
        fate: Fate | None = None
        kind = kind_of(body.sql)
        try:
            plan = await self._plan(body)
            kind = "QUERY" if plan.format is None else "INSERT"
        except SqlError as error:
            if not self._is_for_a_job(error):
                raise Refused(dli_error(error.code, str(error))) from None
            fate = Fate(FAILED, f"{error.code}: {error}", 0.0)
        except UnsafePath as unsafe:
            raise Refused(dli_error("DLI.0001", str(unsafe))) from None
        fate = fate or self._jobs.fate(call)
        job = self._table.submit(self._spec(body, kind, plan), call.now, call.caller, fate)
        return _success(job_id=job.job_id, job_type=kind, job_mode="async")

    async def _plan(self, body: SqlBody) -> Plan:
        if self._engine is None:
            raise unsupported("SQL on an engine of one's own")
        engine, conf = self._engine, read_conf(body.conf)
        plan: Plan = await self._off_loop(lambda: engine.plan(body.sql, body.database, conf))
        return plan

    def _is_for_a_job(self, error: SqlError) -> bool:
        by_choice = self._sql_check == "job" and error.code in _LEFT_OPEN
        return by_choice or error.code == _ONLY_JOBS_FAIL

    def _spec(self, body: SqlBody, kind: str, plan: Plan | None) -> SqlSpec:
        return SqlSpec(
            job_type=kind,
            statement=body.sql,
            database=body.database,
            queue_name=body.queue_name,
            conf=body.conf,
            tags=body.tags,
            plan=plan,
            job_bucket=self._job_bucket,
        )

    def export_result(self, call: Call) -> Answer:
        """POST .../jobs/{id}/export-result (dli_02_0024)."""
        query = self._jobs.find(call)
        body = read_result_body(call)
        self._jobs.check_queue(body.queue_name)
        spec = ResultSpec(query.job_id, body, self._result(query, call.now))
        self._check_folder(spec)
        job = self._table.submit(spec, call.now, call.caller, self._jobs.fate(call))
        text = f"export the result of job {query.job_id} to path {body.data_path} started"
        return _success(message=text, job_id=job.job_id, job_mode="async")

    async def preview(self, call: Call) -> Answer:
        """GET .../jobs/{id}/preview (dli_02_0312): the first rows, without pages."""
        query = self._jobs.find(call)
        size = call.number("page-size", _MOST_SHOWN, 1, _MOST_SHOWN)
        if queue := call.arguments.get("queue-name", ""):
            self._jobs.check_queue(queue.lower())
        result = self._result(query, call.now)
        assert self._engine is not None
        engine = self._engine
        rows = await self._off_loop(lambda: engine.preview(result, size))
        return _success(
            job_id=query.job_id,
            job_type="QUERY",
            row_count=result.rows,
            input_size=query.exported.input_size if query.exported else 0,
            schema=[{column.name: column.type} for column in result.columns],
            rows=rows,
        )

    def _result(self, query: Job, now: float) -> Result:
        """The result of a query that has finished.

        Which code a job without one has is a guess.
        """
        if query.spec.job_type != "QUERY":
            text = (
                f"The job {query.job_id} is of type {query.spec.job_type}; only QUERY has a result"
            )
            raise Refused(dli_error("DLI.0001", text))
        if query.state_at(now) != FINISHED or query.exported is None or query.ended_at is None:
            text = f"The job {query.job_id} is {query.state_at(now)}; only FINISHED has a result"
            raise Refused(dli_error("DLI.0001", text))
        if self._result_life is not None and now - query.ended_at >= self._result_life:
            raise Refused(dli_error("DLI.0100", f"The result of job {query.job_id} has expired"))
        result: Result = query.exported.result
        return result


def _success(*, message: str = "", **fields: Any) -> Answer:
    return Answer({"is_success": True, "message": message, **fields})
