"""The ledger: what tests outside can know about what happened inside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dli_async.emulator import ACCESS_KEY, SECRET_KEY, TOKEN, Emulator

from .conftest import JSON, MIDDAY, Caller, Clock, connect

pytestmark = pytest.mark.anyio


async def test_the_ledger_has_the_promised_keys(caller: Caller, clock: Clock) -> None:
    """Requests by route, jobs with all eight fields, and the peaks."""
    job_id = await caller.submit()
    clock.forward(1.0)
    await caller.state(job_id)

    ledger = (await caller.http.get("/_emulator/ledger")).json()

    assert ledger["requests"] == {"export-table": 1, "status": 1}
    assert ledger["jobs"] == [
        {
            "job_id": job_id,
            "state": "RUNNING",
            "spec": {
                "data_path": "obs://bucket/folder",
                "data_type": "csv",
                "database_name": "sales",
                "table_name": "orders",
                "compress": "gzip",
                "queue_name": "default",
                "export_mode": "ErrorIfExists",
                "with_column_header": False,
            },
            "created_at": MIDDAY,
            "started_at": MIDDAY + 1.0,
            "ended_at": None,
        }
    ]
    assert ledger["peak_running"] == 1
    assert ledger["connections_opened"] == ledger["connections_peak"] == 0
    assert ledger["faults"] == {}


async def test_the_ledger_advances_by_itself(
    emulator: Emulator, caller: Caller, clock: Clock
) -> None:
    """Whoever looks sees the jobs as they are now, without any other request."""
    await caller.submit()
    clock.forward(1_000.0)

    assert [job.state for job in emulator.ledger.jobs] == ["FINISHED"]
    assert (await caller.http.get("/_emulator/ledger")).json()["jobs"][0]["state"] == "FINISHED"


async def test_duplicates_are_found(emulator: Emulator, caller: Caller) -> None:
    """Two jobs for the same export are listed together; different ones are not."""
    one = await caller.submit()
    two = await caller.submit(queue_name="DEFAULT")
    await caller.submit(data_path="obs://bucket/other")

    assert emulator.ledger.duplicate_submissions() == [[one, two]]


async def test_polls_are_counted_per_job(emulator: Emulator, caller: Caller) -> None:
    """Only looks at the status count as polls."""
    one, two = await caller.submit(), await caller.submit(data_path="obs://bucket/other")
    for _ in range(3):
        await caller.state(one)
    await caller.get(f"jobs/{two}/detail")

    assert emulator.ledger.polls_per_job() == {one: 3, two: 0}
    assert emulator.ledger.max_in_flight == 1


async def test_reset_clears_everything(emulator: Emulator, caller: Caller) -> None:
    """Afterwards it is as if nothing had happened, faults and locks included."""
    await caller.submit()
    emulator.faults.set([{"kind": "throttle"}])
    assert (await caller.get("queues")).status_code == 429

    reset = await caller.http.post("/_emulator/reset?files=true", headers=JSON)
    assert reset.json()["files"] is True

    ledger = (await caller.http.get("/_emulator/ledger")).json()
    assert (ledger["requests"], ledger["jobs"], ledger["faults"]) == ({}, [], {})
    assert ledger["peak_running"] == 0
    assert (await caller.get("queues")).status_code == 200


async def test_reset_with_files_forgets_folders(caller: Caller, clock: Clock) -> None:
    """A folder that was exported to is free again only if files were to go, too."""
    for reset, state in ((None, "FINISHED"), ("false", "FAILED"), ("true", "FINISHED")):
        if reset:
            await caller.http.post("/_emulator/reset", params={"files": reset}, headers=JSON)
        job_id = await caller.submit()
        clock.forward(1_000.0)
        assert await caller.state(job_id) == state


async def test_the_ledger_keeps_no_secret(make: Callable[..., Emulator]) -> None:
    """Whatever was sent as a credential is nowhere in it."""
    emulator = make()
    authorization = f"SDK-HMAC-SHA256 Access={ACCESS_KEY}, SignedHeaders=a, Signature=00ff00ff"
    async with connect(emulator) as client:
        caller = Caller(client)
        await caller.get("queues")
        await client.get(caller.path("queues"), headers={"Authorization": authorization})
        ledger = (await client.get("/_emulator/ledger")).text

    seen = ledger + repr(list(emulator.ledger.history))
    for secret in (TOKEN, ACCESS_KEY, SECRET_KEY, "00ff00ff"):
        assert secret not in seen
