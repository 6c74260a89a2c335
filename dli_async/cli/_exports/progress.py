"""How one job moves on, on stderr: live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..._values.enums import JobStatus
from ..._values.reports import StatusReport
from .._shell.output import Output


@contextmanager
def job_progress(output: Output) -> Iterator[JobDisplay]:
    """Shows how one job moves on while the block runs."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=output.err,
        transient=True,
        disable=not output.err.is_terminal,
    )
    with progress:
        yield JobDisplay(output, progress)


class JobDisplay:
    """An `on_report` that tells when the state of a job changes."""

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._task = progress.add_task("submitting", total=None)
        self._status: JobStatus | None = None

    def __call__(self, report: StatusReport) -> None:
        if report.status is self._status:
            return
        self._status = report.status
        text = f"job {report.job_id}: {report.status}"
        self._progress.update(self._task, description=text)
        if not self._output.err.is_terminal:
            self._output.note(text)
