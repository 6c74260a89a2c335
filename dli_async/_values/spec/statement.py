"""INSERT OVERWRITE DIRECTORY (dli_08_0205), and the submit of it (dli_02_0102)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..enums import ExportMode
from . import literals
from .posting import KEY, SQL, SqlPosting, comment

SUBMIT_JOB = "/v1.0/{project_id}/jobs/submit-job"


class _Writes(Protocol):
    @property
    def data_path(self) -> str: ...
    @property
    def queue_name(self) -> str | None: ...
    @property
    def export_mode(self) -> ExportMode: ...


def insert_posting(
    spec: _Writes,
    key: str,
    *,
    query: str,
    file_format: str,
    options: Mapping[str, str],
    fields: Mapping[str, str | None],
    conf: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> SqlPosting:
    """The submit of a query whose rows go to a folder.

    Args:
        key: the id of the export, for tag and comment.
        fields: further fields of the body; None is left out.

    Raises:
        ValueError: something that was given would leave its place in the statement.
    """
    target = f"DIRECTORY {literals.folder(spec.data_path)}"
    pairs = ", ".join(literals.option(*pair) for pair in options.items())
    words = f" OPTIONS({pairs})" if pairs else ""
    body: dict[str, Any] = {
        "sql": f"INSERT OVERWRITE {target} USING {file_format}{words} {comment(key)} {query}",
        "engine_type": "spark",
        "queue_name": spec.queue_name,
        **fields,
        "conf": [f"{name} = {value}" for name, value in (conf or {}).items()] or None,
        "tags": [
            {"key": name, "value": value} for name, value in {**(tags or {}), KEY: key}.items()
        ],
    }
    return SqlPosting(
        way=SQL,
        route=SUBMIT_JOB,
        body={name: value for name, value in body.items() if value is not None},
        job_type="INSERT",
        listed_as="ALL",  # that it is an INSERT is likely, and nowhere documented
        checks_folder=spec.export_mode is ExportMode.ERROR_IF_EXISTS,
        key=key,
        target=target,
    )
