"""What to export. Specs are read strictly: a broken rule is told before anything is sent."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .enums import Compress, DataType, ExportMode
from .errors import InvalidExport, Problem
from .paths import PATTERN, normalise_path

_log = logging.getLogger("dli_async.submit")

# Control characters, blanks of all kinds but the plain one, and what cannot be seen.
_UNSEEN = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
)
_NAME = f"[^ {_UNSEEN}](?:[^{_UNSEEN}]*[^ {_UNSEEN}])?"
_Name = Annotated[
    str, Field(min_length=1, max_length=128, json_schema_extra={"pattern": f"^{_NAME}$"})
]

_FILE_ENDINGS = (".csv", ".json", ".gz", ".bz2", ".deflate")


class TableExport(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    route: ClassVar[str] = "/v1.0/{project_id}/jobs/export-table"

    database_name: _Name
    table_name: _Name
    data_path: str = Field(json_schema_extra={"pattern": PATTERN})
    data_type: DataType = DataType.CSV
    compress: Compress = Compress.NONE
    queue_name: _Name | None = None
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

    else:

        def __init__(self, **fields: Any) -> None:
            with _rules_named():
                super().__init__(**fields)

        # Where pydantic validates on behalf of somebody else (a FastAPI body), its own errors
        # must come through, so it may not go through the constructor above.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Reads a mapping as the constructor does, with the same errors."""
        with _rules_named():
            return super().model_validate(obj, **options)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Reads JSON text as the constructor does, with the same errors."""
        with _rules_named():
            return super().model_validate_json(json_data, **options)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced, checked like a new spec, unlike pydantic's own."""
        return type(self).model_validate(self.model_dump() | dict(update or {}))

    @field_validator("database_name", "table_name", "queue_name")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(_NAME, value):
            raise ValueError("must not start or end with a blank or hold control characters")
        return value

    @field_validator("data_path")
    @classmethod
    def _is_a_folder(cls, value: str) -> str:
        path = normalise_path(value)
        if path.lower().endswith(_FILE_ENDINGS):
            _log.warning("data_path %s looks like a file; DLI will make a folder of it", path)
        return path

    def body(self) -> dict[str, Any]:
        """The request's JSON body: all eight fields but a `queue_name` of None."""
        return self.model_dump(mode="json", exclude_none=True)

    def __str__(self) -> str:
        return f"{self.database_name}.{self.table_name} to {self.data_path}"


@contextmanager
def _rules_named() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise InvalidExport([_problem(item) for item in error.errors()]) from None


def _problem(item: Any) -> Problem:
    field = ".".join(str(part) for part in item["loc"]) or "spec"
    given = None if item["type"] == "missing" else item["input"]
    return Problem(field, given, _rule(item))


def _rule(item: Any) -> str:
    match item["type"]:
        case "missing":
            return "must be given"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must not be longer than {item['ctx']['max_length']} characters"
        case "enum":
            return f"must be one of {item['ctx']['expected']}"
        case "extra_forbidden":
            fields = ", ".join(TableExport.model_fields)
            return f"is not a field of an export; the fields are {fields}"
        case "value_error":
            return str(item["ctx"]["error"])
    return str(item["msg"])
