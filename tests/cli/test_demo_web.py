"""`dli-async demo --web`, in a process of its own."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import httpx
import pytest

from .conftest import Cli, error_line

QUICK = ("--launch", "0", "--run", "0.05")


@pytest.mark.slow
def test_the_demo_serves_a_page_with_exports_on_it(tmp_path: Path) -> None:
    """It tells where the page is, starts an export of each table, and writes the files; a signal
    ends it with 0, whoever still listens."""
    process = Cli().start("demo", "--web", "--json", "--obs-dir", str(tmp_path / "obs"), *QUICK)
    assert process.stdout is not None
    try:
        places = json.loads(process.stdout.readline())
        with httpx.Client(trust_env=False, timeout=60) as http:
            assert "<title>Exports</title>" in http.get(places["page"]).text
            assert http.get(places["reference"]).status_code == 200
            base = places["page"].removesuffix("/ui")
            deadline = time.monotonic() + 120
            states: list[str] = []
            while len(states) < 21 or set(states) != {"finished"}:
                assert time.monotonic() < deadline, states
                time.sleep(0.05)
                exports = http.get(base, params={"limit": 100}).json()["exports"]
                states = [export["state"] for export in exports]
            with http.stream("GET", f"{base}/events") as response:
                next(response.iter_lines())
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
    finally:
        process.kill()
        _, said = process.communicate()
    assert "exporting 21 tables" in said
    assert said.splitlines()[-1] == "stopped"
    assert len(list((tmp_path / "obs/demo").rglob("_SUCCESS"))) == 21


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages of the extra `fastapi`, one line says what to install."""
    monkeypatch.setattr(
        "dli_async.cli._offline.emulator.need_extra",
        lambda extra: "pip install 'dli-async[fastapi]'" if extra == "fastapi" else None,
    )
    result = Cli()("demo", "--web")
    assert result.exit_code == 2
    assert "dli-async[fastapi]" in error_line(result)
