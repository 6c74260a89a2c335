"""The Spark session that stands behind an export: its version, its Java and its time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = ["SPARKS", "SparkSession"]

SPARKS = ("3.3", "3.5")
"""The versions of Spark that can be followed; DLI sells 3.3."""

_FIRST_SHORTEST = 19
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True)
class SparkSession:
    """What decides how Spark writes a value, besides the value.

    Args:
        spark: `3.3` (default, as DLI's) or `3.5`. In csv and json they differ in what csv refuses:
            3.3 says so in other words, and takes binary, of which it writes a Java object's name
            (the emulator fails then, since no two runs write the same).
        jdk: the major version of Java. Up to 18 (default: 8, as DLI's) doubles and floats may have
            a digit too many, such as `9.999999999999999E22`; since 19 they are the shortest.
        time_zone: in which timestamps are written: `UTC` (default), a name such as `Asia/Shanghai`,
            or `+08:00`. A timestamp without a zone counts as UTC, as one of Parquet does. Functions
            of SQL statements go by UTC.

    Raises:
        ValueError: a version or a time zone that is not known, or a `jdk` below 8.
    """

    spark: str = "3.3"
    jdk: int = 8
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.spark not in SPARKS:
            raise ValueError(f"spark is {' or '.join(SPARKS)}, not {self.spark!r}")
        if self.jdk < 8:
            raise ValueError(f"jdk is 8 or later, not {self.jdk}")
        _ = self.zone

    @property
    def shortest_numbers(self) -> bool:
        """Whether Java writes doubles and floats with the shortest digits."""
        return self.jdk >= _FIRST_SHORTEST

    def refusal(self, column: str, spark_type: str) -> str:
        """What is said of a column that csv cannot hold."""
        if self.spark != "3.3":
            return (
                f"The CSV datasource doesn't support the column `{column}` "
                f'of the type "{spark_type.upper()}".'
            )
        return f"CSV data source does not support {spark_type} data type."

    @cached_property
    def zone(self) -> tzinfo:
        """The time zone, looked up."""
        return _zone(self.time_zone)


def _zone(name: str) -> tzinfo:
    if name in ("UTC", "Z"):
        return UTC
    if match := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"time_zone {name!r} is not known: give a name such as Asia/Shanghai, or +08:00"
        ) from None
