"""The types that Spark gives to expressions, where sqlglot's own table leaves them open.

Decimals above all: Spark has rules for the precision of each operation, and exports show them.
Imported only where sqlglot is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

__all__ = ["METADATA", "is_number", "is_text", "is_whole", "sizes", "widest"]

_MOST = 38
_LEAST_SCALE = 6
_DIGITS = {"TINYINT": 3, "SMALLINT": 5, "INT": 10, "BIGINT": 20}
_ORDER = (*_DIGITS, "FLOAT", "DOUBLE")


def _decimal(precision: int, scale: int) -> exp.DataType:
    """A decimal, cut to 38 digits."""
    return exp.DataType.build(f"decimal({min(precision, _MOST)},{min(scale, _MOST)})")


def _adjusted(precision: int, scale: int) -> exp.DataType:
    """The result of arithmetic: too many digits cost the fraction, down to six of them."""
    if precision <= _MOST:
        return _decimal(precision, scale)
    whole = precision - scale
    return _decimal(_MOST, max(_MOST - whole, min(scale, _LEAST_SCALE)))


def _name(kind: exp.DataType | None) -> str:
    return kind.this.name if kind is not None and isinstance(kind.this, exp.DataType.Type) else ""


def is_whole(kind: exp.DataType | None) -> bool:
    """Whether it is an integer of some size."""
    return _name(kind) in _DIGITS


def is_number(kind: exp.DataType | None) -> bool:
    """Whether it is a number of some type."""
    return _name(kind) in (*_ORDER, "DECIMAL")


def is_text(kind: exp.DataType | None) -> bool:
    """Whether it is a string."""
    return _name(kind) in ("VARCHAR", "TEXT", "CHAR")


def sizes(kind: exp.DataType | None) -> tuple[int, int] | None:
    """Precision and scale of a decimal; None for another type."""
    if kind is None or _name(kind) != "DECIMAL":
        return None
    numbers = [int(each.name) for each in kind.expressions]
    return (numbers[0], numbers[1] if len(numbers) > 1 else 0) if numbers else (10, 0)


def _as_decimal(operand: Any) -> tuple[int, int] | None:
    """An operand of decimal arithmetic; a whole literal has only the digits that it shows."""
    plain = operand.unnest()
    if isinstance(plain, exp.Literal) and plain.is_int:
        return (len(plain.name), 0)
    if is_whole(operand.type):
        return (_DIGITS[_name(operand.type)], 0)
    return sizes(operand.type)


def widest(kinds: Iterable[exp.DataType | None]) -> exp.DataType | None:
    """The type that takes values of all these; None where that is not worked out here."""
    known = [kind for kind in kinds if _name(kind) not in ("NULL", "UNKNOWN")]
    if not known or any(kind is None for kind in known):
        return None
    if any(sizes(kind) for kind in known):
        return _widest_decimal(known)
    if all(_name(kind) in _ORDER for kind in known):
        return max(known, key=lambda kind: _ORDER.index(_name(kind)))
    return known[0] if all(kind == known[0] for kind in known) else None


def _widest_decimal(kinds: list[exp.DataType | None]) -> exp.DataType | None:
    if any(_name(kind) in ("FLOAT", "DOUBLE") for kind in kinds):
        return exp.DataType.build("double")
    both = [sizes(kind) or (_DIGITS.get(_name(kind), 0), 0) for kind in kinds]
    if any(precision == 0 for precision, _ in both):
        return None
    scale = max(scale for _, scale in both)
    return _decimal(max(precision - scale for precision, scale in both) + scale, scale)


# --- arithmetic ---------------------------------------------------------------------------------

_Rule = Callable[[int, int, int, int], exp.DataType]


def _sum_type(p1: int, s1: int, p2: int, s2: int) -> exp.DataType:
    scale = max(s1, s2)
    return _adjusted(max(p1 - s1, p2 - s2) + scale + 1, scale)


def _product_type(p1: int, s1: int, p2: int, s2: int) -> exp.DataType:
    return _adjusted(p1 + p2 + 1, s1 + s2)


def _quotient_type(p1: int, s1: int, p2: int, s2: int) -> exp.DataType:
    scale = max(_LEAST_SCALE, s1 + p2 + 1)
    return _adjusted(p1 - s1 + s2 + scale, scale)


def _rest_type(p1: int, s1: int, p2: int, s2: int) -> exp.DataType:
    scale = max(s1, s2)
    return _adjusted(min(p1 - s1, p2 - s2) + scale, scale)


def _arithmetic(rule: _Rule, *, divides: bool = False) -> Callable[[Any, Any], Any]:
    def annotate(annotator: Any, node: Any) -> Any:
        left, right = node.left, node.right
        if sizes(left.type) or sizes(right.type):
            one, other = _as_decimal(left), _as_decimal(right)
            found = rule(*one, *other) if one and other else exp.DataType.build("double")
            return _set(annotator, node, found)
        if divides or is_text(left.type) or is_text(right.type):
            return _set(annotator, node, "double")
        kind = widest((left.type, right.type))
        if kind is not None:
            return _set(annotator, node, kind)
        return annotator._annotate_binary(node)

    return annotate


def _set(annotator: Any, node: Any, kind: exp.DataType | str) -> Any:
    return annotator._set_type(node, exp.DataType.build(kind))


# --- functions ------------------------------------------------------------------------------------


def _literal(annotator: Any, node: Any) -> Any:
    if node.is_string:
        return _set(annotator, node, "varchar")
    text = node.name.lower()
    if "e" in text:
        return _set(annotator, node, "double")
    if "." in text:
        whole, _, fraction = text.partition(".")
        digits = len(whole.lstrip("0")) + len(fraction)
        return _set(annotator, node, _decimal(max(digits, len(fraction), 1), len(fraction)))
    return _set(annotator, node, "int" if int(text) < 2**31 else "bigint")


def _sum(annotator: Any, node: Any) -> Any:
    if found := sizes(node.this.type):
        return _set(annotator, node, _decimal(found[0] + 10, found[1]))
    return _set(annotator, node, _wide(node.this.type, "bigint"))


def _wide(kind: exp.DataType | None, whole: str) -> str:
    """`whole` for whole numbers, double for others and for text; unknown for the rest."""
    if is_whole(kind):
        return whole
    return "double" if is_number(kind) or is_text(kind) else "unknown"


def _average(annotator: Any, node: Any) -> Any:
    found = sizes(node.this.type)
    kind = _decimal(found[0] + 4, found[1] + 4) if found else "double"
    return _set(annotator, node, kind)


def _rounded_up(annotator: Any, node: Any) -> Any:
    if found := sizes(node.this.type):
        return _set(annotator, node, _decimal(found[0] - found[1] + 1, 0))
    return _set(annotator, node, "unknown" if node.this.type is None else "bigint")


def _round(annotator: Any, node: Any) -> Any:
    if is_whole(node.this.type):
        return _set(annotator, node, node.this.type)
    found, places = sizes(node.this.type), node.args.get("decimals")
    if found is None or not (places is None or places.is_int):
        return _set(annotator, node, "double" if found is None else "unknown")
    scale = min(found[1], int(places.name) if places else 0)
    return _set(annotator, node, _decimal(found[0] - found[1] + 1 + scale, scale))


def _chosen(*names: str) -> Callable[[Any, Any], Any]:
    """The type of whichever of these arguments is the result."""

    def annotate(annotator: Any, node: Any) -> Any:
        kinds = [each.type for each in _arguments(node, names)]
        return _set(annotator, node, widest(kinds) or "unknown")

    return annotate


def _arguments(node: Any, names: Iterable[str]) -> Iterable[Any]:
    for name in names:
        found = node.args.get(name)
        yield from (found if isinstance(found, list) else [found] if found is not None else [])


def _case(annotator: Any, node: Any) -> Any:
    kinds = [each.args["true"].type for each in node.args["ifs"]]
    default = node.args.get("default")
    kinds += [default.type] if default is not None else []
    return _set(annotator, node, widest(kinds) or "unknown")


_INTS: tuple[Any, ...] = (
    exp.Year,
    exp.Quarter,
    exp.Month,
    exp.Day,
    exp.DayOfMonth,
    exp.DayOfWeek,
    exp.DayOfYear,
)
_INTS += (
    exp.WeekOfYear,
    exp.Hour,
    exp.Minute,
    exp.Second,
    exp.Length,
    exp.DateDiff,
    exp.StrPosition,
)
_INTS += (exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.ArraySize)
_DOUBLES: tuple[Any, ...] = (
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
    exp.Corr,
)
_DOUBLES += (exp.CovarPop, exp.CovarSamp, exp.Sqrt, exp.Exp, exp.Ln, exp.Pow, exp.PercentRank)
_DOUBLES += (exp.CumeDist, exp.Rand)
_SAME = (exp.Abs, exp.Max, exp.Min, exp.First, exp.Last, exp.Lag, exp.Lead, exp.Neg, exp.Paren)

METADATA: dict[Any, Any] = {
    **Dialect.get_or_raise("spark").EXPRESSION_METADATA,
    exp.Literal: {"annotator": _literal},
    exp.Add: {"annotator": _arithmetic(_sum_type)},
    exp.Sub: {"annotator": _arithmetic(_sum_type)},
    exp.Mul: {"annotator": _arithmetic(_product_type)},
    exp.Div: {"annotator": _arithmetic(_quotient_type, divides=True)},
    exp.Mod: {"annotator": _arithmetic(_rest_type)},
    exp.Sum: {"annotator": _sum},
    exp.Avg: {"annotator": _average},
    exp.Floor: {"annotator": _rounded_up},
    exp.Ceil: {"annotator": _rounded_up},
    exp.Round: {"annotator": _round},
    exp.Coalesce: {"annotator": _chosen("this", "expressions")},
    exp.Greatest: {"annotator": _chosen("this", "expressions")},
    exp.Least: {"annotator": _chosen("this", "expressions")},
    exp.If: {"annotator": _chosen("true", "false")},
    exp.Nullif: {"annotator": _chosen("this")},
    exp.Case: {"annotator": _case},
    **{kind: {"annotator": _chosen("this")} for kind in _SAME},
    **{kind: {"returns": exp.DataType.Type.INT} for kind in _INTS},
    **{kind: {"returns": exp.DataType.Type.DOUBLE} for kind in _DOUBLES},
}
"""How sqlglot is to annotate expressions: its own table for Spark, with the rules of this file."""
