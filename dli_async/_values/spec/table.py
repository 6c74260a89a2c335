"""A table as a whole, by export-table or by SQL.

`export-table` is deprecated, and gone in some regions; `DliClient(table_exports=...)` says which
way table exports go. The same `TableExport` gives the same files either way, as far as the
documents tell; this is what differs:

| | export-table | by SQL (submit-job) |
|---|---|---|
| ErrorIfExists | the service looks | the client looks (`folder_check`) right before it posts; |
| | | who writes to the folder after that look is overwritten |
| the table | MANAGED only | any that a SELECT can read |
| `data_path` | as documented | no quote, and no `${`, besides |
| header in json | accepted, not explained | not sent: json knows no header |
| `row_count` | as the service tells it | `result_count`, or None |
| a lost answer | table, folder compared | a tag with the id of the export is compared |
| the job | EXPORT, tells its table | INSERT, tells its statement |
| the queue's defence rules | not documented | apply: a big `SELECT *` may be refused or cut |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ..enums import Compress, DataType, ExportMode
from ..reports import StatusReport
from . import literals
from .base import ExportSpec, Folder, Name
from .posting import EXPORT_TABLE, SQL, Posting, TablePosting
from .statement import insert_posting


class TableExport(ExportSpec):
    """One table to export to OBS: the request of API page dli_02_0020.

    Enumerated values are accepted in any case. Specs are immutable and hashable.

    Args:
        database_name: the source database.
        table_name: the source table; it must be MANAGED, that is, stored in DLI.
        data_path: target folder, `obs://bucket/folder...`; kept without a trailing slash, and
            `s3a://` becomes `obs://`.
        data_type: `csv` (default) or `json`.
        compress: `none` (default), `gzip`, `bzip2` or `deflate`.
        queue_name: the queue that runs the job; None (default) leaves it to the service, which
            takes the shared queue `default`.
        export_mode: `ErrorIfExists` (default) or `Overwrite`, which deletes what the folder holds.
        with_column_header: whether to write column names (default False).

    Raises:
        InvalidExport: naming field, value and rule. Nothing was sent.
    """

    ways: ClassVar[tuple[str, ...]] = (EXPORT_TABLE, SQL)
    route: ClassVar[str] = "/v1.0/{project_id}/jobs/export-table"

    database_name: Name
    table_name: Name
    data_path: Folder
    data_type: DataType = DataType.CSV
    compress: Compress = Compress.NONE
    queue_name: Name | None = None
    export_mode: ExportMode = ExportMode.ERROR_IF_EXISTS
    with_column_header: bool = False

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            database_name: str,
            table_name: str,
            data_path: str,
            data_type: DataType | str = ...,
            compress: Compress | str = ...,
            queue_name: str | None = ...,
            export_mode: ExportMode | str = ...,
            with_column_header: bool = ...,
        ) -> None: ...

    def body(self) -> dict[str, Any]:
        """The request's JSON body: all eight fields but a `queue_name` of None."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def label(self) -> str:
        """Database and table, as commands take and show them."""
        return f"{self.database_name}.{self.table_name}"

    @property
    def table(self) -> tuple[str, str] | None:
        """Database and table."""
        return self.database_name, self.table_name

    def posting(self, way: str, key: str) -> Posting:
        """See `ExportSpec.posting`."""
        if way == SQL:
            return self._by_sql(key)
        return TablePosting(
            way=EXPORT_TABLE,
            route=self.route,
            body=self.body(),
            job_type="EXPORT",
            table=(self.database_name, self.table_name),
        )

    def _by_sql(self, key: str) -> Posting:
        options = {}
        if self.data_type is DataType.CSV:
            options["header"] = str(self.with_column_header).lower()
        if self.compress is not Compress.NONE:
            options["compression"] = str(self.compress)
        with literals.rules_of(self):
            return insert_posting(
                self,
                key,
                query=f"SELECT * FROM {literals.table(self.database_name, self.table_name)}",
                file_format=str(self.data_type),
                options=options,
                fields={"currentdb": self.database_name},
            )

    def other_export(self, report: StatusReport, key: str | None) -> str | None:
        """By the names of database and table too, where the report tells them."""
        said = (report.database_name or "?", report.table_name or "?")
        pairs = zip(said, (self.database_name, self.table_name), strict=True)
        if any(word != "?" and word.casefold() != name.casefold() for word, name in pairs):
            return f"an export of {'.'.join(said)}"
        return super().other_export(report, key)
