"""Bodies have a limit, and errors tell callers nothing of how this server talks to DLI."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from dli_async import ApiError, AuthenticationError, RequestNotSent, SubmitInDoubt, TableExport
from dli_async.emulator import Emulator
from dli_async.fastapi._bodies import LARGEST
from dli_async.fastapi._words import without_request, words_for

from .conftest import Serve, spec

REQUEST = (
    "canonicalRequest:POST|/v1.0/0123456789abcdef0123456789abcdef/jobs/export-table/||"
    "host:dli.cn-north-4.myhuaweicloud.com|x-sdk-date:20260101T000000Z||host;x-sdk-date|e3b0c442"
)
SAID = "Incorrect IAM authentication information: verify aksk signature fail"


def chunks() -> Iterator[bytes]:
    """One byte more than is taken."""
    for _ in range(LARGEST // 2**20):
        yield b" " * 2**20
    yield b" "


@pytest.mark.parametrize("path", ["/exports", "/exports/bulk"])
def test_a_body_has_a_limit(serve: Serve, emulator: Emulator, path: str) -> None:
    """413 as a problem, for bodies that announce their size and for those in chunks."""
    with serve() as web:
        alice = web.by("alice")
        for content in (b" " * (LARGEST + 1), chunks()):
            answer = alice.post(path, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "urn:dli-async:content-too-large"
            assert "16,777,216" in answer.json()["detail"]
        assert alice.get("/exports").json()["exports"] == []


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_json_is_a_bad_request(serve: Serve, depth: int) -> None:
    """A problem, never a crash."""
    with serve() as web:
        answer = web.by("alice").post(
            "/exports",
            content="[" * depth + "]" * depth,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code in (400, 422)
        assert answer.headers["content-type"] == "application/problem+json"


def test_callers_see_code_message_and_request_id() -> None:
    """What the gateway repeats of the request is left out, whatever stands before or after it."""
    error = AuthenticationError(
        f"{SAID}, {REQUEST}", status_code=401, error_code="APIGW.0301", request_id="r1"
    )
    assert words_for(error) == f"APIGW.0301: {SAID} (HTTP 401, request r1)"
    assert without_request(f"{SAID}; Canonical Request: {REQUEST}") == SAID
    assert without_request(f"tried 3 times: {error}; gave up") == (
        f"tried 3 times: APIGW.0301: {SAID} (HTTP 401, request r1); gave up"
    )


def test_words_without_a_request_stay_as_they_are() -> None:
    """Other messages are the caller's business."""
    error = ApiError("There is no table t.", status_code=400, error_code="DLI.0002")
    assert words_for(error) == str(error)


def test_words_of_this_server_are_not_for_callers() -> None:
    """An address that cannot be reached is for the log."""
    assert "10.0.0.1" not in words_for(RequestNotSent("cannot connect to https://10.0.0.1"))


def test_an_export_that_was_refused_tells_its_caller_no_request(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the export, the list nor the events; the log has all of it."""

    async def refuse(*_: object, **__: object) -> None:
        raise AuthenticationError(
            f"{SAID}, {REQUEST}", status_code=401, error_code="APIGW.0301", request_id="r1"
        )

    monkeypatch.setattr("dli_async._http.api.Api.export", refuse)
    with caplog.at_level(logging.WARNING, "dli_async.fastapi"), serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=spec()).headers["location"]
        body = web.until(place, lambda body: body["error"] is not None)
        assert body["error"] == f"APIGW.0301: {SAID} (HTTP 401, request r1)"
        events = alice.get(f"{place}/events", params={"follow": False}).text
        assert "request r1" in events
        assert "host:dli" not in events + alice.get("/exports").text
    assert "host:dli" in caplog.text


def test_a_doubt_does_not_tell_it_either() -> None:
    """An error that quotes another one is cut as well."""
    doubt = SubmitInDoubt(f"could not look: {SAID}, {REQUEST}", spec=TableExport(**spec()))
    assert "host:dli" not in words_for(doubt)
