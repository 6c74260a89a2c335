"""What an HTTP answer means: every failure shape is told apart, and every documented code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli_async import (
    AlreadyExists,
    ApiError,
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    RateLimited,
    ResultExpired,
    ServerError,
)
from dli_async._http.answers import Answer, date_of, read_answer, retry_after_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def read(status: int, body: Any = b"", **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(
        status, httpx.Headers({k.replace("_", "-"): v for k, v in headers.items()}), content
    )


def refusal(status: int, body: Any = b"", **headers: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(status, body, **headers)
    return caught.value


# The tables of the documents: code, HTTP status, class.
DLI_CODES: list[tuple[str, int, type[ApiError]]] = [
    ("DLI.0001", 400, ApiError),
    ("DLI.0002", 400, NotFound),
    ("DLI.0003", 400, PermissionDenied),
    ("DLI.0004", 400, ApiError),
    ("DLI.0005", 400, ApiError),
    ("DLI.0006", 400, AlreadyExists),
    ("DLI.0007", 400, ApiError),
    ("DLI.0008", 400, ApiError),
    ("DLI.0009", 400, QuotaExceeded),
    ("DLI.0011", 400, PermissionDenied),
    ("DLI.0012", 400, ServerError),
    ("DLI.0013", 401, AuthenticationError),
    ("DLI.0014", 401, AuthenticationError),
    ("DLI.0015", 400, AuthenticationError),
    ("DLI.0016", 400, AuthenticationError),
    ("DLI.0018", 400, ApiError),
    ("DLI.0019", 400, ServerError),
    ("DLI.0023", 404, NotFound),
    ("DLI.0100", 400, ResultExpired),
    ("DLI.0999", 400, ServerError),
    ("DLI.1028", 400, QuotaExceeded),
    ("DLI.12004", 400, NotFound),
]
GATEWAY_CODES: list[tuple[str, int, type[ApiError]]] = [
    ("0101", 404, ApiError),
    ("0103", 404, ServerError),
    ("0103", 500, ServerError),
    ("0104", 400, ApiError),
    ("0105", 500, ServerError),
    ("0106", 400, ApiError),
    ("0201", 400, ApiError),
    ("0201", 413, ApiError),
    ("0201", 414, ApiError),
    ("0201", 494, ApiError),
    ("0201", 502, ServerError),
    ("0201", 504, ServerError),
    ("0202", 502, ServerError),
    ("0203", 504, ServerError),
    ("0301", 401, AuthenticationError),
    ("0302", 403, PermissionDenied),
    ("0303", 401, AuthenticationError),
    ("0304", 403, PermissionDenied),
    ("0305", 401, AuthenticationError),
    ("0306", 403, PermissionDenied),
    ("0307", 401, AuthenticationError),
    ("0308", 429, RateLimited),
    ("0310", 403, PermissionDenied),
    ("0401", 403, PermissionDenied),
    ("0402", 403, PermissionDenied),
    ("0404", 403, PermissionDenied),
    ("0501", 405, QuotaExceeded),
    ("0502", 405, PermissionDenied),
    ("0601", 500, ServerError),
    ("0602", 400, ApiError),
    ("0605", 500, ServerError),
    ("0606", 500, ServerError),
    ("0607", 400, ApiError),
    ("0608", 500, ServerError),
    ("0609", 500, ServerError),
    ("0610", 502, ServerError),
    ("0611", 500, ServerError),
    ("0612", 500, ServerError),
    ("0613", 503, ServerError),
    ("0705", 500, ServerError),
    ("0802", 403, PermissionDenied),
]


@pytest.mark.parametrize(("code", "status", "kind"), DLI_CODES)
def test_each_code_of_the_service_has_its_class(
    code: str, status: int, kind: type[ApiError]
) -> None:
    """Server faults and missing things arrive as 400, so the code decides."""
    error = refusal(status, {"error_code": code, "error_msg": "no"}, x_request_id="r-1")
    assert type(error) is kind
    assert (error.status_code, error.error_code, error.error_msg) == (status, code, "no")
    assert error.request_id == "r-1"
    assert str(error) == f"{code}: no (HTTP {status}, request r-1)"


@pytest.mark.parametrize("prefix", ["APIGW", "APIG"])
@pytest.mark.parametrize(("number", "status", "kind"), GATEWAY_CODES)
def test_each_code_of_the_gateway_has_its_class_with_either_prefix(
    prefix: str, number: str, status: int, kind: type[ApiError]
) -> None:
    """The public cloud says `APIGW.`, a gateway of one's own `APIG.`; the number counts."""
    code = f"{prefix}.{number}"
    error = refusal(status, {"error_code": code, "error_msg": "no", "request_id": "g-1"})
    assert type(error) is kind
    assert (error.error_code, error.request_id) == (code, "g-1")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, ApiError),
        (400, ApiError),
        (401, AuthenticationError),
        (403, PermissionDenied),
        (404, NotFound),
        (405, ApiError),
        (407, ApiError),
        (408, ServerError),
        (409, AlreadyExists),
        (429, RateLimited),
        (500, ServerError),
        (501, ApiError),
        (502, ServerError),
        (503, ServerError),
        (504, ServerError),
        (522, ServerError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>\n<h1>Bad Gateway</h1></html>", b"[]", b'{"a":'])
def test_without_a_code_the_status_decides(status: int, kind: type[ApiError], body: bytes) -> None:
    """Empty bodies, pages of proxies and half an answer are refusals with what they say."""
    error = refusal(status, body)
    assert type(error) is kind
    assert error.error_code == ""
    assert "\n" not in error.error_msg
    assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize("flag", [False, "false", "False", " FALSE "])
def test_a_200_that_says_no_is_a_refusal(flag: Any) -> None:
    """`is_success` may be a text, and the code may hide in the message."""
    error = refusal(200, {"is_success": flag, "message": "DLI.0002: no such table", "job_id": ""})
    assert type(error) is NotFound
    assert (error.status_code, error.error_code) == (200, "DLI.0002")


def test_a_200_that_says_no_without_words_keeps_what_it_said() -> None:
    """Nothing of an odd answer is lost: its body is the message."""
    error = refusal(200, {"is_success": False, "message": ""})
    assert type(error) is ApiError
    assert "is_success" in error.error_msg


def test_a_report_of_a_failed_job_is_an_answer() -> None:
    """A job that failed is no failed request, even where `is_success` says so."""
    body = {"is_success": False, "job_id": "1", "status": "FAILED", "message": "DLI.0999: oops"}
    assert read(200, body).data == body


def test_a_status_that_is_no_state_of_a_job_does_not_hide_a_refusal() -> None:
    """Some frameworks put the HTTP status into a field of that name."""
    assert refusal(200, {"is_success": False, "status": 500, "message": "oops"}).error_msg == "oops"


@pytest.mark.parametrize("flag", [True, "true", None, "yes"])
def test_a_200_that_does_not_say_no_is_an_answer(flag: Any) -> None:
    """Only a clear no is one; other fields tell the rest."""
    assert read(200, {"is_success": flag, "job_id": "1"}).data["job_id"] == "1"


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "message"),
    [
        (
            401,
            {"error": {"code": 401, "message": "bad", "title": "Unauthorized"}},
            AuthenticationError,
            "401",
            "bad",
        ),
        (403, {"error": {"code": 403, "title": "Forbidden"}}, PermissionDenied, "403", "Forbidden"),
        (400, {"error_code": "IAM.0101", "error_msg": "bad"}, ApiError, "IAM.0101", "bad"),
        (400, {"errorCode": "DLI.0002", "errorMsg": "gone"}, NotFound, "DLI.0002", "gone"),
        (400, {"code": "DLI.0006", "message": "there"}, AlreadyExists, "DLI.0006", "there"),
        (400, {"reply": {"code": "DLI.0003", "message": "no"}}, PermissionDenied, "DLI.0003", "no"),
        (
            400,
            {"message": {"error_code": "DLI.0001", "error_msg": "bad"}},
            ApiError,
            "DLI.0001",
            "bad",
        ),
        (
            400,
            {"message": '{"error_code":"DLI.0023"}'},
            NotFound,
            "DLI.0023",
            '{"error_code":"DLI.0023"}',
        ),
        (400, {"error": "plain"}, ApiError, "", '{"error": "plain"}'),
        (400, {"error_code": 7, "error_msg": ["x"], "request_id": 5}, ApiError, "7", "['x']"),
    ],
)
def test_other_spellings_are_understood(
    status: int, body: dict[str, Any], kind: type[ApiError], code: str, message: str
) -> None:
    """IAM's format, camelCase, short names, one nested level, and JSON in a text."""
    error = refusal(status, body)
    assert (type(error), error.error_code, error.error_msg) == (kind, code, message)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("DLI.0008", "There is no queue named q1", NotFound),
        ("", "There is no table named t", NotFound),
        ("DLI.0001", "The job does not exist", NotFound),
        ("", "path obs://home/a already exists", AlreadyExists),
        ("DLI.0001", "bad parameter", ApiError),
    ],
)
def test_the_words_of_the_service_decide_where_code_and_status_do_not(
    code: str, message: str, kind: type[ApiError]
) -> None:
    """A missing queue comes with different codes, an existing folder with none."""
    assert type(refusal(400, {"error_code": code, "error_msg": message})) is kind
    assert type(refusal(500, {"error_msg": message})) is ServerError


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   ",
        b"<html>hi</html>",
        b"[1]",
        b'"text"',
        b"null",
        b'{"is_success": tr',
        b"\xff\xfe",
    ],
)
def test_a_200_that_cannot_be_understood_is_an_invalid_response(content: bytes) -> None:
    """Pages of proxies, truncated JSON and JSON that is no object are never taken for a yes."""
    with pytest.raises(InvalidResponse) as caught:
        read(200, content, x_request_id="r-2")
    assert (caught.value.status_code, caught.value.request_id) == (200, "r-2")
    assert len(caught.value.text) <= 500


def test_no_content_is_an_empty_answer() -> None:
    """A 204 has no body and needs none."""
    assert read(204).data == {}


def test_a_byte_order_mark_is_skipped() -> None:
    """JSON behind a UTF-8 mark is JSON."""
    assert read(200, b'\xef\xbb\xbf{"job_id": "1"}').data == {"job_id": "1"}


@pytest.mark.parametrize(
    ("inner", "tail"),
    [
        ('{"error_code":"DLI.0999"}', ', "status": "FINISHED"}'),
        ('{"error_code":"DLI.0999","error_msg":"a, b"}', ', "status": "FINISHED"}'),
        ('say "hi", then "bye"', ', "status": "FINISHED"}'),
        ('{""}', ', "status": "FINISHED"}\n'),
    ],
)
def test_unescaped_quotes_in_a_message_are_mended(inner: str, tail: str) -> None:
    """The broken sample of the status page is read, and its message kept."""
    text = '{"is_success": true, "message": "' + inner + '"' + tail
    data = read(200, text.encode()).data
    assert data == {"is_success": True, "message": inner, "status": "FINISHED"}


def test_a_broken_message_at_the_end_is_mended_too() -> None:
    """The message may be the last field."""
    data = read(200, b'{"status": "FAILED", "message": "{"error_code":"DLI.0999"}"}').data
    assert data["message"] == '{"error_code":"DLI.0999"}'


@given(st.binary(max_size=80), st.sampled_from([200, 204, 302, 400, 429, 500]))
def test_any_body_is_an_answer_or_an_error_of_ours(content: bytes, status: int) -> None:
    """No bytes make the reading itself fail."""
    try:
        read(status, content)
    except (ApiError, InvalidResponse) as error:
        assert str(error)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_is_a_time_or_none(retry_after: str, date: str) -> None:
    """Headers that are neither seconds nor a date are as good as missing."""
    headers = {"retry-after": retry_after, "date": date}
    delay = retry_after_of(headers)
    assert delay is None or delay >= 0
    assert date_of(headers) is None or date_of(headers).tzinfo  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Thu, 01 Jan 2026 12:01:00 -0000", 60.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("Thu, 99 Jan 2026 12:01:00 GMT", None),
        ("Thu, 01 Jan 99999999999999999999 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str, seconds: float | None) -> None:
    """Seconds, or a date that is compared with the server's own clock and not with ours."""
    headers = {"retry-after": value, "date": format_datetime(NOW, usegmt=True)}
    assert retry_after_of(headers) == seconds
    if seconds is not None:
        assert refusal(429, {}, Retry_After=value, Date=headers["date"]).retry_after == seconds


def test_a_date_without_the_servers_clock_is_compared_with_ours() -> None:
    """Not every gateway sends `Date`."""
    later = datetime.now(UTC) + timedelta(hours=1)
    delay = retry_after_of({"retry-after": format_datetime(later, usegmt=True)})
    assert delay is not None
    assert 3500 < delay <= 3600


def test_an_answer_keeps_what_its_headers_tell() -> None:
    """Request id, and the wait that was asked for."""
    answer = read(200, {}, X_Request_Id="r", Retry_After="3")
    assert (answer.request_id, answer.retry_after) == ("r", 3.0)
    assert read(200, {}, X_IAM_Trace_Id="t").request_id == "t"


def test_a_redirect_is_told_and_not_followed() -> None:
    """A wrong scheme or host shows as what it is."""
    error = refusal(302, b"", Location="https://elsewhere.test/")
    assert "https://elsewhere.test/" in error.error_msg


def test_secrets_that_the_gateway_prints_are_masked() -> None:
    """A failed signature makes the gateway print the headers it got, tokens among them."""
    printed = (
        "verify aksk signature fail, canonicalRequest:GET|/v1.0/|x-security-token:abc123|"
        "X-Auth-Token: tok-9|x-sdk-date:2026 and mine-too"
    )
    with pytest.raises(ApiError) as caught:
        read_answer(
            401,
            {},
            json.dumps({"error_code": "APIGW.0301", "error_msg": printed}).encode(),
            lambda text: text.replace("mine-too", "***"),
        )
    for secret in ("abc123", "tok-9", "mine-too"):
        assert secret not in str(caught.value)
    assert "x-sdk-date:2026" in str(caught.value)
    with pytest.raises(InvalidResponse) as unreadable:
        read_answer(200, {}, b"<p>Authorization: Basic abc</p>")
    assert "abc" not in str(unreadable.value) + unreadable.value.text


def test_codes_and_request_ids_are_masked_and_short() -> None:
    """A gateway may quote what it was sent anywhere."""
    body = {
        "error_code": "APIGW.0301 X-Auth-Token: hush",
        "error_msg": "no",
        "request_id": "authorization=hush" + "x" * 10_000,
    }
    with pytest.raises(ApiError) as caught:
        read(401, body)
    assert "hush" not in f"{caught.value} {caught.value.error_code} {caught.value.request_id}"
    assert len(str(caught.value)) < 500
