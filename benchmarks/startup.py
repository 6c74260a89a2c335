"""How long `import dli_async` takes, beside its core dependencies and the vendor's SDK.

    python -m benchmarks.startup

Every import is timed in a fresh interpreter, in turns, with the bytecode in the cache, as it is
wherever packages are installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from ._report import Report, Spread, options, print_table

_IMPORTS = {
    "core dependencies": "import anyio, httpx, pydantic, sniffio, tenacity",
    "dli_async": "import dli_async",
    "vendor's SDK": "import huaweicloudsdkdli.v1",
}
_TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


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
    report.finish(args.output, quick=args.quick)


if __name__ == "__main__":
    main(sys.argv[1:])
