"""Bars on a terminal, lines elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from dli_async import JobProgress, StatusReport
from dli_async.cli._exports.progress import job_progress
from dli_async.cli._offline.demo_progress import exports_progress
from dli_async.cli._shell.output import Output


def _console(terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=100, height=50), file


def _play(terminal: bool) -> str:
    console, file = _console(terminal)
    with exports_progress(console) as display:
        display.add("sales.orders")
        display.add("sales.prices")
        display.move("sales.orders", 0.5, "RUNNING")
        display.end("sales.orders", "12 rows")
        display.end("sales.prices", "no such table")
    return file.getvalue()


def test_a_terminal_gets_a_bar_for_each_export_and_one_for_all() -> None:
    """The last picture has a full bar in total and one for each export, with its text."""
    last = _play(terminal=True).rpartition("total")[2]
    assert "2 of 2" in last
    assert "sales.orders" in last
    assert "12 rows" in last
    assert last.count("100%") == 3


def test_other_files_get_a_line_for_each_export_that_ended() -> None:
    """Without a terminal there are no control characters, and one line for each end."""
    assert _play(terminal=False).splitlines() == [
        "   [1/2] sales.orders: 12 rows",
        "   [2/2] sales.prices: no such table",
    ]


def test_a_followed_job_is_told_once_for_each_state() -> None:
    """Reports without news are not repeated."""
    output = Output(as_json=False)
    output.err, file = _console(terminal=False)
    with job_progress(output) as follower:
        for status in ("LAUNCHING", "RUNNING", "RUNNING", "FINISHED"):
            follower(StatusReport(job_id="j", status=status))
    assert file.getvalue().splitlines() == ["job j: LAUNCHING", "job j: RUNNING", "job j: FINISHED"]


def test_a_followed_job_is_a_spinner_on_a_terminal() -> None:
    """A terminal shows the state in place, and it is gone afterwards."""
    output = Output(as_json=False)
    output.err, file = _console(terminal=True)
    with job_progress(output) as follower:
        follower(StatusReport(job_id="j", status="RUNNING"))
    assert "job j: RUNNING" in file.getvalue()
    assert "job j: RUNNING\n" not in file.getvalue()


def test_progress_never_falls() -> None:
    """The service tells the share of the current sub-job; what is shown only grows."""
    told = [(None, None), (0, 0.0), (0, 0.95), (1, 0.0), (1, 0.9), (2, 0.1), (2, 1.0)]
    shares = [
        JobProgress(job_id="j", sub_job_id=sub_job, progress=share).share_done
        for sub_job, share in told
    ]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] < 1
