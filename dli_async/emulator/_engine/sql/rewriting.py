"""Makes DuckDB compute what Spark computes, where sqlglot's translation leaves a difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp, parse_one

from .spark_types import is_number, is_text, is_whole, sizes

__all__ = ["rewritten"]

_Node = Any  # sqlglot's nodes hold children of any type


def rewritten(tree: _Node) -> _Node:
    """The annotated tree, changed where the engines differ."""
    for node in _from_the_leaves(tree, exp.Avg):
        _average_decimals(node)
    for node in _from_the_leaves(tree, *_CHANGES):
        changed = _CHANGES[type(node)](node)
        if changed is not None:
            changed.type = node.type
            node.replace(changed)
    for node in _from_the_leaves(tree, *_TYPED):
        _cast_to_its_type(node)
    return tree


def _from_the_leaves(tree: _Node, *kinds: Any) -> list[_Node]:
    return [node for node in reversed(list(tree.walk())) if type(node) in kinds]


def _sql(template: str, **parts: _Node) -> _Node:
    """SQL of DuckDB's, in which names in angle brackets stand for nodes."""
    text = template
    for name in parts:
        text = text.replace(f"<{name}>", f"__{name}__")
    tree = parse_one(text, read="duckdb")
    for column in list(tree.find_all(exp.Column)):
        name = column.name.strip("_")
        if column.name == f"__{name}__":
            column.replace(exp.paren(parts[name].copy()))
    return tree


def _outermost(node: _Node) -> _Node:
    """A call with the window and the filter around it."""
    while isinstance(node.parent, exp.Filter | exp.Window | exp.IgnoreNulls) and (
        node.arg_key == "this"
    ):
        node = node.parent
    return node


# --- types ----------------------------------------------------------------------------------------

_INTS: tuple[Any, ...] = (
    exp.Year,
    exp.Quarter,
    exp.Month,
    exp.Day,
    exp.DayOfMonth,
    exp.DayOfWeek,
    exp.DayOfYear,
)
_INTS += (exp.WeekOfYear, exp.Hour, exp.Minute, exp.Second, exp.Length, exp.DateDiff)
_INTS += (exp.StrPosition, exp.RowNumber, exp.Rank, exp.DenseRank, exp.Ntile, exp.ArraySize)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.IntDiv)
_TYPED: tuple[Any, ...] = (
    exp.Sum,
    exp.Floor,
    exp.Ceil,
    exp.Round,
    exp.Literal,
    *_INTS,
    *_ARITHMETIC,
)
_TYPED += (exp.TsOrDsAdd, exp.DateAdd, exp.DateSub)  # DuckDB makes timestamps of them


def _cast_to_its_type(node: _Node) -> None:
    """Gives a node the type it has in Spark; what is too large for it is null, as there."""
    if not is_number(node.type) and not (node.type is not None and node.type.is_type("date")):
        return
    if isinstance(node, exp.Literal) and not isinstance(node.parent, _ARITHMETIC):
        return
    outer = _outermost(node)
    if not isinstance(outer.parent, exp.Cast):
        outer.replace(exp.TryCast(this=outer.copy(), to=node.type.copy()))


# --- division -------------------------------------------------------------------------------------

# DuckDB would divide floats. Here whole numbers are divided and rounded half up.
_QUOTIENT = """TRY_CAST(
    CASE WHEN SIGN(<n>) * SIGN(<d>) < 0 THEN '-' ELSE '' END
    || REGEXP_REPLACE(
        '{zeros}' || CAST(DIVIDE(ABS(<n>) * 2 + ABS(<d>), NULLIF(ABS(<d>) * 2, 0)) AS TEXT),
        '([0-9]{{{scale}}})$', '.\\1')
    AS DECIMAL({precision}, {scale}))"""
_UNSCALED = "CAST(REPLACE(CAST(<x> AS TEXT), '.', '') AS HUGEINT) * CAST('1{zeros}' AS HUGEINT)"


def _divided(node: _Node) -> _Node:
    if sizes(node.type) is None:
        return _float_quotient(node)
    return _quotient(node.left, _scale(node.left), node.right, _scale(node.right), node.type)


def _float_quotient(node: _Node) -> _Node:
    floats = [
        each.type is not None and each.type.is_type("float") for each in node.unnest_operands()
    ]
    if not any(floats):
        return None
    changed = node.copy()  # Spark divides doubles only
    changed.set("this", exp.cast(node.left.copy(), "double"))
    return changed


def _scale(node: _Node) -> int:
    if isinstance(node.unnest(), exp.Literal):
        return len(node.unnest().name.partition(".")[2])
    return (sizes(node.type) or (0, 0))[1]


def _quotient(left: _Node, left_scale: int, right: _Node, right_scale: int, kind: _Node) -> _Node:
    precision, scale = sizes(kind) or (38, 0)
    shift = scale + right_scale - left_scale
    above = _sql(_UNSCALED.format(zeros="0" * max(shift, 0)), x=left)
    below = _sql(_UNSCALED.format(zeros="0" * max(-shift, 0)), x=right)
    return _sql(
        _QUOTIENT.format(precision=precision, scale=scale, zeros="0" * scale), n=above, d=below
    )


def _average_decimals(node: _Node) -> None:
    operand = node.this.expressions[0] if isinstance(node.this, exp.Distinct) else node.this
    if (found := sizes(operand.type)) is None:
        return
    outer = _outermost(node)
    total = _in_place_of(node, outer, exp.Sum(this=node.this.copy()))
    count = _in_place_of(node, outer, exp.Count(this=node.this.copy()))
    quotient = _quotient(total, found[1], count, 0, node.type)
    quotient.type = node.type
    outer.replace(quotient)


def _in_place_of(node: _Node, outer: _Node, call: _Node) -> _Node:
    """`outer`, with another call in it than `node`."""
    if outer is node:
        return call
    around = outer.copy()
    around.find(exp.Avg).replace(call)
    return around


# --- single functions -----------------------------------------------------------------------------

# Beyond these bounds Java writes numbers with an exponent and DuckDB does not.
_JAVA_TEXT = """CASE WHEN <x> IS NULL OR <x> = 0 OR (ABS(<x>) >= 1e-3 AND ABS(<x>) < 1e7)
    THEN CAST(<x> AS TEXT)
    ELSE ERROR('not emulated: a number of this size as text: ' || CAST(<x> AS TEXT)) END"""


def _cast(node: _Node) -> _Node:
    source = node.this.type
    if is_whole(node.to):
        if is_text(source):
            return _truncated(exp.TryCast(this=node.this.copy(), to=_WIDE), node.to)
        if is_number(source) and not is_whole(source):
            return _truncated(node.this, node.to)
    if is_text(node.to) and source is not None and source.is_type("float", "double"):
        return _sql(_JAVA_TEXT, x=node.this)
    return None


_WIDE = exp.DataType.build("decimal(38,6)")


def _truncated(value: _Node, kind: _Node) -> _Node:
    # Spark cuts off, DuckDB rounds.
    cut = exp.Anonymous(this="TRUNC", expressions=[value.copy()])
    return exp.TryCast(this=cut, to=kind.copy())


def _not_by_zero(node: _Node) -> _Node:
    changed = node.copy()
    changed.set("expression", exp.Nullif(this=node.right.copy(), expression=exp.Literal.number(0)))
    return changed


def _whole_quotient(node: _Node) -> _Node:
    if is_whole(node.left.type) and is_whole(node.right.type):
        return _sql("DIVIDE(<n>, NULLIF(<d>, 0))", n=node.left, d=node.right)
    return _sql("TRUNC(<n> / NULLIF(<d>, 0))", n=node.left, d=node.right)


def _substring(node: _Node) -> _Node:
    start = node.args.get("start")
    if start is None or (isinstance(start, exp.Literal) and start.name != "0"):
        return None
    changed = node.copy()
    # Spark begins at 1 and takes 0 for it.
    changed.set("start", _sql("CASE WHEN <n> = 0 THEN 1 ELSE <n> END", n=start))
    return changed


def _day_of_week(node: _Node) -> _Node:
    return _sql("DAYOFWEEK(<n>) + 1", n=node.this)  # Sunday is 1, not 0


def _size(node: _Node) -> _Node:
    return _sql("COALESCE(LEN(<n>), -1)", n=node.this)


def _like(node: _Node) -> _Node:
    pattern = node.expression
    has_escape = isinstance(node.parent, exp.Escape)
    if has_escape or (isinstance(pattern, exp.Literal) and "\\" not in pattern.name):
        return None
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


_CHANGES: Mapping[Any, Callable[[_Node], _Node]] = {
    exp.Div: _divided,
    exp.Mod: _not_by_zero,
    exp.IntDiv: _whole_quotient,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Substring: _substring,
    exp.DayOfWeek: _day_of_week,
    exp.ArraySize: _size,
    exp.Like: _like,
    exp.ILike: _like,
}
