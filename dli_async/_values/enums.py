"""The words of the service: closed lists of values, in their documented spelling."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self


class _Words(StrEnum):
    """Documented spellings, found in any case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        word = value.strip().casefold() if isinstance(value, str) else None
        return next((member for member in cls if member.value.casefold() == word), None)


class DataType(_Words):
    """Format of the files (dli_02_0020)."""

    CSV = "csv"
    JSON = "json"


class FileFormat(_Words):
    """Format of the files that a query writes (dli_08_0205)."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ORC = "orc"
    AVRO = "avro"


class Compress(_Words):
    """Compression of the files (dli_02_0020); `none` is a word of the API, not an absence."""

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    DEFLATE = "deflate"


class ExportMode(_Words):
    """What to do when the folder exists (dli_02_0020).

    `OVERWRITE` deletes what is in the folder.
    """

    ERROR_IF_EXISTS = "ErrorIfExists"
    OVERWRITE = "Overwrite"


class Encoding(_Words):
    """Encoding of the files of a result (dli_02_0024)."""

    UTF_8 = "utf-8"
    GB2312 = "gb2312"
    GBK = "gbk"


class JobStatus(_Words):
    """State of a job (dli_02_0021). `UNKNOWN` stands for a word that is in no document."""

    LAUNCHING = "LAUNCHING"
    RUNNING = "RUNNING"
    SCALING = "SCALING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"

    @property
    def is_terminal(self) -> bool:
        """Whether a job in this state has ended for good."""
        return self in (JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED)

    @classmethod
    def read(cls, word: Any) -> JobStatus:
        """The state that a service's word means; `FINISH` (the vendor's SDK) is FINISHED."""
        if isinstance(word, str) and word.strip().upper() == "FINISH":
            return cls.FINISHED
        return cls._missing_(word) or cls.UNKNOWN
