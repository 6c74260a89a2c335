"""The files of an export on OBS, what a look at them came to, and what can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .errors import DliError

_FORMATS = ("csv", "json", "parquet", "orc", "avro")
_CODECS = {"gz": "gzip", "bz2": "bzip2", "deflate": "deflate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """One file of an export.

    `size` is in bytes, `etag` without its quotes (of an object that was written in parts it is no
    MD5). `format` is `csv`, `json`, `parquet`, `orc`, `avro`, or None where the name does not
    tell; `codec` is `gzip`, `bzip2`, `deflate` or None.
    """

    bucket: str
    key: str
    size: int
    etag: str
    last_modified: str
    format: str | None
    codec: str | None

    @classmethod
    def of(cls, bucket: str, key: str, size: int, etag: str, last_modified: str) -> PartFile:
        """The part of an entry in a list."""
        endings = key.rpartition("/")[2].lower().split(".")[1:]
        codec = _CODECS.get(endings[-1]) if endings else None
        format = endings[-2 if codec else -1] if len(endings) > (codec is not None) else None
        return cls(
            bucket=bucket,
            key=key,
            size=size,
            etag=etag,
            last_modified=last_modified,
            format=format if format in _FORMATS else None,
            codec=codec,
        )

    @property
    def name(self) -> str:
        """The last segment of the key."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a look at the files of an export came to.

    Attributes:
        files: the part files, each of which was read to its end.
        size: bytes of all files.
        rows: counted rows without header lines; None where the format is neither csv nor json.
        expected_rows: what the job tells; None where it does not.
        has_success: whether `_SUCCESS` lies there. It counts only where rows cannot be compared.
        differences: what is wrong, in words; empty if nothing is.
    """

    data_path: str
    files: tuple[PartFile, ...]
    size: int
    rows: int | None
    expected_rows: int | None
    has_success: bool
    differences: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchProgress:
    """How far a fetch is; `bytes_done` counts what earlier fetches had brought too."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a fetch came to.

    Attributes:
        folder: where the files are.
        files: their paths, in the order of their names.
        size: bytes of all.
        fetched: how many of them came this time; the others were there.
    """

    folder: Path
    files: tuple[Path, ...]
    size: int
    fetched: int


OnProgress = Callable[[FetchProgress], object]


class FilesError(DliError):
    """The base of errors about the files of an export."""


class FileChanged(FilesError):
    """Raised when an object was replaced or removed while it was being read."""


class FileDamaged(FilesError):
    """Raised when a file cannot be read to its end: cut off, or no valid stream of its codec."""


class UnsafeName(FilesError):
    """Raised when the name of an object would be no safe name of a local file."""


class VerificationFailed(FilesError):
    """Raised when the files of an export are not complete.

    Attributes:
        verification: what was looked at; its `differences` say what is wrong, file by file.
    """

    def __init__(self, verification: Verification) -> None:
        self.verification = verification
        super().__init__(f"{verification.data_path}: {'; '.join(verification.differences)}")

    def __reduce__(self) -> tuple[type[VerificationFailed], tuple[Verification]]:
        return type(self), (self.verification,)
