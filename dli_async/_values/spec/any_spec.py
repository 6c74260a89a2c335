"""Any spec, read from and written to JSON; one of a table needs no word for its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ValidatorFunctionWrapHandler, WrapValidator

from .base import ExportSpec
from .query import QueryExport
from .result import ResultExport
from .table import TableExport

_KINDS: Mapping[str, type[ExportSpec]] = {
    "table": TableExport,
    "query": QueryExport,
    "result": ResultExport,
}
# The field that tells the kind where no `kind` does.
_FIELDS: Mapping[str, str] = {"query": "query", "query_job_id": "result"}


def kind_of(fields: Mapping[str, Any]) -> type[ExportSpec]:
    """The class whose fields these are: by `kind`, else by a field that only one of them has."""
    guess = next((kind for field, kind in _FIELDS.items() if field in fields), "table")
    return _KINDS.get(str(fields.get("kind", guess)), TableExport)


def read_spec(fields: Any) -> ExportSpec:
    """The spec that a mapping of fields describes.

    Raises:
        InvalidExport: naming field, value and rule.
    """
    if not isinstance(fields, Mapping):
        return TableExport.model_validate(fields)
    return kind_of(fields).model_validate(_without_table(fields))


def dump_spec(spec: ExportSpec) -> dict[str, Any]:
    """The fields of a spec as JSON knows them, from which `read_spec` makes it again."""
    return spec.model_dump(mode="json", exclude_none=True)


def _without_table(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if (key, value) != ("kind", "table")}


def _choose(value: Any, _: ValidatorFunctionWrapHandler) -> Any:
    """Reads by the kind that is meant, so that errors are those of one spec and not of all."""
    if isinstance(value, ExportSpec):
        return value
    if not isinstance(value, Mapping):
        return TableExport.__pydantic_validator__.validate_python(value)
    return kind_of(value).__pydantic_validator__.validate_python(_without_table(value))


AnySpec = Annotated[TableExport | QueryExport | ResultExport, WrapValidator(_choose)]
"""A spec of any kind, as a field of a model or a body of a request."""
