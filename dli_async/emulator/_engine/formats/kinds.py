"""Types of columns, taken apart for formats that carry types: what each side calls them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .. import spark as _spark
from ..session import SparkSession

__all__ = ["Field", "Kind", "kind_of"]


@dataclass(frozen=True)
class Kind:
    """A type: `array` has one field, `map` two (key and value), `struct` its own."""

    name: str
    """Spark's: `int`, `decimal`, `array`, ..."""
    cast: str
    """The DuckDB type to fetch."""
    fields: tuple[Field, ...] = ()
    precision: int = 0
    scale: int = 0

    def as_json(self) -> Any:
        """As Spark notes it in the footer of its own Parquet files."""
        if self.name == "array":
            return {
                "type": "array",
                "elementType": self.fields[0].kind.as_json(),
                "containsNull": True,
            }
        if self.name == "map":
            key, value = (field.kind.as_json() for field in self.fields)
            return {"type": "map", "keyType": key, "valueType": value, "valueContainsNull": True}
        if self.name == "struct":
            return {"type": "struct", "fields": [field.as_json() for field in self.fields]}
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return _JSON_NAMES.get(self.name, self.name)


@dataclass(frozen=True)
class Field:
    """A column, or a part of one."""

    name: str
    kind: Kind

    def as_json(self) -> Any:
        """See :meth:`Kind.as_json`."""
        return {
            "name": self.name,
            "type": self.kind.as_json(),
            "nullable": True,
            "metadata": {},
        }


_JSON_NAMES = {"tinyint": "byte", "smallint": "short", "int": "integer", "bigint": "long"}
_CASTS = {
    **{name: name.upper() for name in ("boolean", "tinyint", "smallint", "int", "bigint")},
    **{name: name.upper() for name in ("float", "double", "date", "timestamp")},
    "binary": "BLOB",
    "string": "VARCHAR",
}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


# Types are the same in all of them.
_ANY_SESSION = SparkSession()


def kind_of(duck: Any) -> Kind:
    """The kind of a DuckDB type; what Spark does not know is a string, as in text files."""
    if duck.id in ("list", "array"):
        item = kind_of(duck.children[0][1])
        return Kind("array", f"{item.cast}[]", (Field("element", item),))
    if duck.id == "map":
        key, value = (kind_of(child) for _, child in duck.children)
        both = (Field("key", key), Field("value", value))
        return Kind("map", f"MAP({key.cast}, {value.cast})", both)
    if duck.id == "struct":
        fields = tuple(Field(name, kind_of(child)) for name, child in duck.children)
        casts = [f"{_spark.identifier(field.name)} {field.kind.cast}" for field in fields]
        return Kind("struct", f"STRUCT({', '.join(casts)})", fields)
    return _simple(_spark.cell(duck, _ANY_SESSION).type)


def _simple(name: str) -> Kind:
    if match := _DECIMAL.fullmatch(name):
        return Kind("decimal", name.upper(), (), int(match[1]), int(match[2]))
    return Kind(name, _CASTS[name])
