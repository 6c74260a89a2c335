"""Which optional packages are there, and what to install when they are not."""

from __future__ import annotations

from importlib.util import find_spec

_PACKAGES = {
    "cli": ("typer", "rich", "yaml"),
    "emulator": ("duckdb", "sqlglot", "uvicorn"),
    "fastapi": ("fastapi", "sse_starlette", "uvicorn"),
}
_PURPOSES = {"cli": "the command line", "emulator": "the emulator", "fastapi": "the web page"}


def need_extra(extra: str) -> str | None:
    """What to install for an extra, in one line; None if all of its packages are there."""
    missing = [name for name in _PACKAGES[extra] if find_spec(name) is None]
    if not missing:
        return None
    return (
        f"{_PURPOSES[extra]} needs {', '.join(missing)}, which the extra [{extra}] brings: "
        f"pip install 'dli-async[{extra}]'"
    )
