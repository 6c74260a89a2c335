"""`dli-async bulk`: exports many tables, and goes on where an earlier run stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from ..._client import DliClient
from ..._journal.entries import JournalEntry
from ..._journal.journal import Journal, JournalReader
from ..._values.catalog import TableRow
from ..._values.errors import DliError
from ...bulk import ExportOutcome
from .._shell.failures import Exit, Failure
from .._shell.options import Connection
from .._shell.output import Output, are, counted
from .._shell.run import run
from .plan import Plan, make_plan
from .plan_file import Row, read_rows
from .progress import Tally, open_board
from .summary import interrupted, left_behind, report, show_plan


@dataclass(frozen=True, kw_only=True)
class BulkRequest:
    """What `dli-async bulk` was asked.

    Attributes:
        databases, tables: which tables to export; `tables` are patterns, none means all.
        plan_file: a file in their place.
        fields: those of a `TableExport` that all exports share unless the file says otherwise;
            `data_path` may have placeholders.
        date: what `{date}` stands for, or None.
        options: those of `DliClient.export_many`.
        requests_per_second: the budget of the client, or None.
    """

    databases: Sequence[str]
    tables: Sequence[str]
    plan_file: Path | None
    fields: dict[str, Any]
    date: str | None
    journal: Path | None
    options: dict[str, Any]
    requests_per_second: float | None
    dry_run: bool


def bulk(output: Output, connection: Connection, request: BulkRequest) -> Exit:
    """Plans and exports, or only plans."""
    errand = _Errand(output, connection, request)
    return run(output, errand.work, errand.interrupted)


class _Errand:
    """A bulk run, which an interrupt or an error must not lose."""

    def __init__(self, output: Output, connection: Connection, request: BulkRequest) -> None:
        self._output = output
        self._connection = connection
        self._request = request
        self._client: DliClient | None = None

    async def work(self) -> Exit:
        request = self._request
        entries = await self._entries()
        rows = await self._rows()
        plan = make_plan(rows, request.fields, date=request.date, entries=entries)
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
        if self._request.plan_file is not None:
            return await anyio.to_thread.run_sync(read_rows, self._request.plan_file)
        async with self._open_client() as client:
            found = [
                row
                for database in dict.fromkeys(self._request.databases)
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
        patterns = self._request.tables
        name = row.table_name.lower()
        return not patterns or any(fnmatchcase(name, pattern.lower()) for pattern in patterns)

    async def _export(self, plan: Plan) -> Exit:
        request = self._request
        again = f"; goes on with the run of {plan.date}" if plan.resumes else ""
        self._output.note(f"exporting {counted(len(plan.specs), 'table')}{again}")
        outcomes: list[ExportOutcome] = []
        tally = Tally(len(plan.specs))
        async with self._open_client() as self._client:
            with open_board(self._output, tally) as board:
                try:
                    async with self._client.export_many(
                        plan.specs, journal=request.journal, on_event=board, **request.options
                    ) as stream:
                        outcomes = [outcome async for outcome in stream]
                except DliError:
                    if jobs := self._client.detached:
                        self._output.note(left_behind(self._output, jobs, request.journal))
                    raise
        return report(self._output, plan, outcomes, tally, request.journal)

    def _open_client(self) -> DliClient:
        return self._connection.client(requests_per_second=self._request.requests_per_second)


def _is_managed(table: TableRow) -> bool:
    return (table.table_type or "MANAGED").upper().removesuffix("_TABLE") == "MANAGED"


def _row_of(table: TableRow) -> Row:
    fields = {"database_name": table.database_name, "table_name": table.table_name}
    return Row(".".join(fields.values()), fields)
