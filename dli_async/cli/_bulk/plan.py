"""The plan of a bulk run: which tables go to which folders, on which date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Any

from ..._journal.entries import ExportState, JournalEntry
from ..._values.errors import ConfigurationError, InvalidExport, Problem
from ..._values.paths import FolderSet
from ..._values.spec import ExportSpec, read_spec
from .._shell.export_options import FilesOptions
from .plan_file import Row

PLACEHOLDERS = ("date", "database", "table")

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SHOWN = 5  # problems at most in one line


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The exports of a run, checked, each with a folder of its own.

    Attributes:
        specs: the exports, in order.
        date: what `{date}` stands for.
        resumes: whether the date is that of a run which the journal holds.
        known: states of those exports that the journal knows, by `data_path`.
        left_alone: how many unended exports of the journal are not among them.
    """

    specs: list[ExportSpec]
    date: str
    resumes: bool
    known: dict[str, ExportState]
    left_alone: int


def make_plan(
    rows: Sequence[Row],
    defaults: Mapping[str, Any],
    *,
    date: str | None,
    entries: Iterable[JournalEntry] = (),
    landed: FilesOptions = FilesOptions(),  # noqa: B008 - it is frozen
) -> Plan:
    """Makes the plan of what is asked for.

    Args:
        rows: the exports.
        defaults: fields that a row need not have.
        date: what `{date}` stands for; None takes the date of the run that the journal holds, so
            that a run which is resumed the next day goes on in its folders, and else today.
        entries: what the journal holds.
        landed: what is wanted of the files; while that is not done, a run is not complete.

    Raises:
        ConfigurationError: there is nothing to export, an export breaks a rule, or two of them
            have folders that overlap; or the journal's run is of another day, and complete.
    """
    if not rows:
        raise ConfigurationError(
            "nothing to export: no MANAGED table matches, or the plan is empty"
        )
    latest = {entry.data_path: entry for entry in entries}  # of several attempts, the last
    known = {path: entry.state for path, entry in latest.items()}
    today = datetime.now().astimezone().date().isoformat()
    begun = None if date else _begun(rows, defaults, known)
    specs = _specs(rows, defaults, date or begun or today)
    paths = {spec.data_path for spec in specs}
    if begun not in (None, today):
        _refuse_complete(begun, all(_is_done(latest.get(path), landed) for path in paths))
    return Plan(
        specs=specs,
        date=date or begun or today,
        resumes=begun is not None,
        known={path: state for path, state in known.items() if path in paths},
        left_alone=sum(not state.is_end and path not in paths for path, state in known.items()),
    )


def check_template(text: str) -> None:
    """Checks the placeholders of a folder.

    Raises:
        ValueError: with the broken rule in words.
    """
    known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise ValueError(f"{error}; the placeholders are {known}") from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            word = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ValueError(f"there is no placeholder {{{word}}}; there are {known}")


def _begun(
    rows: Sequence[Row], defaults: Mapping[str, Any], known: Mapping[str, ExportState]
) -> str | None:
    """The date with which the exports have the folders that the journal has; None if none has."""
    if not any("{date}" in str(_merged(row, defaults).get("data_path")) for row in rows):
        return None
    tried = set()
    for path in reversed(list(known)):
        for date in _DATE.findall(path):
            if date not in tried:
                tried.add(date)
                if any(spec.data_path in known for spec in _specs(rows, defaults, date)):
                    return str(date)
    return None


def _is_done(entry: JournalEntry | None, landed: FilesOptions) -> bool:
    if entry is None or entry.state is not ExportState.FINISHED:
        return False
    return not entry.lacks(verify=landed.verify, fetch=landed.fetch)


def _refuse_complete(date: str | None, complete: bool) -> None:
    """A nightly run that is given last night's journal must not pass for a run of today."""
    if complete:
        raise ConfigurationError(
            f"the journal holds the run of {date}, which is complete; for a run of today give "
            f"another --journal, and --date to say which date is meant"
        )


def _shared(path: str, other: str, owner: str) -> Problem:
    has = "this folder too" if path == other else f"{other!r}, around this folder or in it"
    rule = f"{owner} has {has}; each export needs its own, as with {{table}}"
    return Problem("data_path", path, rule)


def _specs(rows: Sequence[Row], defaults: Mapping[str, Any], date: str) -> list[ExportSpec]:
    specs: list[ExportSpec] = []
    problems: list[str] = []
    folders, owners = FolderSet(), dict[str, str]()
    for row in rows:
        try:
            spec = _spec(_merged(row, defaults), date)
            other = folders.add(spec.data_path)
            if other is not None:
                raise InvalidExport([_shared(spec.data_path, other, owners[other])])
            owners[spec.data_path] = row.where
            specs.append(spec)
        except InvalidExport as error:
            problems.append(f"{row.where}: {error}")
    if problems:
        more = len(problems) - _SHOWN
        rest = [f"and {more} more"] if more > 0 else []
        raise ConfigurationError("; ".join([*problems[:_SHOWN], *rest]))
    return specs


def _merged(row: Row, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {**defaults, **row.fields}


class _Placeholders(dict[str, Any]):
    """What a folder's placeholders stand for in one export."""

    def __init__(self, fields: Mapping[str, Any], date: str) -> None:
        known = {name: fields.get(f"{name}_name") for name in ("database", "table")}
        super().__init__({name: value for name, value in known.items() if value}, date=date)

    def __missing__(self, name: str) -> str:
        rule = f"{{{name}}} stands for nothing in an export without {name}_name"
        raise InvalidExport([Problem("data_path", f"{{{name}}}", rule)])


def _spec(fields: dict[str, Any], date: str) -> ExportSpec:
    path = fields.get("data_path")
    if isinstance(path, str):
        try:
            check_template(path)
        except ValueError as error:
            raise InvalidExport([Problem("data_path", path, str(error))]) from None
        fields["data_path"] = path.format_map(_Placeholders(fields, date))
    return read_spec(fields)
