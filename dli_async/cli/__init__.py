"""The command line `dli-async`; `main` is its entry point.

It imports as little as can be, so that Ctrl-C is taken care of before the rest is loaded.
"""

import os
import sys

# Known to type checkers by its name; `typing` itself, and `signal` with its enums, take longer to
# load than all else that happens before Ctrl-C is taken care of.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal

_INTERRUPTED = "dli-async: error: interrupted\n"


def main() -> None:
    """Runs `dli-async` with the arguments of the process, and exits.

    Without the packages of the extra `cli` it names the extra and exits with 2.
    """
    takes_ctrl_c = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    if takes_ctrl_c:
        _signal.signal(_signal.SIGINT, _leave)
    _prepare_streams()
    run = _load()
    try:
        if takes_ctrl_c:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        sys.stderr.write(_INTERRUPTED)
        sys.exit(130)
    finally:
        if takes_ctrl_c:
            _signal.signal(_signal.SIGINT, _leave)


def _leave(*_: object) -> "NoReturn":
    """Ends the process where an exception would meet code that cannot take it.

    That is while modules are loaded, and while Python takes itself down.
    """
    os.write(2, _INTERRUPTED.encode())
    os._exit(130)


def _prepare_streams() -> None:
    import contextlib
    import io
    from pathlib import Path

    # A stream that the shell has closed (`>&-`) is None, and nobody reads what is written there.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A table may have a name that the terminal's encoding has no letters for.
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")


def _load() -> "Callable[[], object]":
    from ._shell.extras import need_extra

    if hint := need_extra("cli"):
        print(f"dli-async: error: {hint}", file=sys.stderr)  # noqa: T201 - rich may be missing
        sys.exit(2)
    from .app import app

    return app
