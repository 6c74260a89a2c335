"""How many exports move on, on stderr: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)


class ExportsDisplay(Protocol):
    """Shows many exports at the same time."""

    def add(self, name: str) -> None:
        """An export that waits for its turn."""
        ...

    def move(self, name: str, share: float, text: str) -> None:
        """It is at `share`, from 0 to 1."""
        ...

    def end(self, name: str, text: str) -> None:
        """It has ended, well or not."""
        ...


@contextmanager
def exports_progress(console: Console) -> Iterator[ExportsDisplay]:
    """Bars if the console is a terminal, else a line for each export that has ended."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
    )
    with progress:
        yield _Bars(progress)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._total = progress.add_task("total", total=0.0, text="")
        self._tasks: dict[str, TaskID] = {}
        self._shares: dict[str, float] = {}

    def add(self, name: str) -> None:
        self._tasks[name] = self._progress.add_task(name, start=False, total=1.0, text="waiting")
        self._set(name, 0.0)

    def move(self, name: str, share: float, text: str) -> None:
        self._progress.start_task(self._tasks[name])
        self._progress.update(self._tasks[name], completed=share, text=text)
        self._set(name, share)

    def end(self, name: str, text: str) -> None:
        self.move(name, 1.0, text)
        self._progress.stop_task(self._tasks[name])

    def _set(self, name: str, share: float) -> None:
        self._shares[name] = share
        ended = sum(share == 1.0 for share in self._shares.values())
        self._progress.update(
            self._total,
            total=float(len(self._shares)),
            completed=sum(self._shares.values()),
            text=f"{ended} of {len(self._shares)}",
        )


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._added = self._ended = 0

    def add(self, name: str) -> None:
        self._added += 1

    def move(self, name: str, share: float, text: str) -> None:
        """A line for each step would be too many."""

    def end(self, name: str, text: str) -> None:
        self._ended += 1
        count = f"[{self._ended}/{self._added}]"
        self._console.print(f"{count:>8} {name}: {text}", soft_wrap=True)
