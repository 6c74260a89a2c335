"""Errors as RFC 9457 problem details, and the one table that maps them to HTTP statuses."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Coroutine, Iterable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from .._export.errors import (
    JobCancelled,
    JobError,
    JobFailed,
    JobLost,
    JobTimeout,
    SubmitInDoubt,
)
from .._values import errors as errors
from .._values.files import FilesError, VerificationFailed
from ._bodies import limited
from ._words import INTERNAL, words_for
from .policy import PolicyViolation

_log = logging.getLogger("dli_async.fastapi")

MEDIA_TYPE = "application/problem+json"


class UnknownExport(errors.DliError):
    """Raised when there is no such export, or it is not this caller's: nobody can tell which."""


class FolderInUse(errors.DliError):
    """Raised when an export would spoil another one: to its folder, one around it or one in it.

    The other has not ended; or it is another caller's, and Overwrite would delete it.
    """


class NoFiles(errors.DliError):
    """Raised when an export has no files to show.

    It has not finished, or a later export to its folder has, or may have, replaced them.
    """


STATUS_OF: dict[type[errors.DliError], HTTPStatus] = {
    PolicyViolation: HTTPStatus.FORBIDDEN,
    UnknownExport: HTTPStatus.NOT_FOUND,
    FolderInUse: HTTPStatus.CONFLICT,
    NoFiles: HTTPStatus.CONFLICT,
    errors.InvalidExport: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.ResultExpired: HTTPStatus.NOT_FOUND,
    errors.AlreadyExists: HTTPStatus.CONFLICT,
    errors.FolderExists: HTTPStatus.CONFLICT,
    errors.RateLimited: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.QuotaExceeded: HTTPStatus.SERVICE_UNAVAILABLE,
    # The service refused this application, which its caller can do nothing about.
    errors.AuthenticationError: HTTPStatus.BAD_GATEWAY,
    errors.PermissionDenied: HTTPStatus.BAD_GATEWAY,
    errors.ServerError: HTTPStatus.BAD_GATEWAY,
    errors.ApiError: HTTPStatus.BAD_GATEWAY,
    errors.InvalidResponse: HTTPStatus.BAD_GATEWAY,
    errors.RequestNotSent: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ResponseLost: HTTPStatus.GATEWAY_TIMEOUT,
    errors.RequestError: HTTPStatus.BAD_GATEWAY,
    SubmitInDoubt: HTTPStatus.GATEWAY_TIMEOUT,
    JobLost: HTTPStatus.CONFLICT,
    JobTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    JobFailed: HTTPStatus.CONFLICT,
    JobCancelled: HTTPStatus.CONFLICT,
    JobError: HTTPStatus.CONFLICT,
    VerificationFailed: HTTPStatus.CONFLICT,
    FilesError: HTTPStatus.BAD_GATEWAY,
    errors.JournalError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ClientClosed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ConfigurationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.DliError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The HTTP status of each error; one that is not here has its nearest ancestor's."""


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Where it is, such as `body.data_path`.")
    rule: str = Field(description="The rule that is broken.")


class ProblemDetails(BaseModel):
    """What went wrong, after RFC 9457."""

    type: str = Field(description="Names the kind of problem; stable.")
    title: str = Field(description="The HTTP status in words.")
    status: int
    detail: str = Field(description="What went wrong, for people.")
    rule: str | None = Field(None, description="The rule of the policy that says no.")
    code: str | None = Field(None, description="DLI's error code, such as `DLI.0999`.")
    request_id: str | None = Field(None, description="DLI's id of the exchange.")
    errors: list[FieldProblem] | None = Field(None, description="Every broken rule of a request.")


def status_of(error: errors.DliError) -> HTTPStatus:
    """The HTTP status of an error, by the table."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


def respond(problem: ProblemDetails, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem as a response."""
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def _problem(status: HTTPStatus, kind: str, detail: str, **more: Any) -> ProblemDetails:
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
    return ProblemDetails(
        type=f"urn:dli-async:{name}", title=status.phrase, status=status, detail=detail, **more
    )


async def dli_error_handler(request: Request, error: Exception) -> Response:
    """Answers with problem details; for routes of your own that use the client.

    `app.add_exception_handler(DliError, dli_error_handler)`
    """
    assert isinstance(error, errors.DliError)
    status = status_of(error)
    detail = words_for(error)
    if isinstance(error, INTERNAL):
        _log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
    retry_after = getattr(error, "retry_after", None)
    problems = error.problems if isinstance(error, errors.InvalidExport) else ()
    problem = _problem(
        status,
        type(error).__name__,
        detail,
        rule=error.rule if isinstance(error, PolicyViolation) else None,
        code=getattr(error, "error_code", None) or None,
        request_id=getattr(error, "request_id", None),
        errors=[FieldProblem(where=item.field, rule=item.rule) for item in problems] or None,
    )
    return respond(problem, {"Retry-After": f"{retry_after:.0f}"} if retry_after else None)


def _invalid(error: RequestValidationError) -> Response:
    found = [
        FieldProblem(where=".".join(map(str, item["loc"])), rule=str(item["msg"]))
        for item in error.errors()
    ]
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    detail = "; ".join(f"{item.where}: {item.rule}" for item in found)
    return respond(_problem(status, "InvalidRequest", detail, errors=found))


# Python has two names for some, by version.
_KINDS = {413: "ContentTooLarge"}


def _refused(error: HTTPException) -> Response:
    status = HTTPStatus(error.status_code)
    kind = _KINDS.get(status) or status.name.title().replace("_", "")
    detail = error.detail if isinstance(error.detail, str) else status.phrase
    headers = dict(error.headers) if error.headers else None
    return respond(_problem(status, kind, detail), headers)


class ProblemRoute(APIRoute):
    """A route whose errors, those of its dependencies included, are problem details."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_problems(request: Request) -> Response:
            try:
                return await handle(limited(request))
            except errors.DliError as error:
                return await dli_error_handler(request, error)
            except RequestValidationError as error:
                return _invalid(error)
            except HTTPException as error:
                return _refused(error)

        return handle_problems


# By status: the kind of a problem that has it, and what it says.
_EXAMPLES = {
    400: ("BadRequest", "The body cannot be read at all."),
    401: ("Unauthorized", "The caller is not known."),
    403: ("PolicyViolation", "The caller may not do this; `rule` names the rule that says so."),
    404: ("UnknownExport", "There is no such export, or it is not the caller's."),
    409: ("FolderInUse", "An export to this folder, around it or in it has not ended."),
    413: ("ContentTooLarge", "The body is larger than 16 MiB."),
    422: ("InvalidRequest", "The request breaks a rule; `errors` has all of them."),
    502: ("ServerError", "DLI or OBS refused, or its answer could not be understood."),
    503: ("JournalError", "DLI, OBS or the journal cannot be used right now."),
    504: ("ResponseLost", "DLI or OBS did not answer in time."),
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the errors of a route."""
    return {status: error_response(status, *_EXAMPLES[status]) for status in _with_common(statuses)}


def _with_common(statuses: Iterable[int]) -> list[int]:
    return sorted({401, 403, 422, 503, *statuses})


def error_response(status: int, kind: str, says: str) -> dict[str, Any]:
    """What OpenAPI says of one error of a route."""
    example = _problem(HTTPStatus(status), kind, says)
    content = {"schema": _SCHEMA, "example": example.model_dump(exclude_none=True)}
    return {"description": says, "content": {MEDIA_TYPE: content}}


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A schema in one piece, since FastAPI collects parts of JSON responses only."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def fill(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return parts[value["$ref"].rpartition("/")[2]]
            return {key: fill(item) for key, item in value.items()}
        return [fill(item) for item in value] if isinstance(value, list) else value

    filled: dict[str, Any] = fill(schema)
    return filled


_SCHEMA = _inlined(ProblemDetails)
