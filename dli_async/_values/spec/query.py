"""What a query gives, by SQL: columns, conditions, joins, external tables, Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..enums import ExportMode, FileFormat
from ..errors import InvalidExport, Problem
from . import literals
from .base import ExportSpec, Folder, Name
from .posting import SQL, Posting
from .query_text import check_condition, check_query
from .statement import insert_posting
from .words import Conf, Options, Tags, Words

_SHOWN = 40

CODECS: Mapping[FileFormat, tuple[str, ...]] = {
    FileFormat.CSV: ("none", "gzip", "bzip2", "deflate"),
    FileFormat.JSON: ("none", "gzip", "bzip2", "deflate"),
    FileFormat.PARQUET: ("none", "snappy", "gzip", "lz4", "zstd"),
    FileFormat.ORC: ("none", "snappy", "zlib", "zstd", "lzo"),
    FileFormat.AVRO: ("none", "snappy", "deflate", "bzip2", "xz", "zstandard"),
}
"""Compressions of each format."""


def _folder_in_sql(path: str) -> str:
    literals.folder(path)
    return path


def _database(text: str) -> str:
    if not re.fullmatch(r"(?!_)(?![0-9]+$)[A-Za-z0-9_]{1,128}", text, re.ASCII):
        raise ValueError("must be letters, digits and _, not begin with _, and not be a number")
    return text


@contextmanager
def _rule_of(field: str, value: Any) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise InvalidExport([Problem(field, value, str(error))]) from None


def _quoted(field: str, name: str) -> str:
    with _rule_of(field, name):
        if not isinstance(name, str) or not name:
            raise ValueError("must be a name")
        return literals.name(name)


def _columns(names: Sequence[str] | None) -> str:
    if names is None:
        return "*"
    if isinstance(names, str) or not names:
        raise InvalidExport([Problem("columns", names, "must be a list of names")])
    return ", ".join(_quoted("columns", name) for name in names)


_SqlFolder = Annotated[Folder, AfterValidator(_folder_in_sql)]
_Current = Annotated[str, AfterValidator(_database)]


class QueryExport(ExportSpec):
    """What a query gives, to OBS: one job that runs INSERT OVERWRITE DIRECTORY (dli_08_0205).

    Args:
        query: one SELECT, or WITH and a SELECT. It is checked that it is one, and closes all of
            its quotes, comments and parentheses; whether it can run is for the service to say.
        data_path: target folder, as in `TableExport`; no quotes.
        data_type: `csv` (default), `json`, `parquet`, `orc` or `avro`.
        database_name: the database of tables that the query names without one; None (default)
            leaves it to the service.
        current_catalog: the catalog of databases that it names without one; None (default) for
            the service's own, `dli`.
        queue_name: the queue that runs the job; None (default) leaves it to the service.
        compress: of the files, by format: csv and json `none`, `gzip`, `bzip2`, `deflate`; parquet
            `none`, `snappy`, `gzip`, `lz4`, `zstd`; orc `none`, `snappy`, `zlib`, `zstd`, `lzo`;
            avro `none`, `snappy`, `deflate`, `bzip2`, `xz`, `zstandard`. None (default) leaves it
            to Spark: `none` for csv and json, `snappy` for the others.
        with_column_header: whether csv files begin with the names of the columns (default False).
        export_mode: `ErrorIfExists` (default), which the client has to see to, since the statement
            always overwrites: see `DliClient(folder_check=...)`; or `Overwrite`.
        options: further options of the format, such as `{"delimiter": "|"}`; see dli_08_0076.
        conf: settings of the job, such as `{"spark.sql.files.maxRecordsPerFile": "100000"}`.
        tags: tags of the job.

    Raises:
        InvalidExport: naming field, value and rule. Nothing was sent.
    """

    ways: ClassVar[tuple[str, ...]] = (SQL,)
    job_type: ClassVar[str] = "INSERT"
    _leading: ClassVar[tuple[str, ...]] = ("query", "data_path")

    kind: Literal["query"] = Field("query", repr=False)
    query: Annotated[str, AfterValidator(check_query)]
    data_path: _SqlFolder
    data_type: FileFormat = FileFormat.CSV
    database_name: _Current | None = None
    current_catalog: _Current | None = None
    queue_name: Name | None = None
    compress: Annotated[str, AfterValidator(str.lower)] | None = None
    with_column_header: bool = False
    export_mode: ExportMode = ExportMode.ERROR_IF_EXISTS
    options: Options = Field(default_factory=Words)
    conf: Conf = Field(default_factory=Words)
    tags: Tags = Field(default_factory=Words)

    if TYPE_CHECKING:

        def __init__(
            self,
            query: str = ...,
            data_path: str = ...,
            *,
            kind: Literal["query"] = ...,
            data_type: FileFormat | str = ...,
            database_name: str | None = ...,
            current_catalog: str | None = ...,
            queue_name: str | None = ...,
            compress: str | None = ...,
            with_column_header: bool = ...,
            export_mode: ExportMode | str = ...,
            options: Mapping[str, str] = ...,
            conf: Mapping[str, str] = ...,
            tags: Mapping[str, str] = ...,
        ) -> None: ...

    @classmethod
    def of_table(
        cls,
        database_name: str,
        table_name: str,
        data_path: str,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        current_catalog: str | None = None,
        **fields: Any,
    ) -> Self:
        """Columns and rows of one table, of whatever kind it is.

        Args:
            columns: names of columns, in order; None (default) for all.
            where: a condition in SQL, which cannot leave its place; None (default) for all rows.
            fields: as in the constructor.

        Raises:
            InvalidExport: naming field, value and rule.
        """
        given = {
            "current_catalog": current_catalog,
            "database_name": database_name,
            "table_name": table_name,
        }
        source = ".".join(_quoted(key, name) for key, name in given.items() if name is not None)
        parts = [f"SELECT {_columns(columns)} FROM {source}"]
        if where is not None:
            with _rule_of("where", where):
                # Doubled, since Spark reads `FROM t WHERE (a)` as an alias and its columns.
                parts.append(f"WHERE (({check_condition(where)}))")
        query = " ".join(parts)
        return cls(query, data_path, current_catalog=current_catalog, **fields)

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        if self.compress is not None and self.compress not in CODECS[self.data_type]:
            known = ", ".join(CODECS[self.data_type])
            raise ValueError(f"compress={self.compress!r}: must be one of {known}")
        if self.with_column_header and self.data_type is not FileFormat.CSV:
            raise ValueError(f"with_column_header: {self.data_type} files have no header")
        return self

    @property
    def label(self) -> str:
        """The beginning of the query."""
        text = " ".join(self.query.split())
        return f"query {text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}"

    def posting(self, way: str, key: str) -> Posting:
        """See `ExportSpec.posting`."""
        fields = {"currentdb": self.database_name, "current_catalog": self.current_catalog}
        return insert_posting(
            self,
            key,
            query=self.query,
            file_format=str(self.data_type),
            options={**self._format_options(), **self.options},
            fields=fields,
            conf=self.conf,
            tags=self.tags,
        )

    def _format_options(self) -> dict[str, str]:
        options = {}
        if self.data_type is FileFormat.CSV:
            options["header"] = str(self.with_column_header).lower()
        if self.compress is not None:
            # Avro has a word of its own for it.
            is_avro = self.data_type is FileFormat.AVRO and self.compress == "none"
            options["compression"] = "uncompressed" if is_avro else self.compress
        return options
