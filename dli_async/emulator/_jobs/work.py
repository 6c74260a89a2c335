"""What a job does when it runs, and what it says when it fails."""

from __future__ import annotations

from .._engine.engine import Staged, UnsafePath
from .._engine.formats.known import read_format
from .._engine.sql.errors import SqlError
from .._engine.sql.plan import SqlEngine
from .._engine.storage import Storage
from .._protocol.specs import Asked, Spec
from .sql_specs import ResultSpec, SqlSpec

__all__ = ["Work", "explain"]


class Work:
    """Does jobs on the tables and the folder of a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self, spec: Asked) -> Staged:
        """Does what was asked for, up to the moment when it appears; blocks."""
        if isinstance(spec, Spec):
            return self._table(spec)
        sql = self._storage.sql
        assert sql is not None, "only an engine that runs SQL has such jobs"
        if isinstance(spec, SqlSpec):
            assert spec.plan is not None
            return _statement(sql, spec)
        assert isinstance(spec, ResultSpec)
        return _result(sql, spec)

    def _table(self, spec: Spec) -> Staged:
        return self._storage.engine.stage(
            spec.database_name,
            spec.table_name,
            spec.data_path,
            data_type=spec.data_type,
            compress=spec.compress,
            header=spec.with_column_header,
            overwrite=spec.overwrites,
        )


def _statement(sql: SqlEngine, spec: SqlSpec) -> Staged:
    assert spec.plan is not None
    if spec.plan.format is not None:
        return sql.insert(spec.plan)
    return sql.query(spec.plan, spec.result_path)


def _result(sql: SqlEngine, spec: ResultSpec) -> Staged:
    body = spec.body
    options = {"compression": body.compress, "encoding": body.encoding_type}
    if body.data_type == "csv":
        options |= {
            "header": str(body.with_column_header).lower(),
            "quote": body.quote_char,
            "escape": body.escape_char,
        }
    assert spec.result is not None
    return sql.export(
        spec.result,
        body.data_path,
        read_format(body.data_type, options, {}),
        limit=body.limit_num,
        overwrite=spec.overwrites,
    )


def explain(spec: Asked, error: Exception) -> str:
    """The message of a job that failed, with its DLI code in the documented form."""
    if isinstance(error, FileExistsError):
        return f"DLI.0006: path {getattr(spec, 'data_path', spec.folder)} already exists"
    if isinstance(error, KeyError) and isinstance(spec, Spec):
        return f"DLI.0002: There is no table named {spec.database_name}.{spec.table_name}."
    if isinstance(error, UnsafePath):
        return f"DLI.0001: {error}"
    if isinstance(error, SqlError):
        return f"{error.code}: {error}"
    kind = type(error).__name__
    return f"Please contact DLI service. DLI.0999: {kind}: {error}"
