"""The routes: what HTTP asks, in the words of the service."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Depends, Header, Path, Query, Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema
from sse_starlette import EventSourceResponse

from .._journal.entries import ExportState
from .._values.spec import AnySpec
from ._problems import ProblemRoute, error_response, responses
from ._service import CallersExports
from ._store import Filters
from ._views import (
    SPEC_EXAMPLE,
    CancelView,
    ExportEvent,
    ExportPage,
    ExportsAccepted,
    ExportView,
    FilePage,
)
from .events import Item, stream

_BULK = 1_000
_PAGE = 500
_FILES = 1_000
_LARGEST = 2**63 - 1  # what the journal's file can hold
_SESSION = "dli_exports_of_caller"


def remember(request: Request, exports: CallersExports) -> None:
    """Notes, for the routes below, what the caller of a request may use."""
    setattr(request.state, _SESSION, exports)


async def _recall(request: Request) -> CallersExports:
    return cast(CallersExports, getattr(request.state, _SESSION))


# A parameter that is left out is None; there is no way to write a null in a query.
Omitted = SkipJsonSchema[None]
Number = Annotated[int, Field(ge=0, le=_LARGEST)]

Exports = Annotated[CallersExports, Depends(_recall)]
KnownAs = Annotated[
    str,
    Path(
        description="The router's `export_id`, or DLI's `job_id` once there is one.",
        min_length=1,
        max_length=64,
        pattern=r"^[0-9A-Za-z_.\-]+$",
        examples=["7", "828d4044-3d39-449b-b32c-957f7cfadfc9"],
    ),
]
LastEventHeader = Annotated[
    Number | Omitted,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event that was seen; browsers send it by themselves.",
    ),
]
LastEventQuery = Annotated[
    Number | Omitted,
    Query(
        alias="last_event_id",
        description="The same, for a first connection; the header wins.",
    ),
]
Follow = Annotated[
    bool, Query(description="Whether to go on with what happens from now on; false ends at once.")
]
Name = Annotated[Annotated[str, Field(max_length=128)] | Omitted, Query()]

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `status`, `progress` (without `id`) and `end`, each "
        "with an `ExportEvent` as JSON; comments keep the connection open.",
        "content": {
            "text/event-stream": {
                # One event, as OpenAPI 3.2 describes a stream.
                "itemSchema": {
                    "type": "object",
                    "properties": {
                        "id": {"type": "string", "pattern": "^[0-9]+$"},
                        "event": {"enum": ["status", "progress", "end"]},
                        "data": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": ExportEvent.model_json_schema(mode="serialization"),
                        },
                        "retry": {"type": "integer"},
                    },
                },
                "example": 'id: 12\nevent: end\ndata: {"export_id":7,"state":"finished"}\n\n',
            }
        },
    }
}

router = APIRouter(route_class=ProblemRoute)


@router.post(
    "",
    status_code=202,
    responses={
        202: {
            "description": "Accepted and durable; DLI is asked from now on.",
            "headers": {
                "Location": {
                    "description": "Where the export is found from now on.",
                    "schema": {"type": "string"},
                }
            },
        },
        **responses(400, 409, 413),
    },
    summary="Start an export",
)
async def start_export(
    spec: Annotated[AnySpec, Body(examples=[SPEC_EXAMPLE])],
    exports: Exports,
    request: Request,
    response: Response,
) -> ExportView:
    """Accepts an export and answers at once, without waiting for DLI.

    From this answer on the export survives restarts, and is submitted exactly once.
    """
    (entry,) = await exports.start([spec])
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{entry.id}"
    return exports.service.view(entry)


@router.post(
    "/bulk", status_code=202, responses=responses(400, 409, 413), summary="Start many exports"
)
async def start_exports(
    specs: Annotated[
        list[AnySpec], Body(min_length=1, max_length=_BULK, examples=[[SPEC_EXAMPLE]])
    ],
    exports: Exports,
) -> ExportsAccepted:
    """Accepts all of up to 1,000 exports, or none."""
    entries = await exports.start(specs)
    return ExportsAccepted(exports=[exports.service.view(entry) for entry in entries])


@router.get("", responses=responses(), summary="List exports")
async def list_exports(
    exports: Exports,
    state: Annotated[
        list[ExportState], Query(description="Only exports in one of these states.")
    ] = [],  # noqa: B006 - FastAPI copies it
    database_name: Name = None,
    table_name: Name = None,
    data_path: Annotated[
        Annotated[str, Field(max_length=2_000)] | Omitted, Query(description="The folder.")
    ] = None,
    before: Annotated[
        Number | Omitted, Query(description="`next_before` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE)] = 50,
) -> ExportPage:
    """The caller's exports, the newest first."""
    last_event_id = await exports.service.journal.last_seq()
    filters = Filters(
        states=state, database_name=database_name, table_name=table_name, data_path=data_path
    )
    entries = await exports.page(filters, before=before, limit=limit + 1)
    return ExportPage(
        exports=[exports.service.view(entry) for entry in entries[:limit]],
        next_before=entries[limit - 1].id if len(entries) > limit else None,
        last_event_id=last_event_id,
    )


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses={**_EVENTS, **responses()},
    summary="Follow all exports",
)
async def follow_exports(
    exports: Exports,
    header: LastEventHeader = None,
    query: LastEventQuery = None,
    follow: Follow = True,
) -> Response:
    """Events of all of the caller's exports, from `Last-Event-ID` on, or from now on.

    The stream does not end by itself. Each export's `end` is sent exactly once.
    """
    given = query if header is None else header
    latest = await exports.service.journal.last_seq()
    after = latest if given is None else min(given, latest)
    return _stream(exports, after, follow)


@router.get("/{job_id}", responses=responses(404), summary="Look at an export")
async def get_export(job_id: KnownAs, exports: Exports) -> ExportView:
    """One export, from the journal: DLI is not asked."""
    return exports.service.view(await exports.find(job_id))


@router.delete(
    "/{job_id}", status_code=202, responses=responses(404, 502, 504), summary="Cancel an export"
)
async def cancel_export(job_id: KnownAs, exports: Exports) -> CancelView:
    """Cancels an export, and tells what became of that."""
    outcome, entry = await exports.cancel(job_id)
    return CancelView(outcome=outcome, export=exports.service.view(entry))


@router.get(
    "/{job_id}/files",
    responses={
        **responses(404, 502, 504),
        409: error_response(
            409, "NoFiles", "The export has not finished, or a later one has replaced its files."
        ),
    },
    summary="List the files of an export",
)
async def list_files(
    job_id: KnownAs,
    exports: Exports,
    response: Response,
    after: Annotated[
        str, Query(max_length=1024, description="`next_after` of the page before.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=_FILES)] = _FILES,
) -> FilePage:
    """The files that a finished export left on OBS, as they lie there now.

    Where the policy gives links, each opens its file without a login, for a short while.
    """
    # What is cached would outlive the links in it.
    response.headers["Cache-Control"] = "no-store"
    return await exports.files(job_id, after=after, limit=limit)


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses={
        **_EVENTS,
        204: {"description": "The export has ended, and all of its events were seen."},
        **responses(404),
    },
    summary="Follow an export",
)
async def follow_export(
    job_id: KnownAs,
    exports: Exports,
    header: LastEventHeader = None,
    query: LastEventQuery = None,
    follow: Follow = True,
) -> Response:
    """Events of one export, from its first or from `Last-Event-ID` on; ends with its `end`."""
    entry = await exports.find(job_id)
    given = query if header is None else header
    after = min(given or 0, await exports.service.journal.last_seq())
    journal = exports.service.journal
    if entry.state.is_end and not await journal.changes(after=after, export_id=entry.id, limit=1):
        # A browser that is told so does not come back.
        return Response(status_code=204)
    return _stream(exports, after, follow, entry.id)


def _stream(
    exports: CallersExports, after: int, follow: bool, export_id: int | None = None
) -> Response:
    def sees(item: Item) -> bool:
        return exports.sees(item)

    return stream(
        exports.service.feed,
        after,
        sees=sees,
        export_id=export_id,
        follow=follow,
        heartbeat=exports.service.settings.heartbeat,
    )
