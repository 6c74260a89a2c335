"""Databases, tables and queues: what there is to export, and where it would run."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from .._engine.engine import Engine, Table
from .._jobs.rendering import columns_of
from .._protocol.answers import Answer, Refused, dli_error
from .._protocol.calls import Call, Route

_TYPES = {"MANAGED_TABLE": "MANAGED", "EXTERNAL_TABLE": "EXTERNAL", "VIRTUAL_VIEW": "VIEW"}
_PAGING = ("page-size", "current-page")

_Item = TypeVar("_Item")


class Catalogue:
    """The engine's databases and tables, asked for once: row counts cost a scan.

    Names are found in any case, as in Hive.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._tables: dict[str, tuple[str, dict[str, Table]]] | None = None
        self._columns: dict[tuple[str, str], str] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether looking something up is only a look into memory."""
        return self._tables is not None

    def load(self) -> dict[str, tuple[str, dict[str, Table]]]:
        """Asks the engine, unless somebody has; blocks."""
        with self._lock:
            if self._tables is None:
                self._tables = {
                    name.lower(): (name, {t.name.lower(): t for t in self._engine.tables(name)})
                    for name in self._engine.databases()
                }
            return self._tables

    def databases(self) -> list[str]:
        """Names of the databases."""
        return [name for name, _ in self.load().values()]

    def tables(self, database: str) -> list[Table]:
        """The tables of a database; DLI.0002 if it does not exist."""
        if (found := self.load().get(database.lower())) is None:
            raise Refused(dli_error("DLI.0002", f"There is no database named {database}."))
        return list(found[1].values())

    def table(self, database: str, name: str) -> Table:
        """One table; DLI.0002 if it or its database does not exist."""
        self.tables(database)
        found = self.load()[database.lower()][1].get(name.lower())
        if found is None:
            raise Refused(dli_error("DLI.0002", f"There is no table named {database}.{name}."))
        return found

    def columns(self, database: str, name: str) -> str:
        """The columns of a table that exists, as `status` shows them; made once."""
        key = (database, name)
        if key not in self._columns:
            self._columns[key] = columns_of(self.table(database, name).columns)
        return self._columns[key]


class MetadataRoutes:
    """Answers the calls about databases, tables and queues."""

    def __init__(self, catalogue: Catalogue, queues: Mapping[str, int], owner: str) -> None:
        self._catalogue = catalogue
        self._queues = queues
        self._owner = owner

    def routes(self) -> list[Route]:
        """The routes of this file."""
        base = "/v1.0/{project}"
        listed = frozenset({"with-priv", "offset", "limit", "keyword", "tags"})
        tables = {"keyword", "with-detail", *_PAGING, "with-priv", "table-type"}
        tables |= {"datasource-type", "without-tablemeta"}
        queues = {"queue_type", "with-priv", "with-charge-info", "tags", *_PAGING, "order"}
        one = f"{base}/databases/{{database}}/tables/{{table}}"
        return [
            Route("databases", "GET", f"{base}/databases", self.databases, listed),
            Route(
                "tables",
                "GET",
                f"{base}/databases/{{database}}/tables",
                self.tables,
                frozenset(tables),
            ),
            Route("table", "GET", one, self.table),
            Route("queues", "GET", f"{base}/queues", self.queues, frozenset(queues)),
        ]

    def databases(self, call: Call) -> Answer:
        """GET .../databases (dli_02_0029)."""
        call.flag("with-priv")
        wanted = call.arguments.get("keyword", "")
        found = [name for name in self._catalogue.databases() if _like(name, wanted)]
        if call.arguments.get("tags"):
            found = []
        offset = call.number("offset", 0, 0)
        limit = call.number("limit", len(found), 0)
        rows = [self._database(name) for name in found[offset : offset + limit]]
        return _success(database_count=len(found), databases=rows)

    def _database(self, name: str) -> dict[str, Any]:
        return {
            "database_name": name,
            "owner": self._owner,
            "table_number": len(self._catalogue.tables(name)),
            "description": "",
            "enterprise_project_id": "0",
            "resource_id": "",
        }

    def tables(self, call: Call) -> Answer:
        """GET .../databases/{database}/tables (dli_02_0105)."""
        wanted = call.arguments.get("keyword", "")
        kind = _TYPES.get(call.word("table-type", _TYPES))
        found = [
            table
            for table in self._catalogue.tables(call.params["database"])
            if _like(table.name, wanted) and kind in (None, table.kind)
        ]
        if source := call.arguments.get("datasource-type"):
            found = [table for table in found if _location(table) == source.upper()]
        in_full = call.flag("with-detail")
        rows = [self._table_row(table, in_full=in_full) for table in _page(call, found)]
        return _success(table_count=len(found), tables=rows)

    def _table_row(self, table: Table, *, in_full: bool) -> dict[str, Any]:
        row = {
            "data_location": _location(table),
            "table_name": table.name,
            "table_type": table.kind,
        }
        if not in_full:
            return row
        created = int(table.created_at * 1000)
        return row | {
            "create_time": created,
            "last_access_time": created,
            "data_type": "parquet",
            "owner": self._owner,
            "location": table.location or "",
            "table_size": table.size if table.kind == "MANAGED" else 0,
            "partition_columns": [],
        }

    def table(self, call: Call) -> Answer:
        """GET .../databases/{database}/tables/{table} (dli_02_0033)."""
        table = self._catalogue.table(call.params["database"], call.params["table"])
        columns = [
            {
                "column_name": column.name,
                "description": column.comment,
                "type": column.type,
                "is_partition_column": False,
            }
            for column in table.columns
        ]
        return _success(
            column_count=len(columns),
            columns=columns,
            table_type=table.kind,
            data_type="parquet",
            data_location=_location(table),
            storage_properties=[],
            table_comment=table.comment,
            create_table_sql="",
        )

    def queues(self, call: Call) -> Answer:
        """GET .../queues (dli_02_0196)."""
        # Only SQL queues can export, so there is none of type general.
        kind = call.word("queue_type", ("sql", "general", "all"), "sql")
        descending = call.arguments.get("order", "").endswith("_desc")
        found = sorted(self._queues, reverse=descending) if kind != "general" else []
        if call.arguments.get("tags"):
            found = []
        rows = [self._queue(number, name) for number, name in enumerate(_page(call, found), 1)]
        return _success(queues=rows)

    def _queue(self, number: int, name: str) -> dict[str, Any]:
        return {
            "queue_id": number,
            "queue_name": name,
            "description": "",
            "owner": self._owner,
            "create_time": 1_500_000_000_000,
            "queue_type": "sql",
            "engine": "spark",
            "cu_count": 16,
            "charging_mode": 1,
            "resource_id": f"emulator-{name}",
            "enterprise_project_id": "0",
            # `default` is shared by everybody, the others are one's own.
            "resource_mode": 0 if name == "default" else 1,
            "platform": "x86_64",
            "is_restarting": False,
            "labels": "",
            "feature": "basic",
            "queue_resource_type": "vm",
        }


def _success(**fields: Any) -> Answer:
    return Answer({"is_success": True, "message": "", **fields})


def _location(table: Table) -> str:
    return "OBS" if table.kind == "EXTERNAL" else "DLI"


def _like(name: str, keyword: str) -> bool:
    # "Fuzzy", say the documents: a fragment in any case (guess).
    return keyword.lower() in name.lower()


def _page(call: Call, items: Sequence[_Item]) -> Sequence[_Item]:
    size = call.number("page-size", 0, 1, 100)
    page = call.number("current-page", 1, 1)
    return items[(page - 1) * size : page * size] if size else items
