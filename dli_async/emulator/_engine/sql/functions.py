"""Which functions a statement may call.

sqlglot knows most of Spark's. Those that it passes on by name would be DuckDB's own, which may be
something else entirely, or read files: only those that mean the same in both are let through.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from .errors import unsupported

__all__ = ["SAME", "check_functions"]

SAME = frozenset(
    {
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "bit_count", "cbrt", "chr"),
        *("cos", "cosh", "cot", "degrees", "isnan", "ln", "log10", "log1p", "log2", "ltrim"),
        *("pi", "radians", "reverse", "rtrim", "sin", "sinh", "tan", "tanh", "translate"),
    }
)
"""Functions unknown to sqlglot that are called the same and do the same in Spark and DuckDB."""

_REFUSED: tuple[Any, ...] = (exp.ReadCSV, exp.ReadParquet, exp.Uuid, exp.ApproxQuantile)
_REFUSED += (exp.ApproxDistinct, exp.MonthsBetween, exp.Posexplode, exp.ExplodeOuter)


def check_functions(tree: Any) -> None:
    """Refuses functions that are not emulated.

    :raises SqlError: DLI.0007, naming the function.
    """
    for node in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc, *_REFUSED):
        name = node.name if isinstance(node, exp.Anonymous) else node.sql_name().lower()
        if name.lower() not in SAME:
            raise unsupported(
                f"the function {name}", ("those that sqlglot translates", *sorted(SAME))
            )
