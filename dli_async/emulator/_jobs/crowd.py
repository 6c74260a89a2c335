"""Other people's jobs, for lists that are not one's own.

They are computed from the clock, not stored: there is one at every multiple of a fixed spacing,
so `count` of them always stand in the last minute, in between everybody else's, and keep coming.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Sequence

from .._protocol.specs import Spec
from .job import FAILED, FINISHED, Job

PERIOD = 60.0
_OWNER = "somebody-else"
_MARK = 0xF0E1
_MOST_KEPT = 5_000


class Crowd:
    """Makes the jobs of other people; they export the same tables to other folders."""

    def __init__(self, tables: Callable[[], Sequence[tuple[str, str]]]) -> None:
        self._tables = tables
        self._made: dict[tuple[int, int], Job] = {}

    def jobs(self, now: float, count: int) -> tuple[Job, ...]:
        """The jobs that were submitted in the last minute, oldest first."""
        newest = int(now * count / PERIOD)
        if len(self._made) > _MOST_KEPT:
            self._made.clear()
        return tuple(self._job(number, count) for number in range(newest - count + 1, newest + 1))

    def find(self, job_id: str) -> Job | None:
        """The job that `jobs` has shown under this id."""
        try:
            whole = uuid.UUID(job_id).int
        except ValueError:
            return None
        count, number = whole >> 80 & 0xFFFFFFFF, whole & (1 << 62) - 1
        if whole >> 112 != _MARK or not count:
            return None
        return self._job(number, count)

    def _job(self, number: int, count: int) -> Job:
        # Lists are read again and again, and dice take their time.
        if (number, count) not in self._made:
            self._made[number, count] = self._make(number, count)
        return self._made[number, count]

    def _make(self, number: int, count: int) -> Job:
        dice = random.Random(number)
        created = number * PERIOD / count
        started = created + dice.uniform(0.1, 2.0)
        failed = dice.random() < 0.1
        tables = self._tables()
        database, table = tables[number % len(tables)] if tables else ("db", "t")
        run_time = dice.uniform(5.0, 25.0)
        return Job(
            number=-1,
            job_id=str(uuid.UUID(int=_MARK << 112 | count << 80 | number, version=4)),
            spec=_spec(database, table, number),
            owner=_OWNER,
            created_at=created,
            run_time=run_time,
            started_at=started,
            ended_at=started + run_time,
            state=FAILED if failed else FINISHED,
            message="DLI.0999: SparkException: Job aborted." if failed else "",
        )


def _spec(database: str, table: str, number: int) -> Spec:
    return Spec(
        data_path=f"obs://{_OWNER}/exports/{number}",
        data_type="csv",
        database_name=database,
        table_name=table,
        compress="gzip",
        queue_name="default",
        export_mode="ErrorIfExists",
        with_column_header=False,
    )
