"""What a project holds: jobs, databases, tables, queues, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from .._values.catalog import DatabaseRow, QueueRow, TableDescription, TableRow
from .._values.enums import JobStatus
from .._values.errors import ConfigurationError
from .._values.reports import JobRow, StatusReport
from .api import Api


class Catalogue:
    """The lists of a client, as async iterators over all pages."""

    @property
    def api(self) -> Api:
        """The endpoints."""
        raise NotImplementedError

    async def project_id(self) -> str:
        """The project that requests go to; looked up at the first call if need be."""
        return await self.api.project_id()

    async def status(self, job_id: str) -> StatusReport:
        """One look at a job (dli_02_0021), without repeats; a `StatusSource` may ask it.

        Raises:
            ApiError, RequestError: the look failed.
        """
        return await self.api.status(job_id, repeat=False)

    async def jobs(
        self,
        *,
        status: JobStatus | str | None = None,
        job_type: str = "EXPORT",
        queue_name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        owner: str | None = None,
        order: str = "start_time_desc",
    ) -> AsyncIterator[JobRow]:
        """Iterates over jobs, newest first by default, page by page (dli_02_0025).

        Args:
            status: only jobs in this state.
            job_type: such as `EXPORT` (default), `QUERY` or `ALL`.
            since, until: only jobs that started in between; they need a time zone.
            order: `start_time_desc`, `start_time_asc`, `duration_desc` or `duration_asc`.
        """
        params: dict[str, str | int | None] = {
            "job-type": job_type,
            "job-status": str(status) if status else None,
            "queue_name": queue_name,
            "start": _millis("since", since),
            "end": _millis("until", until),
            "owner": owner,
            "order": order,
        }
        async for row in self.api.jobs(params):
            yield row

    async def databases(self, *, keyword: str | None = None) -> AsyncIterator[DatabaseRow]:
        """Iterates over the databases (dli_02_0029); `keyword` matches part of a name."""
        async for row in self.api.databases(keyword):
            yield row

    async def tables(
        self,
        database: str,
        *,
        keyword: str | None = None,
        with_detail: bool = False,
        table_type: str | None = None,
    ) -> AsyncIterator[TableRow]:
        """Iterates over the tables of a database (dli_02_0105).

        Args:
            keyword: matches part of a name.
            with_detail: whether rows tell sizes and times too (default False).
            table_type: the page's filter words, such as `MANAGED_TABLE`.
        """
        params = {"keyword": keyword, "with-detail": with_detail, "table-type": table_type}
        async for row in self.api.tables(database, params):
            yield row

    async def table(self, database: str, table: str) -> TableDescription:
        """One table and its columns (dli_02_0033)."""
        return await self.api.table(database, table)

    async def queues(self) -> AsyncIterator[QueueRow]:
        """Iterates over the queues of every type (dli_02_0196)."""
        async for row in self.api.queues():
            yield row


def _millis(name: str, moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ConfigurationError(f"{name}={moment!r}: must have a time zone")
    return int(moment.timestamp() * 1000)
