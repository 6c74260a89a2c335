"""One reliable exchange: what is repeated and what never is, who holds a slot, what is told."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import respx

from dli_async import (
    AkSk,
    ApiError,
    ClientClosed,
    ConfigurationError,
    DliError,
    Event,
    InvalidResponse,
    NotFound,
    RateLimited,
    RequestEvent,
    RequestNotSent,
    ResponseLost,
    RetryEvent,
    RetryPolicy,
    ServerError,
    StaticToken,
)
from dli_async._auth import Scope, bind
from dli_async._http.answers import Answer
from dli_async._http.call import Call
from dli_async._http.exchange import HELD_UP, Http, make_client
from dli_async._http.owned_tasks import OwnedTasks
from dli_async._http.throttle import Throttle
from dli_async._http.transport import Wire
from dli_async._values.events import Emitter

pytestmark = pytest.mark.anyio

URL = "https://dli.test"
GET = Call("GET", "/v1.0/p/jobs", {"secret-free": "yes"})
POST = Call("POST", "/v1.0/p/jobs/export-table", body={"table_name": "t"})
YES = httpx.Response(200, json={"is_success": True})
PROJECT = "0123456789abcdef0123456789abcdef"


class Exchanges:
    """An `Http` over a scripted service, with what it told and used."""

    def __init__(self, client: Wire, auth: httpx.Auth, options: dict[str, Any]) -> None:
        self.events: list[Event] = []
        self.client = client
        self.tasks = OwnedTasks()
        self.throttle = Throttle(options.pop("slots", 4))
        scope = Scope(region="cn-north-4", project_id=PROJECT, environ={})
        given: dict[str, Any] = {"retry": RetryPolicy(), "request_timeout": 30.0} | options
        self.http = Http(
            client,
            endpoint=URL,
            auth=bind(auth, scope, client.send),
            throttle=self.throttle,
            tasks=self.tasks,
            emit=Emitter(self.events.append),
            **given,
        )

    async def post(self) -> Any:
        """What became of a POST."""
        outcomes: list[Any] = []

        async def leave() -> None:
            outcomes.append("left")

        await self.http.post(POST, leave, outcomes.append)
        left, outcome = outcomes
        assert left == "left"
        return outcome

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def over(
    handler: Any, *, auth: httpx.Auth | None = None, **options: Any
) -> AsyncIterator[Exchanges]:
    timeout = options.get("request_timeout", 30.0)
    transport = (
        handler if isinstance(handler, httpx.AsyncBaseTransport) else httpx.MockTransport(handler)
    )
    async with make_client(transport, timeout) as client:
        exchanges = Exchanges(client, auth or StaticToken("hush-hush-token"), options)
        yield exchanges
        await exchanges.tasks.drain()


def routed(method: str, *effects: Any) -> tuple[respx.Route, httpx.MockTransport]:
    """A route of respx that answers with `effects` in turn, and its transport."""
    router = respx.Router(assert_all_called=False)
    route = router.route(method=method, host="dli.test").mock(side_effect=list(effects))
    return route, httpx.MockTransport(router.async_handler)


def says(status: int, code: str = "", **headers: str) -> httpx.Response:
    body = {"error_code": code, "error_msg": "no", "request_id": "r-1"}
    return httpx.Response(
        status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


TRANSIENT: list[Any] = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("dropped"),
    OSError("network down"),
    says(408),
    says(429),
    says(429, "APIGW.0308", Retry_After="7"),
    says(500),
    says(502, "APIGW.0202"),
    says(503),
    says(504),
    says(400, "DLI.0999"),
    says(400, "DLI.0012"),
    httpx.Response(200, text="<html>"),
    httpx.Response(200, json={"is_success": False, "message": "DLI.0999: oops"}),
]
DEFINITE: list[tuple[Any, type[DliError]]] = [
    (says(400, "DLI.0001"), ApiError),
    (says(400, "DLI.0002"), NotFound),
    (says(401, "APIGW.0301"), ApiError),
    (says(403), ApiError),
    (says(404), NotFound),
    (says(501), ApiError),
    (says(302), ApiError),
    (httpx.Response(200, json={"is_success": False, "message": "no"}), ApiError),
]


@pytest.mark.parametrize("trouble", TRANSIENT, ids=repr)
async def test_a_get_is_repeated_after_trouble(trouble: Any) -> None:
    """No answer, throttling and server trouble are asked through."""
    route, transport = routed("GET", trouble, trouble, YES)
    async with over(transport) as exchanges:
        answer = await exchanges.http.request(GET)
    assert answer.data == {"is_success": True}
    assert route.call_count == 3
    assert [event.attempt for event in exchanges.told(RetryEvent)] == [1, 2]
    assert len(exchanges.told(RequestEvent)) == 3


@pytest.mark.parametrize(("refusal", "kind"), DEFINITE, ids=repr)
async def test_a_definite_answer_is_not_asked_for_again(
    refusal: httpx.Response, kind: type[DliError]
) -> None:
    """What the service knows it will not say differently a second later."""
    route, transport = routed("GET", refusal, YES)
    async with over(transport) as exchanges:
        with pytest.raises(kind):
            await exchanges.http.request(GET)
    assert route.call_count == 1


async def test_a_get_gives_up_after_its_attempts_with_the_last_error() -> None:
    """The caller learns what the last try came to."""
    route, transport = routed("GET", says(500), says(502), says(503))
    async with over(transport, retry=RetryPolicy(attempts=3)) as exchanges:
        with pytest.raises(ServerError) as caught:
            await exchanges.http.request(GET)
    assert (caught.value.status_code, caught.value.request_id) == (503, "r-1")
    assert route.call_count == 3


async def test_a_single_look_is_not_repeated() -> None:
    """`repeat=False` leaves the repeating to a loop above."""
    route, transport = routed("GET", says(500), YES)
    async with over(transport) as exchanges:
        with pytest.raises(ServerError):
            await exchanges.http.request(GET, repeat=False)
    assert route.call_count == 1


@pytest.mark.parametrize("trouble", TRANSIENT, ids=repr)
async def test_a_post_is_never_repeated(trouble: Any) -> None:
    """Whatever comes of it, it goes out once; the outcome is the caller's to judge."""
    route, transport = routed("POST", trouble, YES)
    async with over(transport) as exchanges:
        assert isinstance(await exchanges.post(), DliError)
    assert route.call_count == 1
    assert exchanges.told(RetryEvent) == []


async def test_a_post_tells_its_answer() -> None:
    """The body goes out as JSON, and the answer comes back as data."""
    route, transport = routed("POST", YES)
    async with over(transport) as exchanges:
        outcome = await exchanges.post()
    assert isinstance(outcome, Answer)
    assert json.loads(route.calls[0].request.content) == {"table_name": "t"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("refused"), RequestNotSent),
        (httpx.ProxyError("no"), RequestNotSent),
        (httpx.PoolTimeout("full"), RequestNotSent),
        (httpx.ReadError("reset"), ResponseLost),
        (httpx.WriteError("broken"), ResponseLost),
        (httpx.ReadTimeout(""), ResponseLost),
        (OSError("down"), ResponseLost),
    ],
)
async def test_lost_and_not_sent_are_told_apart(error: Exception, kind: type[DliError]) -> None:
    """Only what provably never left is "not sent"; the message names the call and the reason."""
    _, transport = routed("POST", error)
    async with over(transport) as exchanges:
        outcome = await exchanges.post()
    assert type(outcome) is kind
    assert "POST /v1.0/p/jobs/export-table: " in str(outcome)
    assert outcome.__cause__ is error


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_retry_after_is_waited_for_in_both_forms(form: str) -> None:
    """A minute is a minute, however it is said, and by the server's clock."""
    now = datetime(2020, 1, 1, tzinfo=UTC)
    wish = "60" if form == "seconds" else format_datetime(now + timedelta(seconds=60), usegmt=True)
    slow = says(429, "APIGW.0308", Retry_After=wish, Date=format_datetime(now, usegmt=True))
    _, transport = routed("GET", slow, YES)
    async with over(transport) as exchanges:
        started = anyio.current_time()
        await exchanges.http.request(GET)
        assert 60 <= anyio.current_time() - started <= 62
        [retry] = exchanges.told(RetryEvent)
        assert 60 <= retry.delay <= 62


async def test_a_retry_after_slows_everybody() -> None:
    """A throttled request makes the others wait too."""
    route, transport = routed("GET", says(503, Retry_After="50"), YES, YES)
    async with over(transport, retry=RetryPolicy(attempts=1)) as exchanges:
        with pytest.raises(ServerError):
            await exchanges.http.request(GET)
        started = anyio.current_time()
        await exchanges.http.request(GET)
        assert 49 <= anyio.current_time() - started <= 52
    assert route.call_count == 2


async def test_nobody_holds_a_slot_while_sleeping() -> None:
    """With a single slot, a request goes through while another waits to be repeated."""
    gone: list[str] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        gone.append(request.url.path)
        if request.url.path == "/bad" and gone.count("/bad") == 1:
            return says(500)
        return YES

    retry = RetryPolicy(wait_initial=20)
    async with over(handler, slots=1, retry=retry) as exchanges, anyio.create_task_group() as group:
        group.start_soon(exchanges.http.request, Call("GET", "/bad"))
        while not gone:
            await anyio.lowlevel.checkpoint()
        for _ in range(5):
            await exchanges.http.request(Call("GET", "/good"))
    assert gone.index("/good") == 1
    assert gone.count("/bad") == 2


async def test_the_time_limit_covers_the_body_and_not_the_queue() -> None:
    """Ten requests of 20 s each over one slot all succeed; a body that never ends does not."""

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await anyio.sleep(5)
                yield b" "

    async def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/endless":
            return httpx.Response(200, stream=Endless())
        await anyio.sleep(20)
        return YES

    done: list[Answer] = []
    async with over(handler, slots=1, retry=RetryPolicy(attempts=1)) as exchanges:

        async def ask() -> None:
            done.append(await exchanges.http.request(GET))

        started = anyio.current_time()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(ask)
        assert len(done) == 10
        assert anyio.current_time() - started >= 200
        started = anyio.current_time()
        with pytest.raises(ResponseLost, match="no answer within 30 s"):
            await exchanges.http.request(Call("GET", "/endless"))
        assert 29 <= anyio.current_time() - started <= 31


async def test_each_try_is_signed_anew() -> None:
    """A repeated request carries a signature of its own time."""
    times = iter(range(1_800_000_000, 1_900_000_000, 60))
    auth = AkSk("access", "hush-hush-secret")
    auth.now = lambda: float(next(times))
    route, transport = routed("GET", says(500), says(500), YES)
    async with over(transport, auth=auth) as exchanges:
        await exchanges.http.request(GET)
    signatures = {call.request.headers["Authorization"] for call in route.calls}
    assert len(signatures) == 3
    assert len({call.request.headers["X-Sdk-Date"] for call in route.calls}) == 3


async def test_a_post_that_left_outlives_its_caller() -> None:
    """The caller is cancelled, the exchange is not, and its outcome is told once."""
    arrived, go_on = anyio.Event(), anyio.Event()

    async def handler(request: httpx.Request) -> httpx.Response:
        arrived.set()
        await go_on.wait()
        return YES

    outcomes: list[Any] = []
    async with over(handler, slots=1) as exchanges:
        async with anyio.create_task_group() as group:
            group.start_soon(exchanges.http.post, POST, anyio.lowlevel.checkpoint, outcomes.append)
            await arrived.wait()
            group.cancel_scope.cancel()
        assert outcomes == []
        go_on.set()
        await exchanges.tasks.drain()
        assert len(outcomes) == 1
        assert isinstance(outcomes[0], Answer)
        await exchanges.http.request(GET)


async def test_a_get_that_is_cancelled_gives_its_slot_back_when_it_ends() -> None:
    """Cancelled callers leave at once, and no slot is lost."""

    async def handler(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(10)
        return YES

    async with over(handler, slots=2) as exchanges:
        for _ in range(20):
            with anyio.move_on_after(1):
                await exchanges.http.request(GET)
        await exchanges.http.request(GET)


async def test_an_error_that_is_not_ours_comes_through_as_it_is() -> None:
    """A bug in an auth or a transport of the user's own is not dressed up, and costs no slot."""

    async def handler(request: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError("bug")

    outcomes: list[Any] = []
    async with over(handler, slots=1) as exchanges:
        with pytest.raises(ZeroDivisionError):
            await exchanges.http.request(GET)
        with pytest.raises(ZeroDivisionError):
            await exchanges.http.post(POST, anyio.lowlevel.checkpoint, outcomes.append)
        [event, _] = exchanges.told(RequestEvent)
    assert event.error == "bug"
    [outcome] = outcomes
    assert type(outcome) is ResponseLost


async def test_after_the_client_has_closed_nothing_is_sent() -> None:
    """Whoever still holds the exchanges learns it in the library's own words."""
    route, transport = routed("GET", YES)
    async with over(transport) as exchanges:
        pass
    with pytest.raises(ClientClosed):
        await exchanges.http.request(GET)
    assert isinstance(await exchanges.post(), ClientClosed)
    assert route.call_count == 0


async def test_a_request_of_a_login_goes_out_as_it_is() -> None:
    """Without a slot, which its caller may hold, without repeats, and without the login itself."""
    route, transport = routed("GET", says(500), YES)
    async with over(transport, slots=1) as exchanges:
        await exchanges.throttle.enter()
        request = httpx.Request("GET", f"{URL}/v3/projects")
        response = await exchanges.http.send_for_login(request)
    assert response.status_code == 500
    assert response.json()["request_id"] == "r-1"
    assert route.call_count == 1
    assert "X-Auth-Token" not in route.calls[0].request.headers


async def test_cookies_are_not_kept() -> None:
    """A gateway's cookie is not sent back."""
    route, transport = routed(
        "GET", *[httpx.Response(200, json={}, headers={"Set-Cookie": "a=b"})] * 2
    )
    async with over(transport) as exchanges:
        await exchanges.http.request(GET)
        await exchanges.http.request(GET)
    assert not any("cookie" in call.request.headers for call in route.calls)


async def test_events_and_log_tell_each_exchange_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Method, path, status, request id and time; never a token, even if the gateway prints it."""
    printed = "decrypt token fail: hush-hush-token, X-Auth-Token: other-secret"
    bad = httpx.Response(
        500, json={"error_code": "APIGW.0301", "error_msg": printed, "request_id": "r-9"}
    )
    _, transport = routed("GET", bad, httpx.ReadError("reset"), YES)
    with caplog.at_level(logging.DEBUG, "dli_async"):
        async with over(transport) as exchanges:
            await exchanges.http.request(GET)
    first, second, third = exchanges.told(RequestEvent)
    assert (first.method, first.path, first.status_code) == ("GET", "/v1.0/p/jobs", 500)
    assert first.request_id == "r-9"
    assert first.error.startswith("APIGW.0301: decrypt token fail: ***")
    assert (second.status_code, third.status_code, third.error) == (None, 200, None)
    assert "reset" in second.error
    lines = [record.getMessage() for record in caplog.records if record.name == "dli_async.http"]
    assert len([line for line in lines if "->" in line]) == 3
    assert len([line for line in lines if "again in" in line]) == 2
    assert any("no answer" in line for line in lines)
    shown = "\n".join([*lines, *map(repr, exchanges.events)])
    assert "hush" not in shown
    assert "other-secret" not in shown


async def test_an_answer_that_cannot_be_read_shows_no_secret() -> None:
    """A page that echoes the request is cut and cleaned."""
    _, transport = routed("GET", httpx.Response(200, text="<p>hush-hush-token</p>" + "x" * 900))
    async with over(transport, retry=RetryPolicy(attempts=1)) as exchanges:
        with pytest.raises(InvalidResponse) as caught:
            await exchanges.http.request(GET)
    assert "hush" not in str(caught.value) + caught.value.text
    assert len(caught.value.text) == 500


async def test_a_listener_that_fails_is_logged_and_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`on_event` watches; it cannot break what it watches."""

    def fail(event: Event) -> None:
        raise ValueError("bug of the listener")

    event = RequestEvent(
        method="GET", path="/", status_code=200, error=None, request_id=None, duration=0.1
    )
    Emitter(fail)(event)
    assert "on_event failed for RequestEvent" in caplog.text


def test_a_listener_must_be_a_plain_function() -> None:
    """One that is never awaited would see nothing, so it is refused at once."""

    async def listener(event: Event) -> None: ...

    with pytest.raises(ConfigurationError, match="on_event"):
        Emitter(listener)
    with pytest.raises(ConfigurationError, match="on_event"):
        Emitter("print")  # type: ignore[arg-type]


def test_a_throttled_answer_keeps_the_wait_that_it_asked_for() -> None:
    """`RateLimited.retry_after` is in seconds."""
    error = RateLimited("slow", status_code=429, retry_after=2.5)
    assert error.retry_after == 2.5


def test_a_call_without_values_has_no_query() -> None:
    """Parameters of None are left out, and with them the question mark."""
    assert Call("GET", "/a", {"b": None}).target() == "/a"
    assert Call("GET", "/a").target() == "/a"
    assert Call("GET", "/a", {"b": False, "a": 1}).target() == "/a?a=1&b=false"


class Renewing(httpx.Auth):
    """A login that takes its time to renew itself after a refusal, and sends the request again."""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[Any, Any]:
        response = yield request
        if response.status_code == 401:
            await anyio.sleep(HELD_UP + 1)
            yield request


async def test_a_post_does_not_leave_again_long_after_it_was_announced() -> None:
    """Whoever has taken over meanwhile would not know of it; a GET may."""
    sent: list[str] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        return says(401, "APIGW.0301") if len(sent) in (1, 2) else YES

    async with over(handler, auth=Renewing()) as exchanges:
        outcome = await exchanges.post()
        assert isinstance(outcome, RequestNotSent)
        assert sent == ["POST"]
        await exchanges.http.request(GET)
        assert sent == ["POST", "GET", "GET"]
