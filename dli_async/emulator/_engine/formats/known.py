"""Finds the format that a statement names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..sql.errors import unsupported
from .avro import AvroFormat
from .columnar import OrcFormat, ParquetFormat
from .sinks import Format
from .text import CsvFormat, JsonFormat

__all__ = ["read_format"]

_Read = Callable[[Mapping[str, str], Mapping[str, str]], Format]

_FORMATS: Mapping[str, _Read] = {
    "csv": CsvFormat.read,
    "json": JsonFormat.read,
    "parquet": ParquetFormat.read,
    "orc": OrcFormat.read,
    "avro": AvroFormat.read,
}


def read_format(name: str, options: Mapping[str, str], conf: Mapping[str, str]) -> Format:
    """The format with its options.

    :param conf: settings of the job, some of which are defaults of a format.
    :raises SqlError: DLI.0007 for a format, option or value that is not emulated, with those that
        are; DLI.0999 for what Spark itself finds out only when the job runs.
    """
    if name not in _FORMATS:
        raise unsupported(f"the format {name}", _FORMATS)
    return _FORMATS[name](options, conf)
