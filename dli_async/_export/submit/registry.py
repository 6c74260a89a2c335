"""What the exports of one client know of each other and of each other's jobs."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import anyio

from ..._values.spec import ExportSpec
from .admission import Admission
from .locks import Locks
from .search import Search

S = TypeVar("S")

_REMEMBERED = 50_000
# More than may be waiting for a connection, and few enough to be a short turn of the event loop.
_AT_THE_GATE = 64

Target = tuple[str, ...]


class Registry(Generic[S]):
    """Which jobs belong to whom, and who submits what right now.

    Attributes:
        admission: who may get ready to submit.
        noting: whose departure may be noted; each holds a connection, and some must be left to
            others while the notes wait for a disk.
        search: looks for jobs whose submit was not answered.

    Args:
        max_connections: how many exchanges of the client may be under way.
    """

    def __init__(self, max_connections: int) -> None:
        self.admission = Admission(_AT_THE_GATE)
        self.noting = Admission(max(1, max_connections // 2))
        self.search = Search()
        self._owned: OrderedDict[str, None] = OrderedDict()
        self._locks: Locks[Target] = Locks()
        self._submissions: WeakValueDictionary[str, S] = WeakValueDictionary()
        self._writers: OrderedDict[str, str] = OrderedDict()
        self._job_of: OrderedDict[str, str] = OrderedDict()
        self._in_flight: WeakValueDictionary[Target, anyio.Event] = WeakValueDictionary()

    def own(self, job_id: str, submission: S | None = None) -> None:
        """Notes that a job belongs to an export, so that no look gives it to another one."""
        self._owned[job_id] = None
        if submission is not None:
            self._submissions[job_id] = submission
        if len(self._owned) > _REMEMBERED:
            self._owned.popitem(last=False)

    def owns(self, job_id: str) -> bool:
        """Whether a job belongs to an export of this client."""
        return job_id in self._owned

    def remember(self, export_id: str, submission: S) -> None:
        """Notes which submit a token speaks of; job ids are noted by `own`.

        A token that is resumed while its submit is still under way here must join it: a look
        of its own would find the job owned, and post again.
        """
        self._submissions[export_id] = submission

    def take_folder(self, data_path: str, key: str) -> bool:
        """Notes that an export writes to a folder; False if another one of this client does."""
        holder = self._writers.setdefault(data_path, key)
        if len(self._writers) > _REMEMBERED:
            self._writers.popitem(last=False)
        return holder == key

    def free_folder(self, data_path: str, key: str | None) -> None:
        """Notes that an export writes to a folder no more."""
        if key is not None and self._writers.get(data_path) == key:
            del self._writers[data_path]

    def note_job(self, export_id: str, job_id: str) -> None:
        """Notes which job an export became.

        Tokens and journals may not know it yet, and a look of theirs would find the job owned.
        """
        self._job_of[export_id] = job_id
        if len(self._job_of) > _REMEMBERED:
            self._job_of.popitem(last=False)

    def job_of(self, export_id: str | None) -> str | None:
        """The job that an export became, if that was learnt in this client."""
        return self._job_of.get(export_id) if export_id else None

    def recall(self, known_as: str | None) -> S | None:
        """The submit of a token's export id, or of a job id, if it lives in this client."""
        return self._submissions.get(known_as) if known_as else None

    def lock(self, spec: ExportSpec) -> anyio.Lock:
        """One lock for each target: equal exports are submitted one after the other."""
        return self._locks.get(_target(spec))

    def note_in_flight(self, spec: ExportSpec, ended: anyio.Event) -> None:
        """Notes a POST that has left; its caller may go, and with it the lock of the target."""
        self._in_flight[_target(spec)] = ended

    async def wait_in_flight(self, spec: ExportSpec) -> None:
        """Waits for the end of a POST for the same target, whoever made it."""
        ended = self._in_flight.get(_target(spec))
        if ended is not None:
            await ended.wait()


def _target(spec: ExportSpec) -> Target:
    return *(name.lower() for name in spec.table or ()), spec.data_path
