"""Options of `dli-async emulator` about SQL and about calls that are gone."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from .conftest import Cli, error_line
from .test_signals import _started


def test_options_about_sql_reach_the_emulator(tmp_path: Path) -> None:
    """A call that is gone, wrong SQL as a job that fails, and a bucket for results."""
    args = ("emulator", "--port", "0", "--obs-dir", str(tmp_path), "--json", "--run", "0")
    more = ("--without", "export-table:DLI.0007", "--sql-check", "job", "--job-bucket", "jobs")
    with _started(Cli(), *args, *more) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        base = f"{ready['url']}/v1.0/{ready['project_id']}/jobs"
        with httpx.Client(headers={"X-Auth-Token": ready["token"]}, timeout=60) as http:
            gone = http.post(f"{base}/export-table", json={})
            wrong = http.post(f"{base}/submit-job", json={"sql": "SELEC 1"})
            right = http.post(f"{base}/submit-job", json={"sql": "SELECT 1 AS a"}).json()["job_id"]
            while (told := http.get(f"{base}/{right}/status").json())["status"] != "FINISHED":
                assert told["status"] in ("LAUNCHING", "RUNNING")
    assert (gone.status_code, gone.json()["error_code"]) == (400, "DLI.0007")
    assert wrong.status_code == 200
    assert told["result_path"].startswith("obs://jobs/jobs/result/")


@pytest.mark.parametrize("word", ["spam", "export-table:spam"])
def test_a_misspelt_call_is_refused(tmp_path: Path, word: str) -> None:
    """One line says what there is."""
    result = Cli()("emulator", "--obs-dir", str(tmp_path), "--without", word)
    assert result.exit_code == 2
    assert "export-table" in error_line(result) or "DLI.0007" in error_line(result)
