"""Statements on tables that are only imagined: checked as others are, done at once, no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..engine import NullEngine
from ..formats.known import read_format
from ..formats.sinks import Format
from ..tables import Column, Exported, Staged
from .duck import translator
from .errors import SqlError
from .plan import Plan, Result
from .statement import Insert, parse

if TYPE_CHECKING:
    from .translation import Known

__all__ = ["NullSql"]


class NullSql:
    """See :class:`SqlEngine`; a result has as many rows as the first of its tables, and no values.

    :param engine: knows the tables.
    """

    def __init__(self, engine: NullEngine) -> None:
        self._engine = engine
        self._translated = translator(self._find)

    def plan(self, sql: str, database: str, conf: Mapping[str, str]) -> Plan:
        """See :class:`SqlEngine`."""
        statement = parse(sql)
        format = path = None
        if isinstance(statement, Insert):
            format = read_format(statement.format, statement.options, conf)
            path = statement.path
        found = self._translated(statement.query, database)
        tables = tuple((table.database, table.name) for table in found.tables)
        known = [self._engine.table(*names) for names in tables]
        kinds = [cast or "string" for cast in found.casts]
        return Plan(
            query=found.query,
            columns=tuple(map(Column, found.names, map(str.lower, kinds))),
            tables=tables,
            input_rows=sum(table.row_count for table in known if table),
            input_size=sum(table.size for table in known if table),
            format=format,
            path=path or "",
        )

    def _find(self, database: str, name: str) -> Known:
        from .translation import Known

        if database.lower() not in {known.lower() for known in self._engine.databases()}:
            raise SqlError("DLI.0002", f"There is no database named {database}.")
        table = self._engine.table(database, name)
        if table is None:
            raise SqlError("DLI.0002", f"There is no table named {database}.{name}.")
        columns = {column.name: column.type for column in table.columns}
        return Known(table.database, table.name, table.database, columns)

    def insert(self, plan: Plan) -> Staged:
        """See :class:`SqlEngine`; nothing is written."""
        exported = Exported(plan.input_rows, plan.input_size, (), 0)
        return self._engine.staged(plan.path, exported, overwrite=True)

    def query(self, plan: Plan, path: str = "") -> Staged:
        """See :class:`SqlEngine`."""
        result = Result("", plan.columns, plan.input_rows)
        return Staged(Exported(plan.input_rows, plan.input_size, (), 0, result))

    def export(
        self, result: Result, path: str, format: Format, *, limit: int, overwrite: bool
    ) -> Staged:
        """See :class:`SqlEngine`; nothing is written."""
        rows = min(result.rows, limit) if limit else result.rows
        return self._engine.staged(path, Exported(rows, 0, (), 0), overwrite=overwrite)

    def preview(self, result: Result, limit: int) -> list[list[Any]]:
        """See :class:`SqlEngine`; there are no rows to be shown."""
        return []

    def forget(self) -> None:
        """See :class:`SqlEngine`; there is nothing to forget."""
