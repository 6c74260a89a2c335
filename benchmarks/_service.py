"""A simulated job service: a queue with slots, and jobs whose lives are drawn beforehand.

It knows what an export needs: submit, status, and the job list with its filters and pages. Its
clock is given, so that the same service plays in virtual time and behind a socket.
"""

from __future__ import annotations

import heapq
import json
import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

import anyio
import httpx

_EPOCH = 1_700_000_000.0
_PAGE = 100
_THE_SAME_IN_ALL = (
    '"is_success":true,"message":"","job_type":"EXPORT","job_mode":"async","queue_name":"queue1",'
    '"owner":"tester","input_row_count":1000,"bad_row_count":0,"input_size":123456,'
    '"result_count":1000,"database_name":"sales","with_column_header":true,'
    '"detail":"{\\"type\\":\\"struct\\",\\"fields\\":[]}","statement":"EXPORT TABLE sales"'
)


@dataclass(slots=True)
class Life:
    """One job; times are on the clock of its service."""

    number: int
    created: float
    started: float
    ended: float
    table: str = ""

    @property
    def job_id(self) -> str:
        return job_id(self.number)

    @property
    def start_ms(self) -> int:
        return int((_EPOCH + self.created) * 1000)

    def word(self, now: float) -> str:
        if now >= self.ended:
            return "FINISHED"
        return "RUNNING" if now >= self.started else "LAUNCHING"

    def row(self, now: float) -> bytes:
        """The job as `/status` and the list show it, in all fields of the documents."""
        ran = max(0, int((min(now, self.ended) - self.created) * 1000))
        return (
            f'{{"job_id":"{self.job_id}","status":"{self.word(now)}","start_time":{self.start_ms},'
            f'"duration":{ran},"table_name":"{self.table}",{_THE_SAME_IN_ALL}}}'
        ).encode()


def job_id(number: int) -> str:
    return f"828d4044-3d39-449b-b32c-{number:012d}"


def accepted(number: int) -> bytes:
    """The answer to a submit."""
    return (
        f'{{"is_success":true,"message":"","job_id":"{job_id(number)}","job_mode":"async"}}'
    ).encode()


def rows_page(jobs: Sequence[Life], total: int, now: float) -> bytes:
    """One page of the job list."""
    rows = b",".join(job.row(now) for job in jobs)
    return b'{"is_success":true,"message":"","job_count":%d,"jobs":[%b]}' % (total, rows)


class Service:
    """Jobs wait for one of the slots, first come, first served.

    Args:
        clock: seconds; never goes back.
        slots: jobs that run at a time.
        median: of the running time, in seconds; it is lognormal with a sigma of 0.5.
        launch: seconds from the submit to the first chance of a slot.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        slots: int = 50,
        median: float = 30.0,
        launch: float = 0.2,
        seed: int = 1,
    ) -> None:
        self._clock = clock
        self._median = median
        self._launch = launch
        self._dice = random.Random(seed)
        self._free = [0.0] * slots
        self.jobs: list[Life] = []
        self.asked_at: list[float] = []
        self.looks = 0
        self._running: list[Life] = []
        self._launched = 0

    def handle(self, method: bytes, target: bytes, body: bytes) -> bytes:
        """The JSON that answers a request."""
        if method == b"POST":
            return self._submit(json.loads(body)["table_name"])
        now = self._clock()
        self.asked_at.append(now)
        path, _, query = target.decode().partition("?")
        if path.endswith("/status"):
            return self.jobs[int(path.split("/")[-2][-12:])].row(now)
        return self._list(now, {key: values[0] for key, values in parse_qs(query).items()})

    def _submit(self, table: str) -> bytes:
        now = self._clock()
        started = max(now + self._launch, heapq.heappop(self._free))
        ended = started + self._median * math.exp(self._dice.gauss(0, 0.5))
        heapq.heappush(self._free, ended)
        self.jobs.append(Life(len(self.jobs), now, started, ended, table))
        return accepted(len(self.jobs) - 1)

    def _list(self, now: float, params: dict[str, str]) -> bytes:
        jobs, first = self._in_state(params.get("job-status"), now)
        low, high = first, len(jobs)
        if "start" in params:
            low = bisect_left(jobs, int(params["start"]), first, key=lambda job: job.start_ms)
        if "end" in params:
            high = bisect_right(jobs, int(params["end"]), first, key=lambda job: job.start_ms)
        skipped = (int(params["current-page"]) - 1) * _PAGE
        if params["order"] == "start_time_desc":
            top = high - skipped
            shown = jobs[max(low, top - _PAGE) : max(low, top)][::-1]
        else:
            shown = jobs[low + skipped : min(high, low + skipped + _PAGE)]
        return rows_page(shown, max(0, high - low), now)

    def _in_state(self, state: str | None, now: float) -> tuple[list[Life], int]:
        """Jobs in the order of their creation, and where those in that state begin."""
        while self._launched < len(self.jobs) and self.jobs[self._launched].started <= now:
            self._running.append(self.jobs[self._launched])
            self._launched += 1
        self._running = [job for job in self._running if job.ended > now]
        if state == "RUNNING":
            self.looks += 1
            return self._running, 0
        return self.jobs, self._launched if state == "LAUNCHING" else 0


class ServiceTransport(httpx.AsyncBaseTransport):
    """The service in process, as a transport of httpx.

    Args:
        latency: seconds that each answer takes, on the event loop's clock.
    """

    stands_cancelling = True

    def __init__(self, service: Service, *, latency: float = 0.05) -> None:
        self._service = service
        self._latency = latency

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await anyio.sleep(self._latency)
        method, target = request.method.encode(), request.url.raw_path
        content = self._service.handle(method, target, request.content)
        return httpx.Response(200, content=content, request=request)
