"""Why a statement is not run, with the code by which DLI says so (dli_02_0056)."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["SqlError", "semantics", "syntax", "unsupported"]


class SqlError(ValueError):
    """A statement that is wrong, or that nobody here understands.

    :ivar code: `DLI.0002` (missing object), `DLI.0004` (syntax), `DLI.0005` (semantics) or
        `DLI.0007` (not supported, here or at all).
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def syntax(text: str) -> SqlError:
    """What Spark's parser would refuse."""
    return SqlError("DLI.0004", f"SQL syntax error: {text}")


def semantics(text: str) -> SqlError:
    """What Spark's analyser would refuse."""
    return SqlError("DLI.0005", f"SQL semantics error: {text}")


def unsupported(what: str, known: Iterable[str] = ()) -> SqlError:
    """What may be right but is not emulated, with what is."""
    words = ", ".join(known)
    return SqlError("DLI.0007", f"not emulated: {what}" + (f"; known are {words}" if words else ""))
