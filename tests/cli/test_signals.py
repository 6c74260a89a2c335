"""Ctrl-C, SIGTERM and pipes, with real processes and real signals."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dli_async.cli._offline.emulator import _announce, _is_loopback
from dli_async.cli._shell.output import Output
from dli_async.cli._shell.run import _stops

from .conftest import COMMAND, Cli, Server

SIGNALS = [signal.SIGINT, signal.SIGTERM]
HANG_UP = signal.SIGHUP


@contextmanager
def _started(cli: Cli, *args: str) -> Iterator[subprocess.Popen[str]]:
    with cli.start(*args) as process:
        try:
            yield process
        finally:
            process.kill()


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, out, err


def _until(happened: Callable[[], Any]) -> None:
    while not happened():
        pass


def _posted(server: Server) -> bool:
    return "export-table" in server.ledger()["requests"]


@pytest.mark.parametrize("number", [*SIGNALS, HANG_UP])
def test_a_signal_detaches_from_the_job(number: signal.Signals, endless: Server) -> None:
    """The wait ends with 130, one line says how to resume, and the job runs on."""
    with _started(Cli(endless), "export", "db1.t1", "obs://bucket/t1") as process:
        assert process.stderr
        assert "RUNNING" in process.stderr.readline()
        process.send_signal(number)
        code, out, err = _end(process)
    [job] = endless.ledger()["jobs"]
    assert (code, out) == (130, "")
    assert err == (
        f"dli-async: error: interrupted; job {job['job_id']} runs on, "
        f"resume with: dli-async wait {job['job_id']}\n"
    )
    assert job["state"] == "RUNNING"


def test_a_signal_in_mid_submit_does_not_lose_the_job(endless: Server) -> None:
    """A POST that has left is heard out, so that the id is known."""
    endless.fail({"route": "export-table", "when": "after", "kind": "slow-headers:1"})
    with _started(Cli(endless), "export", "db1.t1", "obs://bucket/t1", "--json") as process:
        _until(lambda: _posted(endless))
        process.send_signal(signal.SIGINT)
        code, out, _ = _end(process)
    assert code == 130
    assert json.loads(out)["job_id"] == endless.ledger()["jobs"][0]["job_id"]


def test_a_second_ctrl_c_does_not_wait_and_prints_the_token(endless: Server) -> None:
    """If the answer does not come, a second Ctrl-C ends the process; the token it prints finds
    the job."""
    endless.fail({"route": "export-table", "when": "after", "kind": "timeout"})
    with _started(Cli(endless), "-v", "export", "db1.t1", "obs://bucket/t1") as process:
        _until(lambda: _posted(endless))
        # Not more than two: a third could meet an interpreter that is just going down.
        process.send_signal(signal.SIGINT)
        assert process.stderr
        while "nobody awaits" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        code, _, err = _end(process)
    assert code == 130
    *_, token = shlex.split(err.splitlines()[-1])
    endless.fail()
    [job] = endless.ledger()["jobs"]
    Cli(endless).json("cancel", job["job_id"])
    document = Cli(endless).json("wait", token, code=1)
    assert document["job_id"] == job["job_id"]


def test_an_interrupt_in_this_process_tells_the_same(endless: Server) -> None:
    """`wait` and `status` are interrupted alike; without a job at hand the line is short."""
    cli = Cli(endless)
    job_id = cli("export", "db1.t1", "obs://bucket/t1", "--no-wait").stdout.strip()
    with _interrupt_when(lambda: endless.ledger()["requests"].get("status")):
        result = cli("wait", job_id)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].endswith(f"dli-async wait {job_id}")


def test_an_interrupt_of_another_command_is_one_line(endless: Server) -> None:
    """Commands without a job have nothing to resume."""
    endless.fail({"route": "databases", "kind": "timeout"})
    with _interrupt_when(lambda: endless.ledger()["requests"].get("databases")):
        result = Cli(endless)("tables")
    assert (result.exit_code, result.stderr) == (130, "dli-async: error: interrupted\n")


def test_an_interrupt_before_the_submit_says_that_nothing_was_submitted(endless: Server) -> None:
    """While the precheck runs there is no job yet."""
    endless.fail({"route": "table", "kind": "timeout"})
    with _interrupt_when(lambda: endless.ledger()["requests"].get("table")):
        result = Cli(endless)("export", "db1.t1", "obs://bucket/t1", "--precheck")
    assert result.exit_code == 130
    assert result.stderr == "dli-async: error: interrupted; nothing was submitted\n"


# Sends the signal when a module is about to be loaded.
INTERRUPTED_AT = """
import signal, sys
from importlib.abc import MetaPathFinder
from dli_async.cli import main

class Interrupt(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
main()
"""


@pytest.mark.parametrize("moment", ["typer", "dli_async.cli.app", "pydantic"])
def test_ctrl_c_while_the_commands_are_loaded_is_one_line(moment: str) -> None:
    """Not a traceback, and the exit code is 130."""
    process = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AT, moment], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (130, "dli-async: error: interrupted\n")


def test_nothing_of_weight_is_loaded_before_ctrl_c_is_taken_care_of() -> None:
    """Up to `main`, Python has loaded no more than itself, so there is hardly a moment to hit."""
    code = (
        "import sys; old = set(sys.modules); from dli_async.cli import main; "
        "print(*set(sys.modules) - old)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) == {"dli_async", "dli_async.cli"}


LOADED_AT_THE_END = """
import atexit, signal
from dli_async.cli import main
atexit.register(lambda: signal.raise_signal(signal.SIGINT))
main()
"""


def test_ctrl_c_while_python_ends_is_no_traceback() -> None:
    """The work is done, and the process ends at once."""
    command = [sys.executable, "-c", LOADED_AT_THE_END, "--version"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (130, "dli-async: error: interrupted\n")
    assert process.stdout.startswith("dli-async ")


def test_nohup_keeps_a_command_from_ending_at_a_hang_up() -> None:
    """A signal that the process was told to ignore stays ignored."""
    before = signal.signal(HANG_UP, signal.SIG_IGN)
    try:
        assert HANG_UP not in _stops()
    finally:
        signal.signal(HANG_UP, before)
    assert HANG_UP in _stops()


def test_an_ignored_ctrl_c_stays_ignored() -> None:
    """As a shell wants it for what runs in its background."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "from dli_async.cli import main; import atexit; "
        "atexit.register(lambda: signal.raise_signal(signal.SIGINT)); main()"
    )
    command = [sys.executable, "-c", code, "--version"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("stream", [1, 2])
def test_a_stream_that_is_closed_is_no_error(quick: Server, stream: int) -> None:
    """`dli-async jobs --json >&-` does its work and tells nobody."""
    process = subprocess.run(
        ["sh", "-c", f'"$@" {stream}>&-', "sh", *COMMAND, "jobs", "--json"],
        env={**os.environ, **quick.environ()},
        capture_output=True,
        text=True,
        check=False,
    )
    said = "" if stream == 1 else "[]\n"
    assert (process.returncode, process.stdout, process.stderr) == (0, said, "")


def test_an_interrupt_that_comes_as_an_exception_is_one_line(
    quick: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where signals cannot be received, Ctrl-C is told in the same way."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dli_async.cli._shell.run.anyio.run", interrupt)
    result = Cli(quick)("wait", "some-job")
    assert (result.exit_code, result.stderr) == (130, "dli-async: error: interrupted\n")


def test_commands_run_in_other_threads_too(quick: Server) -> None:
    """Outside the main thread there are no signals, and everything else works."""
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(Cli(quick), "tables", "db1").result()
    assert result.exit_code == 0, result.output


def test_a_signal_stops_an_emulator_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning tells that others can reach it, and it stops with 0."""
    announced: list[str] = []

    def announce(output: Output, url: str, host: str, obs_dir: Path) -> None:
        _announce(output, url, "0.0.0.0", obs_dir)
        announced.append(url)

    monkeypatch.setattr("dli_async.cli._offline.emulator._announce", announce)
    with _interrupt_when(lambda: announced):
        result = Cli()("emulator", "--port", "0", "--obs-dir", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert f"DLI_ENDPOINT={announced[0]} " in result.stdout
    assert "warning: 0.0.0.0 can be reached from other machines" in result.stderr


@pytest.mark.parametrize(
    ("host", "known"), [("localhost", True), ("::1", True), ("example", False)]
)
def test_loopback_addresses_are_known(host: str, known: bool) -> None:
    """Only names and addresses that stay on this machine need no warning."""
    assert _is_loopback(host) is known


@contextmanager
def _interrupt_when(happened: Callable[[], Any]) -> Iterator[None]:
    main = threading.main_thread().ident
    assert main

    def interrupt() -> None:
        _until(happened)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_emulator_serves_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """It prints its URL once it serves, answers, and stops cleanly with exit code 0."""
    with _started(Cli(), "emulator", "--port", "0", "--obs-dir", str(tmp_path / "o")) as process:
        assert process.stdout
        first = process.stdout.readline()
        assert first, _end(process)
        url = first.split()[-1]
        assert len(Cli(Server(url)).json("tables", "crm")) == 10
        process.send_signal(number)
        code, _, err = _end(process)
    assert code == 0
    assert err.splitlines()[-1] == "stopped"


def test_the_emulator_in_json_tells_how_to_log_in(tmp_path: Path) -> None:
    """One document has the URL, the project and the token; options reach the emulator."""
    args = ("emulator", "--port", "0", "--obs-dir", str(tmp_path), "--json")
    with _started(Cli(), *args, "--exists-check", "submit", "--run", "0") as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        cli = Cli(Server(ready["url"]))
        assert cli.environ["DLI_PROJECT_ID"] == ready["project_id"]
        assert cli.environ["DLI_TOKEN"] == ready["token"]
        cli.json("export", "crm.regions", "obs://b/t")
        assert (tmp_path / "b/t/_SUCCESS").exists()
        document = cli.json("export", "crm.regions", "obs://b/t", code=4)
        assert document["error"]["error_code"] == "DLI.0006"
        process.send_signal(signal.SIGTERM)
        assert _end(process)[0] == 0


def test_the_session_of_spark_reaches_the_files(tmp_path: Path) -> None:
    """Timestamps are written in the time zone that was asked for."""
    session = ("--spark", "3.5", "--jdk", "21", "--time-zone", "Asia/Shanghai")
    args = ("emulator", "--port", "0", "--obs-dir", str(tmp_path), "--json", "--run", "0")
    with _started(Cli(), *args, *session) as process:
        assert process.stdout
        cli = Cli(Server(json.loads(process.stdout.readline())["url"]))
        cli.json("export", "crm.birthdays", "obs://b/t", "--data-type", "json")
        process.send_signal(signal.SIGTERM)
        assert _end(process)[0] == 0
    [part] = (tmp_path / "b/t").glob("part-*")
    first = json.loads(part.read_text().splitlines()[0])
    assert first["recorded_at"].endswith(("+08:00", "+08:05", "+09:00"))


def test_a_time_zone_that_nobody_knows_exits_with_2(tmp_path: Path) -> None:
    """It is named in one line, and nothing is served."""
    args = ("--port", "0", "--obs-dir", str(tmp_path), "--time-zone", "Asia/Nowhere")
    result = Cli()("emulator", *args)
    assert result.exit_code == 2
    assert "time_zone 'Asia/Nowhere' is not known" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_port_that_is_taken_exits_with_4(quick: Server, tmp_path: Path) -> None:
    """The emulator says so in one line."""
    port = str(httpx.URL(quick.url).port)
    result = Cli()("emulator", "--port", port, "--obs-dir", str(tmp_path))
    assert result.exit_code == 4
    assert "in use" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_no_database_exits_with_2(tmp_path: Path) -> None:
    """What cannot be served is named in one line."""
    bad = tmp_path / "bad.duckdb"
    bad.write_text("no database")
    result = Cli()("emulator", "--port", "0", "--database", str(bad))
    assert result.exit_code == 2
    assert "bad.duckdb" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_reader_that_leaves_is_no_error(quick: Server) -> None:
    """`dli-async tables | head` ends quietly."""
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [*COMMAND, "tables"],
        env={**os.environ, **quick.environ()},
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (process.returncode, process.stderr) == (0, "")
