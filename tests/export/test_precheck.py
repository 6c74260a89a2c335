"""Whether an export can work, found out before it is submitted."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest

from dli_async import ConfigurationError, InvalidExport, JobTimeout, PermissionDenied, RetryPolicy

from ..support import PROJECT, Service, accepted, report, spec

pytestmark = pytest.mark.anyio

NO_TABLE = httpx.Response(
    400, json={"error_code": "DLI.0002", "error_msg": "There is no table named t2"}
)
QUEUES = httpx.Response(200, json={"queues": [{"queue_name": "queue2"}, {"queue_name": "other"}]})
DATABASES = httpx.Response(200, json={"databases": [{"database_name": "DB2"}]})


def table(kind: str | None) -> httpx.Response:
    return httpx.Response(200, json={"is_success": True, "table_type": kind, "columns": []})


async def problems(service: Service, **changes: Any) -> list[tuple[str, str]]:
    """What the precheck finds wrong."""
    async with service.client(retry=RetryPolicy(attempts=1)) as client:
        try:
            await client.precheck(spec(**changes))
        except InvalidExport as error:
            return [(problem.field, problem.rule) for problem in error.problems]
    return []


@pytest.mark.parametrize("kind", ["MANAGED", "managed", "MANAGED_TABLE", None])
@pytest.mark.parametrize("queue", [None, "default", "Queue2"])
async def test_what_exists_passes(kind: str | None, queue: str | None) -> None:
    """Queues are compared in lower case, and `default` always exists."""
    service = Service(t2=table(kind), queues=QUEUES)
    assert await problems(service, queue_name=queue) == []
    assert service.count("queues") == (queue == "Queue2")


@pytest.mark.parametrize("kind", ["EXTERNAL", "VIEW"])
async def test_a_table_that_is_not_managed_is_told(kind: str) -> None:
    """Only tables stored in DLI can be exported."""
    [(field, rule)] = await problems(Service(t2=table(kind)))
    assert field == "table_name"
    assert kind in rule


async def test_a_missing_table_is_told_apart_from_a_missing_database() -> None:
    """The service says the same for both, so the databases are listed."""
    [(field, rule)] = await problems(Service(t2=NO_TABLE, databases=DATABASES))
    assert (field, rule) == ("table_name", "no such table in database db2")
    none = httpx.Response(200, json={"databases": []})
    [(field, rule)] = await problems(Service(t2=NO_TABLE, databases=none))
    assert (field, rule) == ("database_name", "no such database")


async def test_table_and_queue_are_told_together() -> None:
    """All that is wrong is said at once."""
    service = Service(t2=table("VIEW"), queues=QUEUES)
    found = await problems(service, queue_name="missing")
    assert [field for field, _ in found] == ["table_name", "queue_name"]


async def test_what_may_not_be_looked_at_is_no_broken_spec() -> None:
    """A refusal of the look itself comes through as what it is."""
    service = Service(t2=httpx.Response(403, json={"error_code": "DLI.0003", "error_msg": "no"}))
    with pytest.raises(PermissionDenied):
        await problems(service)


async def test_an_export_with_precheck_submits_nothing_that_cannot_work() -> None:
    """`export(..., precheck=True)` looks first."""
    service = Service(t2=table("VIEW"))
    async with service.client() as client:
        with pytest.raises(InvalidExport, match="VIEW"):
            await client.export(spec(), precheck=True)
    assert service.count("submit") == 0
    assert service.calls[0][1] == f"/v1.0/{PROJECT}/databases/db2/tables/t2"


async def test_the_check_counts_towards_the_timeout_of_the_export() -> None:
    """A service that does not answer the check is waited for no longer than `timeout`."""

    async def hang(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(20)
        return table("MANAGED")

    service = Service(t2=hang, submit=accepted(), status=report("RUNNING"))
    async with service.client() as client:
        started = anyio.current_time()
        with pytest.raises(JobTimeout, match="not checked within 10 s; it was not") as end:
            await client.export(spec(), timeout=10, precheck=True)
        assert anyio.current_time() - started == pytest.approx(10, abs=1)
        assert service.count("submit") == 0
        assert end.value.job is not None
        started = anyio.current_time()
        with pytest.raises(JobTimeout, match="RUNNING"):
            await client.export(spec(), timeout=60, precheck=True)
        assert anyio.current_time() - started == pytest.approx(60, abs=1)
        with pytest.raises(ConfigurationError, match="timeout=-1"):
            await client.export(spec(), timeout=-1, precheck=True)
