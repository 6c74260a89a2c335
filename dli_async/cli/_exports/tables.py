"""The command that lists tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict

from ..._client import DliClient
from ..._values.catalog import TableRow
from .._shell.connection import Connection
from .._shell.failures import Exit
from .._shell.output import Output, rows_table
from .._shell.run import run
from .options import TableFilters

_COLUMNS = ("database_name", "table_name", "table_type")
_DETAIL_COLUMNS = (*_COLUMNS, "table_size", "create_time", "owner")


def tables(
    output: Output, connection: Connection, database: str | None, filters: TableFilters
) -> Exit:
    """Lists the tables of one database or of all."""

    async def work() -> Exit:
        async with connection.client() as client:
            names = _databases(client) if database is None else _only(database)
            rows: list[TableRow] = [
                row async for name in names async for row in client.tables(name, **asdict(filters))
            ]
        columns = _DETAIL_COLUMNS if filters.with_detail else _COLUMNS
        output.result(rows, rows_table(rows, columns))
        return Exit.FINISHED

    return run(output, work)


async def _databases(client: DliClient) -> AsyncIterator[str]:
    async for row in client.databases():
        yield row.database_name


async def _only(name: str) -> AsyncIterator[str]:
    yield name
