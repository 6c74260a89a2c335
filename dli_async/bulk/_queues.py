"""Whose turn it is in a bulk run."""

from __future__ import annotations

from collections import Counter, deque

import anyio

from .._values.spec import ExportSpec

# How many specs of full queues are read ahead to find one for a queue with room.
_READ_AHEAD = 1_000
_DEFAULT_QUEUE = "default"


class Queues:
    """Specs in order, except that one whose queue is full lets others pass.

    Args:
        max_running: exports at a time.
        per_queue: exports at a time in any one queue; None for no limit of its own.
    """

    def __init__(self, max_running: int, per_queue: int | None) -> None:
        self._max_running = max_running
        self._per_queue = per_queue or max_running
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[tuple[int, ExportSpec]]] = {}
        self._count = 0
        self._changed = anyio.Event()

    def put(self, spec: ExportSpec) -> None:
        """Puts a spec behind those of its queue."""
        self._count += 1
        self._waiting.setdefault(_queue(spec), deque()).append((self._count, spec))

    def take(self) -> ExportSpec | None:
        """The first spec that may run now, which counts as running from here on."""
        if self._running.total() >= self._max_running:
            return None
        ready = [name for name in self._waiting if self._running[name] < self._per_queue]
        if not ready:
            return None
        name = min(ready, key=lambda name: self._waiting[name][0])
        _, spec = self._waiting[name].popleft()
        if not self._waiting[name]:
            del self._waiting[name]
        self._running[name] += 1
        return spec

    def done(self, spec: ExportSpec) -> None:
        """Gives the place of a spec back."""
        name = _queue(spec)
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]
        self._changed.set()

    async def wait_for_room(self) -> None:
        """Waits until another spec should be read."""
        while self._running.total() >= self._max_running or self._held >= _READ_AHEAD:
            await self._change()

    async def wait_until_empty(self) -> None:
        """Waits until nothing waits or runs."""
        while self._running or self._waiting:
            await self._change()

    @property
    def _held(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def _change(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()


def _queue(spec: ExportSpec) -> str:
    return (spec.queue_name or _DEFAULT_QUEUE).lower()
