"""The commands that look around: tables, whoami."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..._client import DliClient
from ..._values.catalog import TableRow
from ..._values.errors import DliError
from .._shell.failures import Exit, Failure
from .._shell.options import Connection
from .._shell.output import Output, fields_text, rows_table
from .._shell.run import run

_COLUMNS = ("database_name", "table_name", "table_type")
_DETAIL_COLUMNS = (*_COLUMNS, "table_size", "create_time", "owner")


def tables(
    output: Output, connection: Connection, database: str | None, filters: dict[str, Any]
) -> Exit:
    """Lists the tables of one database or of all; `filters` are those of `DliClient.tables`."""

    async def work() -> Exit:
        async with connection.client() as client:
            names = _databases(client) if database is None else _only(database)
            rows: list[TableRow] = [
                row async for name in names async for row in client.tables(name, **filters)
            ]
        columns = _DETAIL_COLUMNS if filters.get("with_detail") else _COLUMNS
        output.result(rows, rows_table(rows, columns))
        return Exit.FINISHED

    return run(output, work)


async def _databases(client: DliClient) -> AsyncIterator[str]:
    async for row in client.databases():
        yield row.database_name


async def _only(name: str) -> AsyncIterator[str]:
    yield name


def whoami(output: Output, connection: Connection) -> Exit:
    """Shows as whom and where requests go, and checks it with one cheap call."""

    async def work() -> Exit:
        failure: Failure | None = None
        project_id: str | None = None
        async with connection.client() as client:
            try:
                project_id = await client.project_id()
                await _knock(client)
            except DliError as error:
                failure = Failure.of(error)
            found = filter(None, (client.login, connection.token_source()))
            shown = {
                "credentials": " from ".join(found),
                "region": client.region,
                "project_id": project_id,
                "endpoint": client.endpoint,
                "accepted": failure is None,
            }
        error_part = {"error": failure.document()["error"]} if failure else {}
        output.result(shown | error_part, fields_text(shown))
        return output.complain(failure) if failure else Exit.FINISHED

    return run(output, work)


async def _knock(client: DliClient) -> None:
    async for _ in client.databases():
        return
