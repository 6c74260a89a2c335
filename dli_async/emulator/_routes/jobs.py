"""The calls about jobs: submit, status, list, detail, progress, cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._jobs import rendering as _rendering
from .._jobs.crowd import Crowd
from .._jobs.job import CANCELLED, FAILED, FINISHED, RUNNING, Fate, Job
from .._jobs.job_table import JobTable
from .._jobs.listing import ARGUMENTS, Query, View
from .._protocol.answers import DLI_CODES, Answer, Refused, dli_error, gateway_error
from .._protocol.calls import Call, Route
from .._protocol.specs import Spec, read_spec
from ..faults import Fault, Faults
from .metadata import Catalogue

_SHOWN = {
    "unknown-status": (RUNNING, "COMPUTED"),
    "scaling": (RUNNING, "SCALING"),
    "finish": (FINISHED, "FINISH"),
}
_NEVER_STARTS = ("DLI.0012", "DLI.1028")
_SHIFT = 3


class JobRoutes:
    """Answers the calls about jobs.

    `check_folder` is asked before a job is accepted; it refuses folders that cannot be.
    """

    def __init__(
        self,
        table: JobTable,
        catalogue: Catalogue,
        faults: Faults,
        check_folder: Callable[[Spec], None],
    ) -> None:
        self._table = table
        self._catalogue = catalogue
        self._faults = faults
        self._check_folder = check_folder
        self._crowd = Crowd(self._names_of_tables)

    def routes(self) -> list[Route]:
        """The routes of this file; `progress` alone is under /v1/."""
        base = "/v1.0/{project}/jobs"
        progress = "/v1/{project}/jobs/{job}/progress"
        return [
            Route("export-table", "POST", f"{base}/export-table", self.export_table),
            Route("status", "GET", f"{base}/{{job}}/status", self.status),
            Route("list-jobs", "GET", base, self.list_jobs, ARGUMENTS),
            Route("detail", "GET", f"{base}/{{job}}/detail", self.detail),
            Route("progress", "GET", progress, self.progress),
            Route("cancel", "DELETE", f"{base}/{{job}}", self.cancel),
        ]

    def names_of(self, job_id: str) -> tuple[str, ...]:
        """What a fault's glob may match for a job."""
        job = self._table.by_id.get(job_id)
        return job.spec.names if job else ()

    def export_table(self, call: Call) -> Answer:
        """POST .../jobs/export-table (dli_02_0020)."""
        spec = read_spec(call)
        self.check_queue(spec.queue_name)
        table = self._catalogue.table(spec.database_name, spec.table_name)
        name = f"{spec.database_name}.{spec.table_name}"
        if table.kind != "MANAGED":
            # Which code the service has for this is a guess; that it refuses is in dli_01_0010.
            text = f"{name} is {table.kind}; only tables stored in DLI can be exported"
            raise Refused(dli_error("DLI.0007", text))
        self._check_folder(spec)
        job = self._table.submit(spec, call.now, call.caller, self.fate(call))
        text = f"export all data from table {name} to path {spec.data_path} started"
        return _success(message=text, job_id=job.job_id, job_mode="async")

    def check_queue(self, name: str) -> None:
        """Refuses a queue that is not there."""
        if name not in self._table.queues:
            # DLI.0008 in the Chinese documents, DLI.0002 in the newer English ones (dli_02_0056).
            raise Refused(dli_error("DLI.0008", f"There is no queue named {name}."))

    def fate(self, call: Call) -> Fate | None:
        """The end that a fault has decided for the job that this call is to make, if any."""
        if fault := self._faults.state("fail", call):
            code = fault.word.form
            share = None if code in _NEVER_STARTS else 1.0
            return Fate(FAILED, f"{code}: {DLI_CODES[code][1]}", share)
        if self._faults.state("cancelled-by-other", call):
            return Fate(CANCELLED, "The job was cancelled by user somebody-else.", 0.5)
        return None

    def status(self, call: Call) -> Answer:
        """GET .../jobs/{id}/status (dli_02_0021)."""
        job = self.find(call)
        columns = self._catalogue.columns(*job.spec.table) if any(job.spec.table) else ""
        return Answer(_rendering.status(job, call.now, self._shown(call, job), columns))

    def detail(self, call: Call) -> Answer:
        """GET .../jobs/{id}/detail (dli_02_0022)."""
        return Answer(_rendering.detail(self.find(call), call.now))

    def progress(self, call: Call) -> Answer:
        """GET /v1/.../jobs/{id}/progress (dli_02_0296)."""
        job = self.find(call)
        return Answer(_rendering.progress(job, call.now, self._shown(call, job)))

    def cancel(self, call: Call) -> Answer:
        """DELETE .../jobs/{id} (dli_02_0104): a request, which may come too late."""
        job = self.find(call)
        if job.owner != call.caller:
            raise Refused(dli_error("DLI.0003", "No permission to cancel the job of another user"))
        if job.has_ended(call.now):
            # That it is refused is documented, the code is a guess.
            text = f"The job {job.job_id} is {job.state} and cannot be cancelled."
            raise Refused(dli_error("DLI.0007", text))
        slow = self._faults.state("slow-cancel", call)
        self._table.cancel(job, call.now, slow.word.number if slow else 0.0)
        return _success()

    def list_jobs(self, call: Call) -> Answer:
        """GET .../jobs (dli_02_0025)."""
        if self._faults.state("list-refused", call):
            raise Refused(gateway_error(403, "The IAM user is forbidden: dli:jobs:list_all"))
        query = Query.of(call)
        view = self._view(call, query)
        total, seen = query.select(self._table, view)
        rows = [_rendering.row(job, view.moment, state) for job, state in seen]
        return _success(job_count=total, jobs=rows)

    def _view(self, call: Call, query: Query) -> View:
        lag = self._faults.state("list-lag", call)
        crowd = self._faults.state("foreign-jobs", call)
        shift = self._faults.state("shifting-pages", call) if query.page > 1 else None
        return View(
            moment=call.now - (lag.word.number if lag else 0.0),
            lags=lag is not None,
            foreign=self._crowd.jobs(call.now, int(crowd.word.number)) if crowd else (),
            # Up or down by chance: what one reading misses, another shows (or shows twice).
            shift=shift.random.choice((_SHIFT, -_SHIFT)) if shift else 0,
            show=self._show(call),
        )

    def _shown(self, call: Call, job: Job) -> str:
        state = job.state_at(call.now)
        for kind, (real, word) in _SHOWN.items():
            if state == real and self._faults.state(kind, call):
                return word
        return state

    def _show(self, call: Call) -> Callable[[Job, str], str] | None:
        bent = [
            (fault, *words)
            for kind, words in _SHOWN.items()
            if (fault := self._faults.state(kind, call, whole=True))
        ]
        return _shown_as(bent) if bent else None

    def find(self, call: Call) -> Job:
        """The job of the call's path; DLI.0002 if there is none, or seems to be none yet."""
        job_id = call.params["job"]
        job = self._table.by_id.get(job_id) or self._crowd.find(job_id)
        if job is None or self._is_too_young(call, call.now - job.created_at):
            # 400 rather than 404, as clients of the real service report; the code is a guess.
            raise Refused(dli_error("DLI.0002", f"There is no job with id {job_id}."))
        return job

    def _is_too_young(self, call: Call, age: float) -> bool:
        lag = self._faults.state("status-lag", call, applies=lambda fault: age < fault.word.number)
        return lag is not None

    def _names_of_tables(self) -> list[tuple[str, str]]:
        names = self._catalogue.databases()
        return [(name, table.name) for name in names for table in self._catalogue.tables(name)]


def _shown_as(bent: list[tuple[Fault, str, str]]) -> Callable[[Job, str], str]:
    def show(job: Job, state: str) -> str:
        for fault, real, word in bent:
            if state == real and fault.concerns(job.spec.names):
                return word
        return state

    return show


def _success(*, message: str = "", **fields: Any) -> Answer:
    return Answer({"is_success": True, "message": message, **fields})
