"""`dli-async bulk`: exports many tables, and goes on where an earlier run stopped."""

from __future__ import annotations

import os
from dataclasses import asdict
from fnmatch import fnmatchcase

import anyio
import anyio.to_thread

from ..._client import DliClient
from ..._journal.entries import JournalEntry
from ..._journal.journal import Journal, JournalReader
from ..._values.catalog import TableRow
from ..._values.errors import DliError
from ...bulk import ExportOutcome
from .._shell.connection import Connection
from .._shell.failures import Exit, Failure
from .._shell.output import Output, are, counted, table_of
from .._shell.run import run
from .options import BulkRequest
from .plan import Plan, make_plan
from .plan_file import Row, read_rows
from .progress import run_progress
from .stats import RunStats
from .summary import interrupted, left_behind, show_plan, show_summary


def bulk(output: Output, connection: Connection, request: BulkRequest) -> Exit:
    """Plans and exports, or only plans."""
    bulk_run = _BulkRun(output, connection, request)
    return run(output, bulk_run.work, bulk_run.interrupted)


class _BulkRun:
    """One run, from plan to summary; an interrupt or an error tells what it leaves behind."""

    def __init__(self, output: Output, connection: Connection, request: BulkRequest) -> None:
        self._output = output
        self._connection = connection
        self._request = request
        self._client: DliClient | None = None

    async def work(self) -> Exit:
        request = self._request
        entries = await self._entries()
        rows = await self._rows()
        to, date = request.source.to, request.source.date
        defaults = request.files.fields() | ({} if to is None else {"data_path": to})
        plan = make_plan(rows, defaults, date=date, entries=entries, landed=request.landed)
        if plan.left_alone:
            verb = are(plan.left_alone)
            self._output.note(
                f"warning: {counted(plan.left_alone, 'unended export')} of the journal {verb} not "
                f"in this plan and {verb} left alone"
            )
        if request.dry_run:
            return show_plan(self._output, plan)
        return await self._export(plan)

    def interrupted(self) -> Failure:
        jobs = self._client.detached if self._client else []
        return interrupted(self._output, jobs, self._request.journal)

    async def _entries(self) -> list[JournalEntry]:
        """What the journal holds; proves that it can be used, unless this is a dry run."""
        path = self._request.journal
        if path is None:
            return []
        if not self._request.dry_run:
            async with Journal.open(path, owner=f"plan {os.getpid()}", exclusive=True) as journal:
                return await journal.entries()
        return await JournalReader(path).entries() if await anyio.Path(path).exists() else []

    async def _rows(self) -> list[Row]:
        source = self._request.source
        if source.plan_file is not None:
            return await anyio.to_thread.run_sync(read_rows, source.plan_file)
        async with self._open_client() as client:
            found = [
                row
                for database in dict.fromkeys(source.databases or [])
                async for row in client.tables(database)
                if self._is_wanted(row)
            ]
        rows = [_row_of(table) for table in found if _is_managed(table)]
        if len(rows) < len(found):
            others = len(found) - len(rows)
            they = "it" if others == 1 else "they"
            self._output.note(
                f"{others} of {counted(len(found), 'table')} {are(others)} not MANAGED, so that "
                f"{they} cannot be exported"
            )
        return rows

    def _is_wanted(self, row: TableRow) -> bool:
        patterns = self._request.source.patterns
        name = row.table_name.lower()
        return not patterns or any(fnmatchcase(name, pattern.lower()) for pattern in patterns)

    async def _export(self, plan: Plan) -> Exit:
        request = self._request
        again = f"; goes on with the run of {plan.date}" if plan.resumes else ""
        self._output.note(f"exporting {counted(len(plan.specs), 'table')}{again}")
        outcomes: list[ExportOutcome] = []
        stats = RunStats(len(plan.specs))
        async with self._open_client() as self._client:
            with run_progress(self._output, stats) as display:
                try:
                    async with self._client.export_many(
                        plan.specs,
                        journal=request.journal,
                        on_event=display,
                        **asdict(request.limits),
                        **asdict(request.landed),
                    ) as stream:
                        outcomes = [outcome async for outcome in stream]
                except DliError:
                    if jobs := self._client.detached:
                        self._output.note(left_behind(self._output, jobs, request.journal))
                    raise
        return show_summary(self._output, plan, outcomes, stats, request.journal)

    def _open_client(self) -> DliClient:
        return self._connection.client(
            requests_per_second=self._request.requests_per_second, table_exports=self._request.via
        )


def _is_managed(table: TableRow) -> bool:
    return (table.table_type or "MANAGED").upper().removesuffix("_TABLE") == "MANAGED"


def _row_of(table: TableRow) -> Row:
    fields = {"database_name": table.database_name, "table_name": table.table_name}
    return Row(table_of(table), fields)
