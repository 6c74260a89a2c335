"""How an export is posted, and how its job is known again: its identity at the service.

Where the service takes a key with a submit, a lost answer is settled by that key: as a tag of the
job, or else in a comment of its statement. Where it takes none, table and folder are compared.
A service that refuses a second submit with the same key by itself (as the vendor's newer one does
by `X-Client-Token`) would be one more posting, whose POST may be repeated without a look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..errors import InvalidExport, Problem
from ..reports import JobRow, Tag

KEY = "dli_async"
"""The key of the tag, and the first word of the comment, that carry the id of an export."""

EXPORT_TABLE, SQL, EXPORT_RESULT = "export-table", "sql", "export-result"
"""The ways to post an export."""

_COMMENT = re.compile(rf"/\* {KEY} ([0-9A-Za-z._-]+) \*/")


class Claim(Enum):
    """Whether a row of the job list shows the job of an export."""

    OURS = "ours"
    OF_OTHERS = "of others"
    BY_FOLDER = "by folder"  # only its detail tells, by the folder that it writes to


@dataclass(frozen=True, kw_only=True)
class Posting:
    """One way in which one export is posted.

    Attributes:
        way: one of the words above.
        route: the path below the endpoint, with placeholders for the project and for `names`.
        body: the JSON that is sent.
        job_type: of the job that it becomes, as far as the documents tell.
        listed_as: the type of jobs, or `ALL`, among which a look finds it for certain.
        checks_folder: whether the service leaves it to the client to see to ErrorIfExists.
    """

    way: str
    route: str
    body: Mapping[str, Any]
    job_type: str
    names: Mapping[str, str] = field(default_factory=dict)
    listed_as: str = "EXPORT"
    checks_folder: bool = False

    @property
    def tag(self) -> str | None:
        """The id that its job is tagged with, by which lists can be narrowed; None without one."""
        return None

    def claim(self, row: JobRow) -> Claim:
        """Whether a job is the one that this made."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TablePosting(Posting):
    """By export-table, which knows no key: table and folder have to do."""

    table: tuple[str, str]

    def claim(self, row: JobRow) -> Claim:
        """By the names of database and table, where they are told; then by the folder."""
        told = (row.database_name, row.table_name)
        pairs = zip(told, self.table, strict=True)
        is_export = _may_be(row.job_type, self.job_type) and tag_of(row.tags) is None
        fits = is_export and all(_may_be(name, wanted) for name, wanted in pairs)
        return Claim.BY_FOLDER if fits else Claim.OF_OTHERS


@dataclass(frozen=True, kw_only=True)
class ResultPosting(Posting):
    """By export-result, which knows no key; the folder has to do."""

    def claim(self, row: JobRow) -> Claim:
        """By the folder, of each EXPORT job that is not known to be of something else."""
        is_of_others = tag_of(row.tags) is not None or bool(row.table_name)
        fits = _may_be(row.job_type, self.job_type) and not is_of_others
        return Claim.BY_FOLDER if fits else Claim.OF_OTHERS


@dataclass(frozen=True, kw_only=True)
class SqlPosting(Posting):
    """By submit-job: the key is a tag of the job, and stands in a comment of its statement.

    Attributes:
        target: the words of the statement that name the folder.
    """

    key: str
    target: str

    @property
    def tag(self) -> str | None:
        """The key."""
        return self.key

    def claim(self, row: JobRow) -> Claim:
        """By tag; by comment where there is no tag; by folder where there is neither."""
        tag = tag_of(row.tags)
        # An option may look like a comment of ours.
        told = _COMMENT.findall(row.statement or "") if tag is None else [tag]
        if told:
            return Claim.OURS if self.key in told else Claim.OF_OTHERS
        if row.statement:
            return Claim.OURS if self.target in row.statement else Claim.OF_OTHERS
        return Claim.BY_FOLDER if _may_be(row.job_type, self.job_type) else Claim.OF_OTHERS


def comment(key: str) -> str:
    """The comment that carries the id of an export.

    Raises:
        InvalidExport: the id would end the comment, or hold what no tag may.
    """
    text = f"/* {KEY} {key} */"
    if len(key) > 255 or not _COMMENT.fullmatch(text):
        raise InvalidExport([Problem("export_id", key, "must be letters, digits, `.`, `_`, `-`")])
    return text


def tag_of(tags: Sequence[Tag] | None) -> str | None:
    """The id of an export among the tags of its job; the service's own filter is fuzzy."""
    return next((tag.value for tag in tags or () if tag.key == KEY), None)


def _may_be(said: str | None, wanted: str) -> bool:
    return not said or said.casefold() == wanted.casefold()
