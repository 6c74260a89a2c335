"""`dli-async bulk`: many exports by one command, and again after whatever ended it."""

from __future__ import annotations

import gzip
import io
import json
import random
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import duckdb
import pytest
from rich.console import Console

from dli_async import ExportResult, JobCancelled, JobRow, JobStatus, SubmitInDoubt
from dli_async.bulk import ExportEnded, ExportOutcome, ExportStatusChanged, ExportSubmitted
from dli_async.cli._bulk import progress as _bulk_progress
from dli_async.cli._bulk import summary as _bulk_summary
from dli_async.cli._bulk.plan import Plan
from dli_async.cli._bulk.progress import run_progress
from dli_async.cli._bulk.stats import RunStats, size_text, span_text
from dli_async.cli._shell.output import Output
from dli_async.emulator import Emulator
from tests.journal.support import report, spec

from .conftest import COMMAND, Cli, Server, error_line, serving

TO = "obs://bucket/{date}/{database}/{table}"
DB1 = ("bulk", "--database", "db1", "--to", TO, "--date", "2026-01-31")
THREE = (*DB1, "--tables", "t1", "--tables", "T2", "--tables", "t3")
IN_DOUBT = (
    {"route": "export-table", "when": "after", "kind": "reset", "match": "t2"},
    {"route": "list-jobs", "kind": "list-refused"},
)


def _play(output: Output) -> RunStats:
    """A run of four: one known before, one that fails, one that runs, one that waits."""
    stats = RunStats(4)
    with run_progress(output, stats) as display:
        for number in (1, 2, 3):
            resumed = number == 1
            display(ExportSubmitted(spec=spec(number), job_id="j", attempt=1, resumed=resumed))
        end = ExportResult.of(report(result_count=1000, input_size=2_000_000), spec(1))
        known = ExportOutcome.of(spec(1), end, job_id="j", resumed=True)
        display(ExportEnded(outcome=known))
        running = report("RUNNING")
        display(ExportStatusChanged(spec=spec(2), status=running.status, report=running))
        error = JobCancelled("gone", job_id="j")
        display(ExportEnded(outcome=ExportOutcome.of(spec(3), error, job_id="j")))
    return stats


def _output(*, terminal: bool) -> tuple[Output, io.StringIO]:
    file = io.StringIO()
    output = Output(as_json=False)
    output.err = Console(file=file, force_terminal=terminal, width=200, height=50)
    return output, file


@pytest.mark.anyio
async def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What did not finish is told at once; the counts at most every ten seconds."""
    output, file = _output(terminal=False)
    _play(output)
    assert file.getvalue() == "cancelled: db1.t3: gone\n"
    monkeypatch.setattr(_bulk_progress, "_LINE_INTERVAL", 0.0)
    _play(output)
    lines = file.getvalue().splitlines()
    assert lines[1] == "[0/4] 1 submitted, 3 waiting; 0 rows, 0 bytes; 0.0/min"
    assert lines[-1].startswith(
        "[2/4] 1 finished, 1 cancelled, 1 running, 1 waiting; 1,000 rows, 2.0 MB; "
    )


@pytest.mark.anyio
async def test_progress_is_a_bar_on_a_terminal() -> None:
    """The bar has the counts beside it."""
    output, file = _output(terminal=True)
    _play(output)
    assert "2/4" in file.getvalue()
    assert "1 running, 1 waiting; 1,000 rows, 2.0 MB" in file.getvalue()


@pytest.mark.anyio
async def test_the_time_to_go_counts_only_what_ended_in_this_run() -> None:
    """What the journal knew before says nothing about the rate."""
    stats = _play(_output(terminal=False)[0])
    await anyio.sleep(60)
    assert stats.rate() == pytest.approx(1 / 60, rel=0.01)
    assert stats.eta() == pytest.approx(120, rel=0.01)
    assert stats.pace().startswith("1.0/min, ETA 2:0")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (2_500_000, "2.5 MB"),
        (10**9, "1.0 GB"),
        (5 * 10**16, "50000.0 TB"),
    ],
)
def test_sizes_have_decimal_units(size: int, text: str) -> None:
    """Bytes are shown as people read them."""
    assert size_text(size) == text


def test_spans_are_minutes_or_hours() -> None:
    """Seconds are rounded up, so that nothing is over too early."""
    assert [span_text(s) for s in (0, 59.2, 3_599, 3_600)] == ["0:00", "1:00", "59:59", "1:00:00"]


def _make_file(path: Path, count: int) -> None:
    """Small tables s.t0, s.t1, ... and a view; table N has N rows."""
    with duckdb.connect(str(path)) as db:
        db.execute("CREATE SCHEMA s; CREATE VIEW s.t_view AS SELECT 1 AS n")
        for n in range(count):
            db.execute(f"CREATE TABLE s.t{n} AS SELECT range AS n, 'a b' AS text FROM range({n})")


def _tables(server: Server) -> list[str]:
    return sorted(job["spec"]["table_name"] for job in server.ledger()["jobs"])


def _paths(server: Server) -> set[str]:
    return {job["spec"]["data_path"] for job in server.ledger()["jobs"]}


def test_the_matching_tables_of_several_databases_are_exported(quick: Server) -> None:
    """Each gets its folder, and all options reach the service."""
    options = [
        "--data-type",
        "JSON",
        "--compress",
        "gzip",
        "--mode",
        "overwrite",
        "--queue",
        "default",
    ]
    document = Cli(quick).json(
        *(*DB1, "--database", "db2", "--tables", "t1?", "--header"), *options
    )
    jobs = quick.ledger()["jobs"]
    assert (document["finished"], document["resumed"], document["date"]) == (20, 0, "2026-01-31")
    assert {job["spec"]["data_path"] for job in jobs} == {
        f"obs://bucket/2026-01-31/db{db}/t{n}" for db in (1, 2) for n in range(10, 20)
    }
    wanted = {
        "data_type": "json",
        "compress": "gzip",
        "export_mode": "Overwrite",
        "with_column_header": True,
        "queue_name": "default",
    }
    assert all(job["spec"] | wanted == job["spec"] for job in jobs)
    assert {export["job_id"] for export in document["exports"]} == {j["job_id"] for j in jobs}
    assert sum(export["row_count"] for export in document["exports"]) == document["rows"]


def test_what_cannot_be_exported_is_left_out_and_counted(tmp_path: Path) -> None:
    """Views are no error; a line says that they were there."""
    _make_file(tmp_path / "t.duckdb", 2)
    emulator = Emulator(database=tmp_path / "t.duckdb", obs_dir=tmp_path / "obs", launch=0, run=0)
    with serving(emulator) as server:
        result = Cli(server)("bulk", "--database", "s", "--to", "obs://b/x/{table}")
    assert result.exit_code == 0
    assert "1 of 3 tables is not MANAGED, so that it cannot" in result.stderr
    assert "[2/2] 2 finished; 1 row, " in result.stderr
    assert (tmp_path / "obs/b/x/t1/_SUCCESS").exists()
    assert "2 finished" in result.stdout


def test_a_dry_run_shows_the_plan_and_submits_nothing(quick: Server, tmp_path: Path) -> None:
    """It lists tables, and neither exports nor makes a journal."""
    journal = tmp_path / "run.db"
    args = (*THREE, "--compress", "gzip", "--header", "--journal", str(journal), "--dry-run")
    result = Cli(quick)(*args)
    assert result.exit_code == 0
    first = "db1.t1 csv gzip header ErrorIfExists - obs://bucket/2026-01-31/db1/t1 new"
    assert result.stdout.splitlines()[1].split() == first.split()
    assert result.stdout.splitlines()[-1].startswith("3 exports, date 2026-01-31; dry run")
    document = Cli(quick).json(*args)
    assert [export["table_name"] for export in document["exports"]] == ["t1", "t2", "t3"]
    assert set(quick.ledger()["requests"]) == {"tables"}
    assert not journal.exists()


def test_a_dry_run_of_a_plan_file_needs_no_service(tmp_path: Path) -> None:
    """Nobody is asked, so there is no endpoint to be told."""
    plan = tmp_path / "plan.jsonl"
    plan.write_text('{"database_name": "d", "table_name": "t"}\n')
    document = Cli().json(
        "bulk", "--plan", str(plan), "--to", TO, "--date", "20260131", "--dry-run"
    )
    assert document["exports"][0]["data_path"] == "obs://bucket/2026-01-31/d/t"


def test_a_plan_file_is_exported(quick: Server, tmp_path: Path) -> None:
    """Its exports are what is submitted."""
    plan = tmp_path / "plan.csv"
    plan.write_text("database_name,table_name,data_path\ndb1,t7,obs://b/{table}\ndb2,t8,obs://b/8")
    assert Cli(quick).json("bulk", "--plan", str(plan))["finished"] == 2
    assert _paths(quick) == {"obs://b/t7", "obs://b/8"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give either --database or --plan"),
        (("--database", "d", "--plan", __file__), "give either --database or --plan"),
        (("--plan", __file__, "--tables", "x"), "--tables goes with --database"),
        (("--database", "d"), "--database needs --to"),
        (("--database", "d", "--to", "obs://b/{day}"), "no placeholder {day}; there are {date}"),
        (("--database", "d", "--to", TO, "--date", "today"), "'today' is not a date"),
        (("--database", "one.CSV", "--to", TO), "for a plan file give --plan one.CSV"),
        (("--plan", "/does/not/exist.csv"), "/does/not/exist.csv"),
        (("--plan", __file__), "must end with one of .yaml"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_with_2(args: tuple[str, ...], words: str) -> None:
    """What is missing or misspelt is named before anybody is asked."""
    result = Cli()("bulk", *args)
    assert result.exit_code == 2
    assert words in error_line(result)


def test_a_pattern_that_matches_nothing_exits_with_2(quick: Server) -> None:
    """Nothing to export is not a success."""
    result = Cli(quick)(*DB1, "--tables", "fact_*")
    assert result.exit_code == 2
    assert "nothing to export" in error_line(result)


def test_a_database_that_is_not_there_exits_with_4(quick: Server) -> None:
    """The service's own words are the one line."""
    result = Cli(quick)("bulk", "--database", "none", "--to", TO)
    assert result.exit_code == 4
    assert "none" in error_line(result)


def test_failures_are_listed_and_the_others_go_on(quick: Server) -> None:
    """Exit code 1; each failed export is named with its job and the reason."""
    quick.fail({"route": "export-table", "kind": "fail:DLI.0999", "match": "t2"})
    result = Cli(quick)(*THREE)
    assert result.exit_code == 1
    failed = next(line for line in result.stdout.splitlines() if line.startswith("db1.t2"))
    [job] = [job for job in quick.ledger()["jobs"] if job["spec"]["table_name"] == "t2"]
    assert failed.split()[:3] == ["db1.t2", "failed", job["job_id"]]
    assert "DLI.0999" in failed
    assert "2 finished, 1 failed" in result.stdout
    assert "failed: db1.t2: " in result.stderr
    assert result.stderr.splitlines()[-1] == ("dli-async: error: 1 of 3 exports did not finish")


def test_failed_exports_can_be_tried_again_in_a_fresh_folder(quick: Server) -> None:
    """With `--attempts` the second job may succeed."""
    quick.fail({"route": "export-table", "kind": "fail:DLI.0999", "match": "t2", "times": 1})
    document = Cli(quick).json(*THREE, "--attempts", "2")
    [again] = [export for export in document["exports"] if export["attempts"] == 2]
    assert again["data_path"].endswith("/t2-attempt-2")


def test_exports_in_doubt_exit_with_5(quick: Server) -> None:
    """If nothing failed, but it is not known whether an export was accepted."""
    quick.fail(*IN_DOUBT)
    document = Cli(quick).json(*THREE, code=5)
    assert (document["in_doubt"], document["finished"]) == (1, 2)
    assert {export["end"] for export in document["exports"]} == {"finished", "in_doubt"}


def test_exports_in_doubt_have_a_token_each(quick: Server) -> None:
    """Without a journal, the token on stderr and in the document finds the job."""
    quick.fail(*IN_DOUBT)
    result = Cli(quick)(*THREE)
    [line] = [line for line in result.stderr.splitlines() if "dli-async wait" in line]
    assert line.startswith("in doubt: db1.t2: look again with: dli-async wait ")
    quick.fail()
    document = Cli(quick).json("wait", shlex.split(line)[-1])
    assert (document["table_name"], len(_tables(quick))) == ("t2", 3)
    quick.reset()
    quick.fail(*IN_DOUBT)
    exports = Cli(quick).json(*THREE, code=5)["exports"]
    [doubt] = [export for export in exports if export["end"] == "in_doubt"]
    assert doubt["error"]["found"] == []
    quick.fail()
    assert Cli(quick).json("wait", doubt["token"])["table_name"] == "t2"


def test_exports_in_doubt_are_looked_for_by_the_next_run(quick: Server, tmp_path: Path) -> None:
    """With a journal one line says so, and the next run finds the job."""
    quick.fail(*IN_DOUBT)
    args = (*THREE, "--journal", str(tmp_path / "run.db"))
    result = Cli(quick)(*args)
    assert result.exit_code == 5
    assert "dli-async wait" not in result.stderr
    assert result.stderr.splitlines()[-1] == (
        "dli-async: error: 1 of 3 exports did not finish; "
        "the same command line goes on with what is in doubt"
    )
    quick.fail()
    assert Cli(quick).json(*args)["finished"] == 3
    assert _tables(quick) == ["t1", "t2", "t3"]


@pytest.mark.parametrize("journal", [None, Path("run.db")])
@pytest.mark.anyio
async def test_candidates_of_an_export_in_doubt_are_named(
    journal: Path | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a journal too, since another look may not settle what several jobs could be."""
    rows = [JobRow(job_id=name, status=JobStatus.RUNNING) for name in ("j1", "j2")]
    error = SubmitInDoubt("2 jobs could be it", spec=spec(1), found=rows)
    outcome = ExportOutcome.of(spec(1), error, job_id=None)
    stats = RunStats(1)
    stats.add(ExportEnded(outcome=outcome))
    plan = Plan(specs=[spec(1)], date="2026-01-31", resumes=False, known={}, left_alone=0)
    assert _bulk_summary.show_summary(Output(as_json=True), plan, [outcome], stats, journal) == 5
    out, err = capsys.readouterr()
    assert err.startswith("in doubt: db1.t1: it may be job j1 or j2: dli-async status JOB_ID")
    assert json.loads(out)["exports"][0]["error"]["found"] == ["j1", "j2"]


def test_exports_that_take_too_long_exit_with_3_and_go_on_later(
    endless: Server, tmp_path: Path
) -> None:
    """Their jobs run on; with a journal the next run awaits the same jobs."""
    args = (*THREE, "--timeout", "0.2", "--journal", str(tmp_path / "run.db"))
    for _ in range(2):
        document = Cli(endless).json(*args, code=3)
        assert document["timed_out"] == 3
        assert {export["error"]["type"] for export in document["exports"]} == {"JobTimeout"}
    assert _tables(endless) == ["t1", "t2", "t3"]


def test_a_run_with_failed_jobs_says_how_to_try_them_again(quick: Server, tmp_path: Path) -> None:
    """With a journal, the first run and the same command again name the `--attempts` that does
    it; then `runs` tells the fresh folder."""
    quick.fail({"route": "export-table", "kind": "fail:DLI.0999", "match": "t2", "times": 1})
    args = (*THREE, "--journal", str(tmp_path / "run.db"))
    for _ in range(2):
        assert Cli(quick)(*args).stderr.splitlines()[-1] == (
            "dli-async: error: 1 of 3 exports did not finish; "
            "--attempts 2 would try 1 failed job again, each in a fresh folder"
        )
    assert len(_tables(quick)) == 3
    assert Cli(quick).json(*args, "--attempts", "2")["finished"] == 3
    path = "obs://bucket/2026-01-31/db1"
    lines = Cli()("runs", args[-1]).stdout.splitlines()
    assert lines[0].split()[-2:] == ["folder", "error"]
    folders = ["t1", "t2", "t3", "t2-attempt-2"]
    told = zip(lines[1:5], folders, strict=True)
    assert all(f" {path}/{folder} " in line for line, folder in told)
    exports = Cli().json("runs", args[-1])["exports"]
    assert exports[-1]["folder"] == f"{path}/t2-attempt-2"


def test_the_same_command_again_submits_only_what_is_missing(quick: Server, tmp_path: Path) -> None:
    """What the journal knows to be finished is not sent again, and counts as known before."""
    journal = ("--journal", str(tmp_path / "run.db"))
    Cli(quick).json(*DB1, "--tables", "t1", *journal)
    dry = Cli(quick).json(*THREE, *journal, "--dry-run")
    assert [export["state"] for export in dry["exports"]] == ["finished", None, None]
    document = Cli(quick).json(*THREE, *journal)
    assert (document["finished"], document["resumed"]) == (3, 1)
    assert _tables(quick) == ["t1", "t2", "t3"]
    assert "known before: 1\n" in Cli(quick)(*DB1, "--tables", "t1", *journal).stdout


def test_a_run_that_is_resumed_on_another_day_goes_on_in_its_folders(
    endless: Server, tmp_path: Path
) -> None:
    """Without `--date` the journal tells the day, and a line says so."""
    journal = ("--timeout", "0.5", "--journal", str(tmp_path / "run.db"))
    Cli(endless)(*DB1, "--tables", "t1", *journal)
    rest = ("bulk", "--database", "db1", "--to", TO, "--tables", "t?", *journal)
    result = Cli(endless)(*rest)
    assert "exporting 9 tables; goes on with the run of 2026-01-31" in result.stderr
    assert _paths(endless) == {f"obs://bucket/2026-01-31/db1/t{n}" for n in range(1, 10)}
    assert len(_tables(endless)) == 9


def test_exports_of_the_journal_that_are_not_in_the_plan_are_told(
    endless: Server, tmp_path: Path
) -> None:
    """They are left alone, but not silently."""
    journal = ("--timeout", "0.2", "--journal", str(tmp_path / "run.db"))
    Cli(endless)(*DB1, "--tables", "t1", *journal)
    result = Cli(endless)(*DB1, "--tables", "t2", *journal)
    assert "1 unended export of the journal is not in this plan and is left" in result.stderr


@contextmanager
def _running(server: Server, *args: str, jobs: int = 3) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, once it has told of so many jobs."""
    with Cli(server).start("-v", *args) as process:
        try:
            assert process.stderr
            while jobs:
                jobs -= "submitted as job" in process.stderr.readline()
            yield process
        finally:
            process.kill()


def test_a_second_run_on_a_journal_says_who_holds_it(endless: Server, tmp_path: Path) -> None:
    """It exits at once with 4, and asks the service for nothing; looking is possible."""
    args = [*THREE, "--journal", str(tmp_path / "run.db")]
    with _running(endless, *args) as first:
        before = endless.ledger()["requests"]["tables"]
        result = Cli(endless)(*args)
        assert Cli().json("runs", args[-1])["totals"]["exports"] == 3
    assert result.exit_code == 4
    line = error_line(result)
    assert f"run.db: is in use by another bulk run: process {first.pid} on" in line
    assert endless.ledger()["requests"]["tables"] == before


def test_ctrl_c_leaves_the_jobs_to_the_next_run(endless: Server, tmp_path: Path) -> None:
    """It exits with 130 and says how to resume; the next run awaits the same jobs."""
    args = [*THREE, "--journal", str(tmp_path / "run.db")]
    with _running(endless, *args) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err.splitlines()[-1] == (
        "dli-async: error: interrupted; 3 exports are under way; resume with the same command "
        f"line, which goes on with journal {args[-1]}"
    )
    Cli(endless).json(*args, "--timeout", "0.2", code=3)
    assert _tables(endless) == ["t1", "t2", "t3"]


def test_ctrl_c_without_a_journal_names_the_jobs_that_run_on(endless: Server) -> None:
    """Each job has a line with the command that waits for it, and a place in the document."""
    with _running(endless, *THREE, "--json") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130
    ids = {job["job_id"] for job in endless.ledger()["jobs"]}
    told = {line.rpartition(" ")[2] for line in err.splitlines() if "runs on: dli-async" in line}
    error = json.loads(out)["error"]
    assert {job["job_id"] for job in error["running"]} == told == ids
    assert "3 exports are under way; they are listed above" in error["message"]


def test_an_interrupt_while_planning_says_that_nothing_is_under_way(quick: Server) -> None:
    """Nothing was submitted yet."""
    quick.fail({"route": "tables", "kind": "timeout"})
    main = threading.main_thread().ident
    assert main

    def interrupt() -> None:
        while "tables" not in quick.ledger()["requests"]:
            pass
        signal.pthread_kill(main, signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = Cli(quick)(*THREE)
    thread.join()
    assert result.exit_code == 130
    assert error_line(result) == (
        "dli-async: error: interrupted; no export is under way; there is no journal, so the same "
        "command line begins anew"
    )


REFUSED_AT_LAST = (
    {"route": "export-table", "kind": "fail:DLI.0012", "match": "t1"},
    {"route": "export-table", "kind": "status:401", "match": "t3"},
)
"""With two at a time: the first ends at once, the second runs on, the third is not let in."""


def test_a_login_that_is_refused_on_the_way_ends_the_run_and_tells_what_runs_on(
    endless: Server,
) -> None:
    """It exits with 4; the job that was accepted and runs on is named, since nobody awaits it."""
    endless.fail(*REFUSED_AT_LAST)
    result = Cli(endless)(*THREE, "--max-running", "2")
    assert result.exit_code == 4
    jobs = endless.ledger()["jobs"]
    ids = {job["job_id"] for job in jobs if job["spec"]["table_name"] == "t2"}
    told = {line.rpartition(" ")[2] for line in result.stderr.splitlines() if "runs on: " in line}
    assert told == ids
    *_, left, error = result.stderr.splitlines()
    assert left.startswith("1 export")
    assert "listed above" in left
    assert "HTTP 401" in error


def test_a_login_that_is_refused_on_the_way_leaves_the_rest_to_the_next_run(
    endless: Server, tmp_path: Path
) -> None:
    """With a journal it is enough to say so."""
    journal = ("--journal", str(tmp_path / "run.db"))
    endless.fail(*REFUSED_AT_LAST)
    result = Cli(endless)(*THREE, "--max-running", "2", *journal)
    assert result.exit_code == 4
    assert "runs on: " not in result.stderr
    *_, left, _ = result.stderr.splitlines()
    assert left.endswith(
        f"resume with the same command line, which goes on with journal {journal[1]}"
    )
    endless.fail()
    Cli(endless).json(*THREE, "--timeout", "0.5", *journal, code=1)
    assert _tables(endless) == ["t1", "t2", "t3"]


KILLED = """
from dli_async import DliClient, PollPolicy, SubmitPolicy
from dli_async.cli import main
DliClient.__init__.__kwdefaults__.update(
    submit=SubmitPolicy(grace=0.3),
    request_timeout=2.0,
    polling=PollPolicy(initial_delay=0.05, wait_initial=0.05, wait_max=0.2, wait_jitter=0),
)
main()
"""


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_exports_each_table_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGKILL at random moments and the same command line again, there is one job for each
    table, and every file is right."""
    count = 30
    monkeypatch.setattr("tests.cli.conftest.COMMAND", [*COMMAND[:2], KILLED])
    dice = random.Random("bulk")
    _make_file(tmp_path / "t.duckdb", count)
    emulator = Emulator(
        database=tmp_path / "t.duckdb", obs_dir=tmp_path / "obs", launch=0.02, run=0.1, slots=16
    )
    args = ["-v", "bulk", "--database", "s", "--to", "obs://b/{date}/{table}", "--compress", "gzip"]
    args += ["--max-running", "12", "--journal", str(tmp_path / "run.db")]
    # Some answers come late, so that runs are killed between the job and the news of it.
    late = {"route": "export-table", "when": "after", "kind": "slow-headers:0.1"}
    with serving(emulator) as server:
        server.fail({**late, "probability": 0.3})
        for day in (["--date", "2026-01-31"], [], [], []):
            _kill_after(Cli(server).start(*args, *day), lines=dice.randint(3, 12))
        process = Cli(server).start(*args, "--json")
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert json.loads(out)["finished"] == count
        assert _tables(server) == sorted(f"t{n}" for n in range(count))
    for n in range(count):
        folder = tmp_path / f"obs/b/2026-01-31/t{n}"
        assert (folder / "_SUCCESS").exists()
        lines = [line for part in folder.glob("part-*") for line in _lines(part)]
        assert sorted(lines) == sorted(f"{row},a b" for row in range(n))


def _kill_after(process: subprocess.Popen[str], lines: int) -> None:
    """Kills a run without warning when it has told of so many things."""
    assert process.stderr
    for _ in range(lines):
        process.stderr.readline()
    process.kill()
    process.communicate()


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()
