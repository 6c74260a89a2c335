"""Whether an export can work, found out before it is submitted."""

from __future__ import annotations

from ..._http.api import Api
from ..._values.errors import InvalidExport, NotFound, Problem
from ..._values.spec import TableExport


async def check_export(api: Api, spec: TableExport) -> None:
    """Looks whether database, table and queue exist, and whether the table is MANAGED.

    Raises:
        InvalidExport: naming the field, its value, and what is wrong with it.
    """
    problems = [*await _table_problems(api, spec), *await _queue_problems(api, spec)]
    if problems:
        raise InvalidExport(problems)


async def _table_problems(api: Api, spec: TableExport) -> list[Problem]:
    try:
        table = await api.table(spec.database_name, spec.table_name)
    except NotFound:
        wanted = spec.database_name.casefold()
        if wanted in [row.database_name.casefold() async for row in api.databases(None)]:
            rule = f"no such table in database {spec.database_name}"
            return [Problem("table_name", spec.table_name, rule)]
        return [Problem("database_name", spec.database_name, "no such database")]
    if (table.table_type or "MANAGED").upper().removesuffix("_TABLE") != "MANAGED":
        rule = f"is {table.table_type}; only MANAGED tables, stored in DLI, can be exported"
        return [Problem("table_name", spec.table_name, rule)]
    return []


async def _queue_problems(api: Api, spec: TableExport) -> list[Problem]:
    # The shared queue `default` always exists, yet lists need not show it.
    if spec.queue_name is None or spec.queue_name.casefold() == "default":
        return []
    queues = [row.queue_name.casefold() async for row in api.queues()]
    if spec.queue_name.casefold() in queues:
        return []
    return [Problem("queue_name", spec.queue_name, "no such queue")]
