"""Jobs by SQL: statements (INSERT and QUERY), and exports of a query's result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from .._engine.sql.plan import Plan, Result
from .._engine.sql.statement import path_of, tables_of
from .._protocol.callers import PROJECT_ID
from .._protocol.specs import Asked, Tags, folder_of
from .._protocol.sql_bodies import ResultBody

__all__ = ["ResultSpec", "SqlSpec", "names_in"]


@dataclass(frozen=True, slots=True)
class SqlSpec(Asked):
    """A statement; `plan` is None if it is known to fail."""

    job_type: str
    statement: str
    database: str
    queue_name: str
    conf: tuple[str, ...] = ()
    tags: Tags = ()
    plan: Plan | None = field(default=None, compare=False, repr=False)
    job_bucket: str = field(default="", compare=False)
    result_path: str = field(default="", compare=False)
    """Where the full result of a query is written as well; empty if nowhere."""

    @property
    def data_path(self) -> str:
        """The folder it writes to; empty if there is none."""
        return self.plan.path or self.result_path if self.plan else self.result_path

    @property
    def folder(self) -> str:
        """See :class:`Asked`."""
        return folder_of(self.data_path) if self.data_path else ""

    @property
    def overwrites(self) -> bool:
        """See :class:`Asked`."""
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`Asked`."""
        return names_in(self.statement)

    def fields(self) -> dict[str, Any]:
        """As an export's, with the statement and the tags."""
        format = self.plan.format if self.plan else None
        return {
            "data_path": self.plan.path if self.plan else "",
            "data_type": format.name if format else "",
            "database_name": self.database,
            "table_name": "",
            "compress": format.compress if format else "",
            "queue_name": self.queue_name,
            "export_mode": "Overwrite" if format else "",
            "with_column_header": format.header if format else False,
            "job_type": self.job_type,
            "statement": self.statement,
            "conf": list(self.conf),
            "tags": dict(self.tags),
        }

    def accepted(self, job_id: str, at: float) -> SqlSpec:
        """See :class:`Asked`."""
        if not self.job_bucket or self.job_type != "QUERY":
            return self
        day = datetime.fromtimestamp(at, UTC).strftime("%Y/%m/%d")
        path = f"obs://{self.job_bucket}/jobs/result/{PROJECT_ID}/{day}/{job_id}"
        return replace(self, result_path=path)


@dataclass(frozen=True, slots=True)
class ResultSpec(Asked):
    """An export of the result of a query that has finished."""

    query_job_id: str
    body: ResultBody
    result: Result | None = field(default=None, compare=False, repr=False)

    job_type = "EXPORT"
    statement = ""
    tags = ()

    @property
    def queue_name(self) -> str:  # type: ignore[override]
        """See :class:`Asked`."""
        return self.body.queue_name

    @property
    def data_path(self) -> str:
        """The folder as it was given."""
        return self.body.data_path

    @property
    def folder(self) -> str:
        """See :class:`Asked`."""
        return folder_of(self.data_path)

    @property
    def overwrites(self) -> bool:
        """See :class:`Asked`."""
        return self.body.export_mode == "Overwrite"

    @property
    def names(self) -> tuple[str, ...]:
        """See :class:`Asked`."""
        return (self.data_path, self.folder)

    def fields(self) -> dict[str, Any]:
        """The fields as the request has them, and the query's job."""
        return {**asdict(self.body), "query_job_id": self.query_job_id, "job_type": self.job_type}


def names_in(sql: str) -> tuple[str, ...]:
    """What a fault's glob may match in a statement: its path, and the tables that it reads."""
    path = path_of(sql)
    paths = (path, folder_of(path)) if path else ()
    return (*paths, *tables_of(sql))
