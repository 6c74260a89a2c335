"""One look for the job of a submit whose answer was lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..._http.api import Api
from ..._values.errors import InvalidExport, NotFound, PermissionDenied
from ..._values.paths import same_path
from ..._values.reports import JobRow
from ..._values.spec import Claim, ExportSpec, Posting
from ..departure import Departure
from ..errors import SubmitInDoubt
from .registry import Registry


@dataclass(frozen=True)
class Found:
    """What a look found: jobs of this export, and jobs that may be, whose folder is not told."""

    ours: list[JobRow] = field(default_factory=list)
    unclear: list[JobRow] = field(default_factory=list)


async def look_for(
    api: Api,
    registry: Registry[Any],
    spec: ExportSpec,
    postings: Sequence[Posting],
    departure: Departure,
    *,
    by_tag: bool,
) -> Found:
    """The jobs that an export may have become, less those that belong to other exports.

    Args:
        postings: how it may have been posted.
        by_tag: whether it will do to list what the service shows for the tag of the export.

    Raises:
        DliError: the look failed.
    """
    found = Found()
    for row in await registry.search.rows_since(api, departure, postings, by_tag=by_tag):
        if registry.owns(row.job_id):
            continue
        claims = {posting.claim(row) for posting in postings}
        if Claim.OURS in claims:
            found.ours.append(row)
        elif Claim.BY_FOLDER in claims:
            await _sort_by_folder(api, registry, spec, row, found)
    return found


async def _sort_by_folder(
    api: Api, registry: Registry[Any], spec: ExportSpec, row: JobRow, found: Found
) -> None:
    try:
        path = await registry.search.path_of(api, row.job_id)
    except (NotFound, PermissionDenied):
        path = None
    if path is None:
        found.unclear.append(row)
    elif same_path(path, spec.data_path):
        found.ours.append(row)


def postings_of(spec: ExportSpec, ways: Sequence[str], key: str) -> list[Posting]:
    """How an export may have been posted; no POST left by a way that the spec does not fit."""
    postings = []
    for way in ways:
        with suppress(InvalidExport):
            postings.append(spec.posting(way, key))
    return postings


def in_doubt(spec: ExportSpec, why: str, found: Sequence[JobRow]) -> SubmitInDoubt:
    """The error of an export of which nobody knows whether it was accepted."""
    return SubmitInDoubt(
        f"{spec}: the answer to its submit was lost, and {why}; "
        "it may or may not have been accepted",
        spec=spec,
        found=found,
    )
