"""Errors over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException

import dli_async
from dli_async import (
    ConfigurationError,
    DliError,
    InvalidExport,
    JournalError,
    Problem,
    RateLimited,
    ServerError,
)
from dli_async.fastapi import ProblemDetails
from dli_async.fastapi._problems import STATUS_OF, ProblemRoute, status_of

from .conftest import TestClient


def tree(kind: type[DliError]) -> Iterator[type[DliError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def test_every_error_has_a_status_of_its_own() -> None:
    """The table names every public error, so that a new one is not forgotten."""
    public = {kind for kind in tree(DliError) if kind.__name__ in dli_async.__all__}
    assert public <= STATUS_OF.keys()


def test_an_error_that_is_not_in_the_table_has_its_ancestors_status() -> None:
    """Users may derive errors from ours."""

    class Mine(ServerError):
        pass

    assert status_of(Mine("x", status_code=500)) is HTTPStatus.BAD_GATEWAY


def answer(error: Exception) -> Any:
    """What a route that raises an error answers."""
    router = APIRouter(route_class=ProblemRoute)

    @router.get("/")
    async def fail() -> None:
        raise error

    app = FastAPI()
    app.include_router(router, prefix="/x")
    return TestClient(app, raise_server_exceptions=False).get("/x/")


def test_an_error_of_the_service_keeps_its_code_and_request_id() -> None:
    """DLI's code and id of the exchange are in the problem, so that support can be asked."""
    response = answer(ServerError("oops", status_code=500, error_code="DLI.0999", request_id="r1"))
    assert response.status_code == 502
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemDetails(**response.json())
    assert (problem.status, problem.code, problem.request_id) == (502, "DLI.0999", "r1")
    assert problem.type == "urn:dli-async:server-error"
    assert "oops" in problem.detail


def test_a_throttled_caller_is_told_when_to_come_back() -> None:
    """`Retry-After` of the service reaches the caller."""
    response = answer(RateLimited("slow down", status_code=429, retry_after=7.0))
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")


def test_a_broken_spec_names_its_rules() -> None:
    """Every rule that a spec breaks is in the problem."""
    response = answer(InvalidExport([Problem("queue_name", "", "must not be empty")]))
    assert response.status_code == 422
    assert response.json()["errors"] == [{"where": "queue_name", "rule": "must not be empty"}]


@pytest.mark.parametrize(
    "error", [JournalError("journal /srv/secret.db: locked"), ConfigurationError("/srv/secret")]
)
def test_what_is_wrong_with_the_server_is_logged_and_not_told(
    error: DliError, caplog: pytest.LogCaptureFixture
) -> None:
    """Files and set-up of the server go to the log, not to callers."""
    response = answer(error)
    assert response.status_code >= 500
    assert "secret" not in response.text
    assert "secret" in caplog.text


def test_errors_of_the_framework_are_problems_too() -> None:
    """An `HTTPException` keeps its status, words and headers."""
    response = answer(HTTPException(401, "who?", {"WWW-Authenticate": "Bearer"}))
    assert response.json() == {
        "type": "urn:dli-async:unauthorized",
        "title": "Unauthorized",
        "status": 401,
        "detail": "who?",
    }
    assert response.headers["www-authenticate"] == "Bearer"
    assert answer(HTTPException(400, {"odd": 1})).json()["detail"] == "Bad Request"


def test_other_errors_are_left_to_the_application() -> None:
    """What is not ours is not hidden."""
    assert answer(RuntimeError("bug")).headers["content-type"].startswith("text/plain")
