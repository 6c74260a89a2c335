"""How a bulk run moves on, on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...bulk import BulkEvent, ExportEnded, ExportOutcome
from .._shell.output import Output
from .stats import End, RunStats

# Seconds between two lines where there is no terminal to draw on.
_LINE_INTERVAL = 10.0


class RunDisplay:
    """Counts and shows how a run moves on; an `on_event` of `export_many`."""

    def __init__(self, output: Output, stats: RunStats, progress: Progress) -> None:
        self._output = output
        self._stats = stats
        self._progress = progress
        self._task = progress.add_task("", total=stats.total, text="")
        self._next_line = stats.seconds + _LINE_INTERVAL

    def __call__(self, event: BulkEvent) -> None:
        self._stats.add(event)
        if isinstance(event, ExportEnded):
            self._tell_unhappy(event.outcome)
        self._draw()

    def _tell_unhappy(self, outcome: ExportOutcome) -> None:
        if outcome.error is not None:
            name = outcome.spec.label
            self._output.note(f"{End.of(outcome)}: {name}: {outcome.error}")

    def _draw(self) -> None:
        stats = self._stats
        text = f"{stats.counts()}; {stats.amounts()}; {stats.pace()}"
        self._progress.update(self._task, completed=stats.ended, text=text)
        if self._output.err.is_terminal:
            return
        if stats.ended == stats.total or stats.seconds >= self._next_line:
            self._next_line = stats.seconds + _LINE_INTERVAL
            self._output.note(f"[{stats.ended}/{stats.total}] {text}")


@contextmanager
def run_progress(output: Output, stats: RunStats) -> Iterator[RunDisplay]:
    """A bar if stderr is a terminal, else a line every ten seconds and at the end."""
    with _progress(output.err) as progress:
        yield RunDisplay(output, stats, progress)


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
        disable=not console.is_terminal,
    )
