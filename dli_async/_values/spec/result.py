"""The result of a query that has finished, by export-result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ..enums import Compress, DataType, Encoding, ExportMode
from .base import ExportSpec, Folder, Name
from .posting import EXPORT_RESULT, Posting, ResultPosting

_Char = Annotated[str, Field(min_length=1, max_length=1)]


class ResultExport(ExportSpec):
    """The result of a finished QUERY job, to OBS: the request of API page dli_02_0024.

    Where the queue keeps results in a bucket of its own, `StatusReport.result_path` of the QUERY
    names the folder with all of its rows as csv, and no export is needed.

    Args:
        query_job_id: the QUERY job. Its result expires: then the export is a `ResultExpired`.
        data_path: target folder, as in `TableExport`.
        data_type: `csv` (default) or `json`.
        compress: `none` (default), `gzip`, `bzip2` or `deflate`.
        queue_name: the queue that runs the job; None (default) leaves it to the service.
        export_mode: `ErrorIfExists` (default) or `Overwrite`; the service looks.
        with_column_header: whether to write column names (default False).
        limit_num: rows at most; 0 (default) for all.
        encoding_type: `utf-8` (default), `gb2312` or `gbk`.
        quote_char: puts text in quotes, csv only; None (default) for the service's own, `"`.
        escape_char: stands before quotes in text, csv only; None (default) for the service's own,
            a backslash.

    Raises:
        InvalidExport: naming field, value and rule. Nothing was sent.
    """

    ways: ClassVar[tuple[str, ...]] = (EXPORT_RESULT,)
    _leading: ClassVar[tuple[str, ...]] = ("query_job_id", "data_path")

    kind: Literal["result"] = Field("result", repr=False)
    query_job_id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[0-9A-Za-z_-]+$")]
    data_path: Folder
    data_type: DataType = DataType.CSV
    compress: Compress = Compress.NONE
    queue_name: Name | None = None
    export_mode: ExportMode = ExportMode.ERROR_IF_EXISTS
    with_column_header: bool = False
    limit_num: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    encoding_type: Encoding = Encoding.UTF_8
    quote_char: _Char | None = None
    escape_char: _Char | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            query_job_id: str = ...,
            data_path: str = ...,
            *,
            kind: Literal["result"] = ...,
            data_type: DataType | str = ...,
            compress: Compress | str = ...,
            queue_name: str | None = ...,
            export_mode: ExportMode | str = ...,
            with_column_header: bool = ...,
            limit_num: int = ...,
            encoding_type: Encoding | str = ...,
            quote_char: str | None = ...,
            escape_char: str | None = ...,
        ) -> None: ...

    @model_validator(mode="after")
    def _fits_its_format(self) -> ResultExport:
        chars = {"quote_char": self.quote_char, "escape_char": self.escape_char}
        for name, value in chars.items():
            if value is not None and self.data_type is not DataType.CSV:
                raise ValueError(f"{name}={value!r}: is for csv only")
        return self

    @property
    def label(self) -> str:
        """The query's job."""
        return f"result of job {self.query_job_id}"

    def posting(self, way: str, key: str) -> Posting:
        """See `ExportSpec.posting`."""
        body = self.model_dump(mode="json", exclude_none=True)
        del body["kind"], body["query_job_id"]
        return ResultPosting(
            way=EXPORT_RESULT,
            route="/v1.0/{project_id}/jobs/{query_job_id}/export-result",
            names={"query_job_id": self.query_job_id},
            body=body,
            job_type="EXPORT",
        )
