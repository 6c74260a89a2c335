"""The command line `dli-async`; `main` is its entry point."""

from __future__ import annotations

import contextlib
import io
import sys

from ._shell.extras import need_extra


def main() -> None:
    """Runs `dli-async` with the arguments of the process, and exits.

    Without the packages of the extra `cli` it names the extra and exits with 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A table may have a name that the terminal's encoding has no letters for.
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")
    try:
        if hint := need_extra("cli"):
            print(f"dli-async: error: {hint}", file=sys.stderr)  # noqa: T201 - rich may be missing
            sys.exit(2)
        from .app import app

        app()
    except KeyboardInterrupt:
        print("dli-async: error: interrupted", file=sys.stderr)  # noqa: T201 - may not be loaded
        sys.exit(130)
