"""What the benchmarks share: options, tables, spread, targets, and the JSON that is kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = (
    "dli-async",
    "huaweicloudsdkdli",
    "huaweicloudsdkcore",
    "httpx",
    "httpx-aiohttp",
    "aiohttp",
    "anyio",
    "pydantic",
    "tenacity",
    "uvloop",
)


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the JSON")
    return parser


@dataclass(frozen=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1])

    def text(self, digits: int = 0, scale: float = 1.0) -> str:
        low, mid, high = (
            f"{value * scale:,.{digits}f}" for value in (self.low, self.median, self.high)
        )
        return mid if low == high else f"{mid} ({low} - {high})"


@dataclass(frozen=True)
class Target:
    """A figure that should not be above its limit."""

    what: str
    value: float
    limit: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "met" if self.met else "MISSED"
        limit = f"at most {self.limit:g}{self.unit}"
        return f"{self.what}: {self.value:.3g}{self.unit} ({limit}) {verdict}"


@dataclass
class Report:
    """The outcome of one benchmark."""

    name: str
    figures: list[dict[str, Any]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def add(self, **figure: Any) -> None:
        self.figures.append(
            {key: asdict(v) if isinstance(v, Spread) else v for key, v in figure.items()}
        )

    def finish(self, folder: Path, *, quick: bool) -> None:
        """Prints the targets and writes everything down."""
        for target in self.targets:
            print(target)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        content = {
            "benchmark": self.name,
            "quick": quick,
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "machine": machine(),
            "figures": self.figures,
            "targets": [asdict(target) | {"met": target.met} for target in self.targets],
        }
        path.write_text(json.dumps(content, indent=2) + "\n")
        print(f"written to {path}")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def print_table(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a Markdown table, its columns aligned."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    print(f"\n{title}\n")
    for row in (headers, ["-" * width for width in widths], *cells):
        print(f"| {' | '.join(c.ljust(w) for c, w in zip(row, widths, strict=True))} |")
    print()


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all values do not exceed."""
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]
