"""Whether an export can work, found out before it is submitted."""

from __future__ import annotations

from ..._http.api import Api
from ..._values.errors import InvalidExport, NotFound, Problem
from ..._values.spec import ExportSpec
from ..._values.spec.posting import EXPORT_TABLE
from .ways import Ways


async def check_export(api: Api, spec: ExportSpec, ways: Ways) -> None:
    """Looks whether database, table and queue exist, and whether export-table takes the table.

    Of a query only the queue is looked for, and by SQL a table need not be MANAGED.

    Raises:
        InvalidExport: naming the field, its value, and what is wrong with it.
    """
    managed_only = ways.way_of(spec) == EXPORT_TABLE
    table = await _table_problems(api, *spec.table, managed_only) if spec.table else []
    problems = [*table, *await _queue_problems(api, spec)]
    if problems:
        raise InvalidExport(problems)


async def _table_problems(
    api: Api, database_name: str, table_name: str, managed_only: bool
) -> list[Problem]:
    try:
        table = await api.table(database_name, table_name)
    except NotFound:
        wanted = database_name.casefold()
        if wanted in [row.database_name.casefold() async for row in api.databases(None)]:
            rule = f"no such table in database {database_name}"
            return [Problem("table_name", table_name, rule)]
        return [Problem("database_name", database_name, "no such database")]
    if managed_only and (table.table_type or "MANAGED").upper().removesuffix("_TABLE") != "MANAGED":
        rule = f"is {table.table_type}; only MANAGED tables, stored in DLI, can be exported"
        return [Problem("table_name", table_name, rule)]
    return []


async def _queue_problems(api: Api, spec: ExportSpec) -> list[Problem]:
    # The shared queue `default` always exists, yet lists need not show it.
    if spec.queue_name is None or spec.queue_name.casefold() == "default":
        return []
    queues = [row.queue_name.casefold() async for row in api.queues()]
    if spec.queue_name.casefold() in queues:
        return []
    return [Problem("queue_name", spec.queue_name, "no such queue")]
