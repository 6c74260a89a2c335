"""The names that Spark gives to columns of a query that have none: `sum(total)`, `(a + 1)`.

Files carry them, so where the name is not known for certain an alias is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from .errors import SqlError, unsupported

__all__ = ["column_name"]

_OPERATORS: Mapping[Any, str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.IntDiv: "div",
    exp.EQ: "=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.And: "AND",
    exp.Or: "OR",
}
_FUNCTIONS: Mapping[Any, str] = {
    exp.Sum: "sum",
    exp.Avg: "avg",
    exp.Max: "max",
    exp.Min: "min",
    exp.Abs: "abs",
    exp.Upper: "upper",
    exp.Lower: "lower",
    exp.Length: "length",
    exp.Concat: "concat",
    exp.Greatest: "greatest",
    exp.Least: "least",
}


def column_name(node: Any) -> str:
    """The name of a column that is this expression.

    :raises SqlError: DLI.0007 where Spark's name for it is not known here.
    """
    for kind, write in _WRITERS.items():
        if isinstance(node, kind):
            return write(node)
    if type(node) in _OPERATORS:
        left, right = column_name(node.left), column_name(node.right)
        return f"({left} {_OPERATORS[type(node)]} {right})"
    if type(node) in _FUNCTIONS:
        return _call(_FUNCTIONS[type(node)], node)
    raise _unknown(node)


def _unknown(node: Any) -> SqlError:
    text = node.sql("spark")
    return unsupported(f"the name that Spark gives to the column {text}; name it with AS")


def _call(name: str, node: Any) -> str:
    distinct = isinstance(node.this, exp.Distinct)
    arguments = node.this.expressions if distinct else list(_arguments(node))
    listed = ", ".join(map(column_name, arguments))
    return f"{name}({'DISTINCT ' if distinct else ''}{listed})"


def _arguments(node: Any) -> list[Any]:
    found: list[Any] = []
    for key in node.arg_types:
        value = node.args.get(key)
        if isinstance(value, list):
            found += value
        elif isinstance(value, exp.Expr):
            found.append(value)
    return found


def _count(node: Any) -> str:
    if node.this is None or isinstance(node.this, exp.Star):
        return "count(1)"
    return _call("count", exp.Count(this=node.this, expressions=node.expressions))


def _cast(node: Any) -> str:
    if isinstance(node.this, exp.Column):
        return str(node.this.name)
    if isinstance(node.this, exp.Literal) and node.this.is_string:
        raise _unknown(node)  # a literal of a type looks the same: DATE '2020-01-01'
    return f"CAST({column_name(node.this)} AS {node.to.sql('spark').replace(', ', ',')})"


def _literal(node: Any) -> str:
    text = str(node.name)
    if not node.is_string and "e" in text.lower():
        raise _unknown(node)
    return text


_WRITERS: Mapping[Any, Callable[[Any], str]] = {
    exp.Column: lambda node: str(node.name),
    exp.Literal: _literal,
    exp.Null: lambda _: "NULL",
    exp.Boolean: lambda node: "true" if node.this else "false",
    exp.Paren: lambda node: column_name(node.this),
    exp.Neg: lambda node: f"(- {column_name(node.this)})",
    exp.Not: lambda node: f"(NOT {column_name(node.this)})",
    exp.Count: _count,
    exp.Cast: _cast,
}
