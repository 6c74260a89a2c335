"""Reads the body of an export-table call as strictly as the documents allow.

This is the emulator's own judgement (dli_02_0020, dli_01_0010); it shares nothing with the
client's checks, so that one can find the other's mistakes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .bodies import parse_json
from .calls import Call
from .fields import check_fields, check_path, flag, read_json, text, word

Tags = tuple[tuple[str, str], ...]

_REQUIRED = ("data_path", "data_type", "database_name", "table_name", "compress")
_WORDS = {
    "data_type": ("csv", "json"),
    "compress": ("gzip", "bzip2", "deflate", "none"),
    "export_mode": ("ErrorIfExists", "Overwrite"),
}
_DEFAULTS = {"queue_name": "default", "export_mode": "ErrorIfExists", "with_column_header": False}
_FIELDS = (*_REQUIRED, *_DEFAULTS)


class Asked:
    """What a job was asked for: what the job table, lists and the ledger want to know of it."""

    __slots__ = ()

    job_type: str
    queue_name: str
    statement: str
    """The SQL; empty for a job that has none."""
    tags: Tags
    """Keys and values, in order."""

    @property
    def folder(self) -> str:
        """Where it writes, in one spelling for comparisons; empty if it writes nothing."""
        raise NotImplementedError

    @property
    def overwrites(self) -> bool:
        """Whether an existing folder is replaced rather than an error."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """What a fault's glob may match."""
        raise NotImplementedError

    @property
    def table(self) -> tuple[str, str]:
        """Database and table, where the documents show them; empty elsewhere."""
        return ("", "")

    def fields(self) -> dict[str, Any]:
        """What the ledger shows."""
        raise NotImplementedError

    def accepted(self, job_id: str, at: float) -> Asked:
        """The same once it is a job, for what depends on its id and time."""
        return self


@dataclass(frozen=True, slots=True)
class Spec(Asked):
    """The eight fields of an export, every default filled in, words in documented spelling."""

    data_path: str
    data_type: str
    database_name: str
    table_name: str
    compress: str
    queue_name: str
    export_mode: str
    with_column_header: bool

    job_type = "EXPORT"
    statement = ""  # an export is no SQL, so there is nothing to quote (guess)
    tags = ()

    @property
    def folder(self) -> str:
        """See :class:`Asked`."""
        return folder_of(self.data_path)

    @property
    def table(self) -> tuple[str, str]:
        """See :class:`Asked`."""
        return (self.database_name, self.table_name)

    @property
    def overwrites(self) -> bool:
        """See :class:`Asked`."""
        return self.export_mode == "Overwrite"

    @property
    def names(self) -> tuple[str, ...]:
        """What a glob may match: the table in both forms, and the path."""
        table = f"{self.database_name}.{self.table_name}"
        return (table, self.table_name, self.data_path, self.folder)

    def fields(self) -> dict[str, Any]:
        """The eight fields as the request has them."""
        return asdict(self)


def folder_of(path: str) -> str:
    """A path in one spelling, for comparisons: scheme and a trailing slash do not count."""
    return "obs://" + path.partition("://")[2].rstrip("/")


def read_spec(call: Call) -> Spec:
    """The spec in a call's body.

    Raises:
        Refused: with DLI.0001 for a missing or bad field, or a path that breaks a rule.
    """
    fields: dict[str, Any] = _DEFAULTS | read_json(call)
    check_fields(fields, _FIELDS, _REQUIRED)
    for name in fields:
        if name in _WORDS:
            fields[name] = word(name, fields[name], _WORDS[name])
        else:
            read = flag if name == "with_column_header" else text
            fields[name] = read(name, fields[name])
    check_path(fields["data_path"])
    # Queue names are stored in lower case (dli_02_0194).
    return Spec(**{**fields, "queue_name": fields["queue_name"].lower()})


def peek_names(body: bytes) -> tuple[str, ...]:
    """What a fault's glob may match in a body that nobody has checked yet."""
    try:
        fields = parse_json(body)
        table, path = fields["table_name"], fields["data_path"]
        return (f"{fields['database_name']}.{table}", table, path, path.rstrip("/"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return ()
