"""Settings of a job, `conf` of submit-job: those that are documented (dli_02_0102)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from .errors import SqlError, unsupported

__all__ = ["KNOWN", "read_conf"]


def _whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _boolean(text: str) -> bool:
    return text.lower() in ("true", "false")


KNOWN: Mapping[str, Callable[[str], bool]] = {
    # These three have an effect here.
    "spark.sql.files.maxRecordsPerFile": _whole,
    "spark.sql.legacy.nullValueWrittenAsQuotedEmptyStringCsv": _boolean,
    "spark.sql.parquet.outputTimestampType": bool,
    # These tell Spark how to work, or are about what is not emulated; no result depends on them.
    "spark.sql.autoBroadcastJoinThreshold": _whole,
    "spark.sql.shuffle.partitions": _whole,
    "spark.sql.dynamicPartitionOverwrite.enabled": _boolean,
    "spark.sql.files.maxPartitionBytes": _whole,
    "spark.sql.badRecordsPath": bool,
    "spark.sql.legacy.correlated.scalar.query.enabled": _boolean,
    "spark.sql.optimizer.dynamicPartitionPruning.enabled": _boolean,
    "spark.gluten.enabled": _boolean,
    "dli.sql.sqlasync.enabled": _boolean,
    "dli.sql.shuffle.partitions": _whole,
}
"""The keys that are known, with what their values have to be.

`dli.sql.job.timeout` is missing: the documents contradict each other about its unit.
"""


def read_conf(given: Sequence[str]) -> dict[str, str]:
    """The settings of a request, each `key = value`.

    :raises SqlError: DLI.0001 for one that is not of this form or has a bad value, DLI.0007 for an
        unknown key, with those that are known.
    """
    return dict(map(_read, given))


def _read(line: str) -> tuple[str, str]:
    key, equals, value = (part.strip() for part in line.partition("="))
    if not (key and equals and value):
        raise SqlError("DLI.0001", f"conf must be of the form 'key = value': {line!r}")
    if key not in KNOWN:
        raise unsupported(f"the setting {key!r}", KNOWN)
    if not KNOWN[key](value):
        raise SqlError("DLI.0001", f"the setting {key} has a bad value: {value!r}")
    return key, value
