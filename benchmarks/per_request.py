"""CPU and wall time of one request: dli_async beside the vendor's SDK.

    python -m benchmarks.per_request

Submits and status requests, all signed by AK/SK, with 1, 50 and 500 in flight, to a canned server
in another process. All contenders take turns in one process, so that noise meets all of them. The
vendor's SDK is measured in three ways: its sync client in 16 threads (as many as dli_async opens
connections) and in one thread for each request in flight, and its "async" client, which has 8
threads of its own. Ratios are against the cheapest of them.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count
from typing import Any, Protocol

from dli_async import AkSk, DliClient, TableExport

from ._report import Report, Spread, Target, options, print_table
from ._server import serving
from ._service import job_id

_ACCESS_KEY, _SECRET_KEY = "benchmark-ak", "benchmark-sk"
_PROJECT = "0123456789abcdef0123456789abcdef"
_CONNECTIONS = 16
# In flight, and so many requests in each turn.
_CASES, _QUICK = ((1, 200), (50, 500), (500, 1000)), ((1, 1), (4, 4))
_numbers = count()


class Contender(Protocol):
    """One way of sending requests."""

    name: str

    def burst(self, call: str, requests: int, in_flight: int) -> None:
        """Sends so many requests, so many of them at a time."""

    def close(self) -> None:
        """Gives everything back."""


def _fields() -> dict[str, Any]:
    # Equal exports would wait for each other.
    return {
        "database_name": "sales",
        "table_name": "orders",
        "data_path": f"obs://bucket/exports/orders-{next(_numbers)}",
        "data_type": "csv",
        "compress": "gzip",
        "queue_name": "queue1",
        "export_mode": "ErrorIfExists",
        "with_column_header": True,
    }


class Ours:
    """dli_async with as many tasks as requests are in flight."""

    def __init__(self, url: str, name: str = "dli_async", loop: Any = None) -> None:
        self.name = name
        self._runner = asyncio.Runner(loop_factory=loop)
        self._client = DliClient(
            endpoint=url, project_id=_PROJECT, auth=AkSk(_ACCESS_KEY, _SECRET_KEY)
        )
        self._runner.run(self._client.__aenter__())

    def burst(self, call: str, requests: int, in_flight: int) -> None:
        self._runner.run(self._burst(getattr(self, f"_{call}"), requests, in_flight))

    async def _burst(self, call: Callable[[], Any], requests: int, in_flight: int) -> None:
        left = iter(range(requests))

        async def work() -> None:
            for _ in left:
                await call()

        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(work())

    async def _submit(self) -> None:
        job = await self._client.submit(TableExport(**_fields()))
        assert job.job_id

    async def _status(self) -> None:
        report = await self._client.job(job_id(next(_numbers))).status()
        assert report.status == "RUNNING"

    def close(self) -> None:
        self._runner.run(self._client.__aexit__(None, None, None))
        self._runner.close()


class VendorSync:
    """The vendor's sync client in a pool of threads."""

    def __init__(self, url: str, threads: int | None) -> None:
        self.name = f"vendor, sync, {threads or 'n'} threads"
        self._url = url
        self._threads = threads
        self._clients: dict[int, Any] = {}

    def burst(self, call: str, requests: int, in_flight: int) -> None:
        threads = min(in_flight, self._threads or in_flight)
        # Connections of one client are kept for the next time, as ours are.
        client = self._clients.get(threads)
        if client is None:
            client = self._clients[threads] = _vendor_client(self._url, "DliClient", threads)
        send = _vendor_status if call == "status" else _vendor_submit
        with ThreadPoolExecutor(threads) as pool:
            futures = [pool.submit(send, client) for _ in range(requests)]
            for future in futures:
                future.result()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
            client.get_http_client().executor.shutdown()


class VendorAsync:
    """The vendor's "async" client: futures of its own threads."""

    name = "vendor, async, 8 threads"

    def __init__(self, url: str) -> None:
        self._client = _vendor_client(url, "DliAsyncClient", 8)

    def burst(self, call: str, requests: int, in_flight: int) -> None:
        send = _vendor_status_async if call == "status" else _vendor_submit_async
        under_way: deque[Any] = deque()
        for _ in range(requests):
            if len(under_way) == in_flight:
                under_way.popleft().result()
            under_way.append(send(self._client))
        for future in under_way:
            future.result()

    def close(self) -> None:
        self._client.close()
        self._client.get_http_client().executor.shutdown()


def _vendor_client(url: str, kind: str, connections: int) -> Any:
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.http.http_config import HttpConfig
    from huaweicloudsdkcore.region.region import Region
    from huaweicloudsdkdli import v1

    return (
        getattr(v1, kind)
        .new_builder()
        .with_http_config(HttpConfig(pool_maxsize=connections))
        .with_credentials(BasicCredentials(_ACCESS_KEY, _SECRET_KEY, _PROJECT))
        .with_region(Region("cn-north-4", url))
        .build()
    )


def _export_request() -> Any:
    from huaweicloudsdkdli.v1 import ExportTableRequest, ExportTableRequestBody

    return ExportTableRequest(body=ExportTableRequestBody(**_fields()))


def _status_request() -> Any:
    from huaweicloudsdkdli.v1 import ShowSqlJobStatusRequest

    return ShowSqlJobStatusRequest(job_id=job_id(next(_numbers)))


def _vendor_submit(client: Any) -> None:
    assert client.export_table(_export_request()).job_id


def _vendor_status(client: Any) -> None:
    assert client.show_sql_job_status(_status_request()).status == "RUNNING"


def _vendor_submit_async(client: Any) -> Any:
    return client.export_table_async(_export_request())


def _vendor_status_async(client: Any) -> Any:
    return client.show_sql_job_status_async(_status_request())


def measure(
    contenders: Sequence[Contender], call: str, requests: int, in_flight: int, repeats: int
) -> dict[str, tuple[Spread, Spread]]:
    """CPU and wall seconds per request of each contender, in turns."""
    cpu: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    wall: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for contender in contenders:
        contender.burst(call, max(in_flight, requests // 4), in_flight)
    for turn in range(repeats):
        shift = turn % len(contenders)
        for contender in (*contenders[shift:], *contenders[:shift]):
            gc.collect()
            cpu_before, wall_before = time.process_time(), time.perf_counter()
            contender.burst(call, requests, in_flight)
            wall[contender.name].append((time.perf_counter() - wall_before) / requests)
            cpu[contender.name].append((time.process_time() - cpu_before) / requests)
    return {name: (Spread.of(cpu[name]), Spread.of(wall[name])) for name in cpu}


def compare(report: Report, contenders: Sequence[Contender], repeats: int, quick: bool) -> None:
    """Measures all cases and prints them."""
    rows = []
    for call in ("status", "submit"):
        for in_flight, requests in _QUICK if quick else _CASES:
            found = measure(contenders, call, requests, in_flight, repeats)
            vendors = [cpu.median for name, (cpu, _) in found.items() if name.startswith("vendor")]
            for name, (cpu, wall) in found.items():
                ratio = cpu.median / min(vendors)
                report.add(
                    call=call, in_flight=in_flight, contender=name, cpu=cpu, wall=wall, ratio=ratio
                )
                cpu_us, wall_us = cpu.text(scale=1e6), wall.text(scale=1e6)
                rows.append((call, in_flight, name, cpu_us, wall_us, f"{ratio:.2f}"))
                if name == "dli_async" and in_flight > 1:
                    what = f"CPU of a {call}, {in_flight} in flight, of the vendor's"
                    report.targets.append(Target(what, ratio, 0.4))
    headers = ("call", "in flight", "contender", "CPU us/request", "wall us/request", "CPU ratio")
    print_table("One request, median (least - most) of the turns", headers, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="turns of each contender")
    parser.add_argument("--uvloop", action="store_true", help="dli_async on uvloop stands beside")
    args = parser.parse_args(arguments)
    report = Report("per_request")
    with serving("canned") as url, ExitStack() as stack:
        contenders: list[Contender] = [
            Ours(url),
            VendorSync(url, _CONNECTIONS),
            VendorSync(url, None),
            VendorAsync(url),
        ]
        if args.uvloop:
            import uvloop

            contenders.insert(1, Ours(url, "dli_async, uvloop", uvloop.new_event_loop))
        for contender in contenders:
            stack.enter_context(closing(contender))
        compare(report, contenders, 1 if args.quick else args.repeats, args.quick)
    report.finish(args.output, quick=args.quick)


if __name__ == "__main__":
    main(sys.argv[1:])
