"""Which DLI endpoints exist: path and model in, model out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

import anyio.to_thread
from pydantic import BaseModel, ValidationError

from .._values.catalog import DatabaseRow, QueueRow, TableDescription, TableRow
from .._values.errors import ConfigurationError, DliError, InvalidResponse
from .._values.reports import ExportAccepted, JobDetail, JobProgress, JobRow, StatusReport
from .._values.spec import Posting
from .answers import Answer
from .call import Call
from .exchange import Http
from .paging import PAGE_SIZE as PAGE_SIZE
from .paging import all_pages

# Services that do not heed the size of a page show all there is.
_MOST_ROWS = 20_000
_MANY_ROWS = 500
_MOST_COUNTED = 10**12

Model = TypeVar("Model", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobPage:
    """One page of the job list; `job_count` counts all pages."""

    rows: tuple[JobRow, ...]
    job_count: int


class Api:
    """The endpoints of one project.

    Args:
        http: carries the exchanges.
        project_id: tells the project, finding it out at the first call.
    """

    def __init__(self, http: Http, project_id: Callable[[], Awaitable[str]]) -> None:
        self.http = http
        self.project_id = project_id

    async def export(
        self,
        posting: Posting,
        leave: Callable[[], Awaitable[None]],
        settle: Callable[[ExportAccepted | DliError], None],
    ) -> None:
        """Posts an export once (dli_02_0020, dli_02_0102, dli_02_0024).

        `leave` is awaited when the request is about to leave, and then `settle` is called, exactly
        once, with what came of it; not if `leave` raised.
        """
        path = await self.http.unsent(self._path(posting.route, **posting.names))

        def read(outcome: Answer | DliError) -> None:
            settle(outcome if isinstance(outcome, DliError) else _accepted(outcome))

        await self.http.post(Call("POST", path, body=posting.body), leave, read)

    async def status(
        self,
        job_id: str,
        *,
        path: str = "/v1.0/{project_id}/jobs/{job_id}/status",
        repeat: bool = True,
    ) -> StatusReport:
        """One look at a job (dli_02_0021)."""
        call = Call("GET", await self._path(path, job_id=job_id))
        answer = await self.http.request(call, repeat=repeat)
        extra = {"retry_after": answer.retry_after}
        return await _read(answer, partial(_parse, StatusReport, answer, {"job_id": job_id}, extra))

    async def cancel_job(self, job_id: str) -> None:
        """Asks the service to cancel a job (dli_02_0104); the end must be looked for."""
        path = await self._path("/v1.0/{project_id}/jobs/{job_id}", job_id=job_id)
        await self.http.request(Call("DELETE", path))

    async def job_detail(self, job_id: str) -> JobDetail:
        """What a job was asked to do (dli_02_0022)."""
        path = await self._path("/v1.0/{project_id}/jobs/{job_id}/detail", job_id=job_id)
        answer = await self._get(path)
        return await _read(answer, partial(_parse, JobDetail, answer, {"job_id": job_id}))

    async def job_progress(self, job_id: str) -> JobProgress:
        """How far a job is (dli_02_0296); under /v1/, unlike the rest."""
        path = await self._path("/v1/{project_id}/jobs/{job_id}/progress", job_id=job_id)
        answer = await self._get(path)
        return await _read(answer, partial(_parse, JobProgress, answer, {"job_id": job_id}))

    async def list_jobs(
        self, params: Mapping[str, str | int | None], *, page: int = 1, repeat: bool = True
    ) -> JobPage:
        """One page of jobs (dli_02_0025); `params` are the page's own names."""
        paging = {"page-size": PAGE_SIZE, "current-page": page}
        call = Call("GET", await self._path("/v1.0/{project_id}/jobs"), {**params, **paging})
        answer = await self.http.request(call, repeat=repeat)
        rows = await _rows(JobRow, answer, "jobs")
        count = _count(answer, "job_count")
        # An answer that shows nothing must not pass for one that says that there is nothing.
        if answer.data.get("jobs") is None:
            raise _invalid(answer, "the answer holds no list of jobs")
        if not rows and count > PAGE_SIZE * (page - 1):
            raise _invalid(answer, f"a list of {count} jobs shows none of them")
        return JobPage(tuple(rows), count)

    def jobs(self, params: Mapping[str, str | int | None]) -> AsyncIterator[JobRow]:
        """All pages of jobs; a row that moved from one page to the next is given once."""

        async def fetch(page: int, _: int) -> tuple[Sequence[JobRow], int]:
            found = await self.list_jobs(params, page=page)
            return found.rows, found.job_count

        return all_pages(fetch, lambda row: row.job_id)

    def databases(self, keyword: str | None) -> AsyncIterator[DatabaseRow]:
        """All databases (dli_02_0029)."""

        async def fetch(_: int, offset: int) -> tuple[Sequence[DatabaseRow], int]:
            params = {"offset": offset, "limit": PAGE_SIZE, "keyword": keyword}
            answer = await self._get(await self._path("/v1.0/{project_id}/databases"), params)
            rows = await _rows(DatabaseRow, answer, "databases")
            return rows, _count(answer, "database_count")

        return all_pages(fetch, lambda row: row.database_name)

    def tables(
        self, database: str, params: Mapping[str, str | bool | None]
    ) -> AsyncIterator[TableRow]:
        """All tables of a database (dli_02_0105)."""

        async def fetch(page: int, _: int) -> tuple[Sequence[TableRow], int]:
            path = await self._path(
                "/v1.0/{project_id}/databases/{database}/tables", database=database
            )
            paging = {"page-size": PAGE_SIZE, "current-page": page}
            answer = await self._get(path, {**params, **paging})
            rows = await _rows(TableRow, answer, "tables", {"database_name": database})
            return rows, _count(answer, "table_count")

        return all_pages(fetch, lambda row: row.table_name)

    async def table(self, database: str, table: str) -> TableDescription:
        """One table and its columns (dli_02_0033)."""
        path = await self._path(
            "/v1.0/{project_id}/databases/{database}/tables/{table}",
            database=database,
            table=table,
        )
        names = {"database_name": database, "table_name": table}
        answer = await self._get(path)
        return await _read(answer, partial(_parse, TableDescription, answer, names))

    async def queues(self) -> AsyncIterator[QueueRow]:
        """All queues of every type (dli_02_0196); the service lists only `sql` ones by default."""
        answer = await self._get(
            await self._path("/v1.0/{project_id}/queues"), {"queue_type": "all"}
        )
        for row in await _rows(QueueRow, answer, "queues"):
            yield row

    async def _get(
        self, path: str, params: Mapping[str, str | int | bool | None] | None = None
    ) -> Answer:
        return await self.http.request(Call("GET", path, params))

    async def _path(self, template: str, **names: str) -> str:
        if "{project_id}" in template:
            names["project_id"] = await self.project_id()
        try:
            return template.format_map({key: _segment(key, name) for key, name in names.items()})
        except (LookupError, ValueError) as error:
            raise ConfigurationError(f"path={template!r}: cannot be filled in: {error}") from None


def _segment(key: str, name: str) -> str:
    """A name as one segment of a path, which it must not change."""
    if name in ("", ".", ".."):
        raise ConfigurationError(f"{key}={name!r}: is not a name")
    return quote(name, safe="")


def _accepted(answer: Answer) -> ExportAccepted | DliError:
    try:
        return _parse(ExportAccepted, answer)
    except InvalidResponse as error:
        return error


def _parse(
    model: type[Model],
    answer: Answer,
    defaults: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Model:
    given = {key: value for key, value in answer.data.items() if value is not None}
    asked = {key: value for key, value in (defaults or {}).items() if not given.get(key)}
    return _item(model, {**given, **asked, **(extra or {})}, answer)


def _item(model: type[Model], data: Any, answer: Answer) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        why = f"{model.__name__} cannot be read: {field}: {first['msg']}"
        raise _invalid(answer, why) from error


async def _rows(
    model: type[Model], answer: Answer, key: str, asked: Mapping[str, Any] | None = None
) -> list[Model]:
    """The rows of a list, with what the service was asked by in each."""
    rows = _items(answer, key)
    extra = dict(asked or {})
    return await _read(
        answer, lambda: [_item(model, row | extra, answer) for row in rows], many=len(rows)
    )


def _items(answer: Answer, key: str) -> list[dict[str, Any]]:
    rows = answer.data.get(key)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _invalid(answer, f"{key} is not a list of objects")
    if len(rows) > _MOST_ROWS:
        raise _invalid(answer, f"{key} has {len(rows)} rows, more than {_MOST_ROWS}")
    return rows


async def _read(answer: Answer, make: Callable[[], T], *, many: int = 0) -> T:
    """Makes something of an answer; of a large one, away from the event loop."""
    if answer.is_large or many > _MANY_ROWS:
        return await anyio.to_thread.run_sync(make)
    return make()


def _count(answer: Answer, key: str) -> int:
    """How many rows there are; 0 where that is not told.

    Raises:
        InvalidResponse: the number cannot be true.
    """
    said = answer.data.get(key) or 0
    try:
        count = int(said)
    except (TypeError, ValueError):
        return 0
    except OverflowError:
        count = -1
    if not 0 <= count <= _MOST_COUNTED:
        raise _invalid(answer, f"{key} is not a number of rows")
    return count


def _invalid(answer: Answer, why: str) -> InvalidResponse:
    return InvalidResponse(
        why, status_code=answer.status_code, text=answer.text, request_id=answer.request_id
    )
