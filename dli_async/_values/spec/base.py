"""What all specs have in common: read strictly, so that a broken rule is told before any request.

`ExportSpec` is the interface by which the rest of the library knows what is exported: how it is
posted, how a job is recognised as its own, and what it is called.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..enums import ExportMode
from ..errors import InvalidExport, Problem
from ..paths import PATTERN, normalise_path
from ..reports import StatusReport
from .posting import KEY, Posting, tag_of

_log = logging.getLogger("dli_async.submit")

# Control characters, blanks of all kinds but the plain one, and what cannot be seen.
_UNSEEN = (
    r"\x00-\x1f\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb"
)
_NAME = f"[^ {_UNSEEN}](?:[^{_UNSEEN}]*[^ {_UNSEEN}])?"

_FILE_ENDINGS = (".csv", ".json", ".gz", ".bz2", ".deflate")


def _name(value: str) -> str:
    if not re.fullmatch(_NAME, value):
        raise ValueError("must not start or end with a blank or hold control characters")
    return value


def _folder(value: str) -> str:
    path = normalise_path(value)
    if path.lower().endswith(_FILE_ENDINGS):
        _log.warning("data_path %s looks like a file; DLI will make a folder of it", path)
    return path


Name = Annotated[
    str,
    Field(min_length=1, max_length=128, json_schema_extra={"pattern": f"^{_NAME}$"}),
    AfterValidator(_name),
]
Folder = Annotated[str, Field(json_schema_extra={"pattern": PATTERN}), AfterValidator(_folder)]


class ExportSpec(BaseModel):
    """What is to be exported: `TableExport`, `QueryExport` or `ResultExport`.

    Specs are immutable and hashable values; enumerated values are accepted in any case.

    Attributes:
        ways: how it can be posted, the one to be tried first in front.
        job_type: what its job is, as far as that can be told before it is posted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ways: ClassVar[tuple[str, ...]]
    job_type: ClassVar[str] = "EXPORT"
    # Those that may be given without their names.
    _leading: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:
        # Declared by each spec itself, in the order of its API page.
        @property
        def data_path(self) -> str: ...
        @property
        def data_type(self) -> str: ...
        @property
        def compress(self) -> str | None: ...
        @property
        def with_column_header(self) -> bool: ...
        @property
        def queue_name(self) -> str | None: ...
        @property
        def export_mode(self) -> ExportMode: ...

    else:

        def __init__(self, *leading: Any, **fields: Any) -> None:
            given = dict(zip(self._leading, leading, strict=False))
            if len(leading) > len(self._leading) or given.keys() & fields.keys():
                raise TypeError(f"{type(self).__name__}: give each field once, by its name")
            with _rules_named(type(self)):
                super().__init__(**given, **fields)

        # Where pydantic validates on behalf of somebody else (a FastAPI body), its own errors
        # must come through, so it may not go through the constructor above.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Reads a mapping as the constructor does, with the same errors."""
        with _rules_named(cls):
            return super().model_validate(obj, **options)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Reads JSON text as the constructor does, with the same errors."""
        with _rules_named(cls):
            return super().model_validate_json(json_data, **options)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced, checked like a new spec, unlike pydantic's own."""
        return type(self).model_validate(self.model_dump() | dict(update or {}))

    @property
    def label(self) -> str:
        """A short name for logs and tables."""
        raise NotImplementedError

    @property
    def table(self) -> tuple[str, str] | None:
        """Database and table, where it is one table as a whole that is exported; else None."""
        return None

    def posting(self, way: str, key: str) -> Posting:
        """How it is posted by one of its `ways`, and how its job is known again.

        Args:
            key: the id of this export, which its job carries where the service takes it.

        Raises:
            InvalidExport: it cannot be posted so.
        """
        raise NotImplementedError

    def other_export(self, report: StatusReport, key: str | None) -> str | None:
        """What a report is about that cannot be about this export; None if it may well be.

        Args:
            key: the id with which it was posted, as far as that is known.
        """
        tag = tag_of(report.tags)
        return None if key is None or tag in (None, key) else f"another export ({KEY} {tag})"

    def __str__(self) -> str:
        return f"{self.label} to {self.data_path}"


@contextmanager
def _rules_named(spec: type[ExportSpec]) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise InvalidExport([_problem(spec, item) for item in error.errors()]) from None


def _problem(spec: type[ExportSpec], item: Any) -> Problem:
    field = ".".join(str(part) for part in item["loc"]) or "spec"
    given = None if item["type"] == "missing" else item["input"]
    return Problem(field, given, _rule(spec, item))


def _rule(spec: type[ExportSpec], item: Any) -> str:
    match item["type"]:
        case "missing":
            return "must be given"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must not be longer than {item['ctx']['max_length']} characters"
        case "enum":
            return f"must be one of {item['ctx']['expected']}"
        case "extra_forbidden":
            return f"is not a field of an export; the fields are {', '.join(spec.model_fields)}"
        case "value_error":
            return str(item["ctx"]["error"])
    return str(item["msg"])
