"""The first request of a login goes alone, so that one wrong key is not locked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import httpx
import pytest

from dli_async import AkSk, AuthenticationError, DliClient, RetryPolicy, StaticToken, TableExport
from dli_async.emulator import Emulator, NullEngine

from ..support import PROJECT, refused, report

pytestmark = pytest.mark.anyio

WRONG = refused(401, "APIGW.0301", "verify aksk signature fail")
GOOD = report("RUNNING")


class Service:
    """Takes a second for each answer, and counts how many are asked for at one time."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.count = self.now = 0
        self.peaks: list[int] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        self.count += 1
        self.now += 1
        self.peaks.append(self.now)
        try:
            await anyio.sleep(1)
        finally:
            self.now -= 1
        if isinstance(reply, Exception):
            raise reply
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    def client(self, **options: Any) -> DliClient:
        given: dict[str, Any] = {
            "endpoint": "https://dli.test",
            "project_id": PROJECT,
            "auth": AkSk("ak-1", "sk-1"),
            "retry": RetryPolicy(attempts=1),
            "transport": httpx.MockTransport(self),
        }
        return DliClient(**(given | options))


async def outcomes(*calls: Callable[[], Any]) -> list[Any]:
    """What each of some calls, made at the same time, comes to."""
    found: list[Any] = []

    async def run(call: Callable[[], Any]) -> None:
        try:
            found.append(await call())
        except Exception as error:
            found.append(error)

    async with anyio.create_task_group() as group:
        for call in calls:
            group.start_soon(run, call)
    return found


async def test_the_first_request_goes_alone_and_the_rest_together() -> None:
    """A yes is waited for once; then nothing waits any more."""
    service = Service(GOOD)
    async with service.client() as client:
        await outcomes(*[client.job(f"j{n}").status for n in range(9)])
        assert service.peaks == [1, 1, 2, 3, 4, 5, 6, 7, 8]
        service.peaks.clear()
        await outcomes(*[client.job(f"j{n}").status for n in range(3)])
        assert service.peaks == [1, 2, 3]


async def test_after_a_refusal_nothing_more_is_sent() -> None:
    """Each that waited, or comes soon after, raises an error of its own."""
    service = Service(WRONG)
    async with service.client() as client:
        found = await outcomes(*[client.job(f"j{n}").status for n in range(9)])
        found += await outcomes(client.job("late").status)
    assert service.count == 1
    assert [type(error) for error in found] == [AuthenticationError] * 10
    assert len(set(map(id, found))) == 10
    assert {error.error_code for error in found} == {"APIGW.0301"}


async def test_a_refusal_is_not_held_for_ever() -> None:
    """A key that was just made, or a clock that was set right, works a minute later."""
    service = Service(WRONG, GOOD)
    async with service.client() as client:
        await outcomes(client.job("j").status)
        await anyio.sleep(61)
        assert (await client.job("j").status()).raw_status == "RUNNING"
    assert service.count == 2


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ReadError("reset"),
        refused(503, "APIGW.0613"),
        refused(429, "APIGW.0308"),
        refused(404, "APIGW.0101"),
        httpx.Response(200, content=b"<html>"),
    ],
    ids=["lost", "503", "429", "wrong address", "page"],
)
async def test_without_a_verdict_the_next_one_goes_alone(trouble: Any) -> None:
    """What the gateway did not look at says nothing of the login."""
    service = Service(trouble, trouble, WRONG)
    async with service.client() as client:
        found = await outcomes(*[client.job(f"j{n}").status for n in range(9)])
    assert service.count == 3
    assert service.peaks == [1, 1, 1]
    assert sum(type(error) is AuthenticationError for error in found) == 7


async def test_an_error_of_the_service_itself_is_a_yes() -> None:
    """It has let the request in."""
    service = Service(refused(400, "DLI.0001"))
    async with service.client() as client:
        await outcomes(*[client.job(f"j{n}").status for n in range(4)])
    assert service.peaks == [1, 1, 2, 3]


async def test_a_cancelled_first_request_lets_the_next_one_go() -> None:
    """Alone again, and nobody waits for ever."""
    service = Service(httpx.ReadError("reset"), GOOD)
    async with service.client() as client, anyio.create_task_group() as group:
        scope = anyio.CancelScope()

        async def first() -> None:
            with scope:
                await client.job("first").status()

        group.start_soon(first)
        await anyio.sleep(0.5)
        group.start_soon(client.job("second").status)
        group.start_soon(client.job("third").status)
        await anyio.sleep(0.1)
        scope.cancel()
        await anyio.sleep(0.5)
        assert service.count == 2
    assert service.count == 3


async def test_a_first_request_that_is_cancelled_in_the_queue_lets_the_next_one_go() -> None:
    """It holds the place before it holds a slot."""
    service = Service(GOOD)
    async with service.client(requests_per_second=0.1) as client:
        with anyio.move_on_after(0.01):
            await client.job("a").status()
        service.count = 0
        with anyio.fail_after(60):
            await client.job("b").status()
    assert service.count == 1


async def test_a_key_that_is_refused_later_is_put_to_the_proof_again() -> None:
    """Those on the way end, and the next minute sends no more of it."""
    service = Service(GOOD, WRONG)
    async with service.client() as client:
        await client.job("j").status()
        await outcomes(*[client.job(f"j{n}").status for n in range(3)])
        await outcomes(*[client.job(f"j{n}").status for n in range(30)])
    assert service.count == 4


async def test_a_token_is_not_locked_and_need_not_go_alone() -> None:
    """It has been given by IAM, or is refused without harm."""
    service = Service(GOOD)
    async with service.client(auth=StaticToken("t")) as client:
        await outcomes(*[client.job(f"j{n}").status for n in range(3)])
    assert service.peaks == [1, 2, 3]


async def test_a_wrong_key_under_a_bulk_run_is_tried_once() -> None:
    """Forty tables at once leave one failed signature, and the key unlocked."""
    specs = [
        TableExport(database_name="db1", table_name=f"t{n}", data_path=f"obs://bucket/run/t{n}")
        for n in range(40)
    ]
    async with Emulator(engine=NullEngine(), inline=True) as emulator:
        async with emulator.client(auth=AkSk("emulator-ak", "wrong")) as client:
            with pytest.raises(AuthenticationError):
                async with client.export_many(specs, max_running=40) as run:
                    _ = [outcome async for outcome in run]
        assert emulator.ledger.requests.total() == 1
