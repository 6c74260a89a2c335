"""The benchmarks run: each prints its table and writes its JSON; the figures are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("files", "footprint", "journal", "per_request", "startup", "waiting")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    """In its quick mode each one ends well, with a table and a file of figures and targets."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--output", str(tmp_path)]

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert run.returncode == 0, run.stderr
    assert "| --" in run.stdout
    written = json.loads((tmp_path / f"{name}.json").read_text())
    assert written["quick"] is True
    assert written["figures"]
    assert {"cores", "processor", "python", "versions"} <= set(written["machine"])
    assert all({"what", "value", "limit", "met"} <= set(target) for target in written["targets"])


def test_each_benchmark_is_explained() -> None:
    """The README names the command of each, and there is none that it leaves out."""
    readme = (ROOT / "benchmarks" / "README.md").read_text()
    modules = {path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")}
    assert modules == set(NAMES)
    assert all(f"python -m benchmarks.{name}" in readme for name in NAMES)
