"""How long `import dli_async` takes, beside its core dependencies and the vendor's SDK.

    python -m benchmarks.startup

Every import is timed in a fresh interpreter, in turns, with the bytecode in the cache, as it is
wherever packages are installed. The package loads its names when the first of them is used, so the
row with the client is what a program pays. Most of what that takes beyond the core dependencies is
pydantic's own: it loads half of itself when the first model is made (second row), which its bare
import puts off.
"""

from __future__ import annotations

import operator
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

from ._report import Report, Spread, Target, options, print_table

_IMPORTS = {
    "core dependencies": "import anyio, httpx, pydantic, sniffio, tenacity",
    "the same and one model": (
        "import anyio, httpx, pydantic, sniffio, tenacity\n"
        "class Model(pydantic.BaseModel): field: int = pydantic.Field(0)\n"
    ),
    "dli_async": "import dli_async",
    "dli_async and its client": "from dli_async import DliClient",
    "vendor's SDK": "import huaweicloudsdkdli.v1",
}
_TIMED = "import time\nt = time.perf_counter()\n{}\nprint(time.perf_counter() - t)"
# Times of the import of the core dependencies.
_MOST = 1.3


def seconds(statement: str) -> float:
    """The time of an import in a fresh interpreter."""
    command = [sys.executable, "-c", _TIMED.format(statement)]
    environ = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    run = subprocess.run(command, capture_output=True, check=True, text=True, env=environ)
    return float(run.stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    args = options(__doc__).parse_args(arguments)
    times: dict[str, list[float]] = {name: [] for name in _IMPORTS}
    for _ in range(1 if args.quick else 12):
        for name, statement in _IMPORTS.items():
            times[name].append(seconds(statement))
    if not args.quick:
        for values in times.values():
            del values[:2]  # files were read for the first time
    spreads = {name: Spread.of(values) for name, values in times.items()}
    report = Report("startup")
    for name, spread in spreads.items():
        report.add(what=name, seconds=spread)
    rows = [(name, spread.text(scale=1e3)) for name, spread in spreads.items()]
    print_table("Import, median (least - most)", ("what", "ms"), rows)
    ratios = map(operator.truediv, times["dli_async"], times["core dependencies"])
    ratio = statistics.median(ratios)
    report.targets.append(Target("import, of the core dependencies' own", ratio, _MOST))
    report.finish(args.output, quick=args.quick)


if __name__ == "__main__":
    main(sys.argv[1:])
