"""The packages of the extra `[emulator-formats]`, imported once a format asks for them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..sql.errors import unsupported

__all__ = ["imported"]


def imported(module: str, format: str) -> Any:
    """A module.

    :raises SqlError: DLI.0007 if it is not there, with what to install.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise unsupported(
            f"the format {format} without {package}, which the extra [emulator-formats] brings: "
            "pip install 'dli-async[emulator-formats]'"
        ) from None
