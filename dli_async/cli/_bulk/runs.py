"""`dli-async runs`: what a journal holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Group

from ..._journal.entries import ExportState, JournalEntry
from ..._journal.journal import JournalReader
from .._shell.failures import Exit
from .._shell.output import Output, cell, counted, plain_table
from .._shell.run import run
from .stats import size_text

_COLUMNS = ("table", "state", "attempt", "job_id", "duration", "rows", "size")


def runs(output: Output, path: Path, states: Sequence[ExportState]) -> Exit:
    """Lists the exports of a journal, which may be in use."""

    async def work() -> Exit:
        entries = await JournalReader(path).entries(states=states)
        totals = _totals(entries)
        exports = [entry.as_dict() for entry in entries]
        output.result({"exports": exports, "totals": totals}, _text(entries, totals))
        return Exit.FINISHED

    return run(output, work)


def _totals(entries: Sequence[JournalEntry]) -> dict[str, Any]:
    counts = {str(state): 0 for state in ExportState}
    for entry in entries:
        counts[entry.state] += 1
    return {
        "exports": len(entries),
        **counts,
        "verified": sum(entry.verified_at is not None for entry in entries),
        "fetched": sum(entry.fetched_at is not None for entry in entries),
        "incomplete": sum(entry.files_error is not None for entry in entries),
        "row_count": sum(entry.row_count or 0 for entry in entries),
        "input_size": sum(entry.input_size or 0 for entry in entries),
        "duration": round(sum(entry.duration or 0.0 for entry in entries), 3),
        "created_at": min((entry.created_at for entry in entries), default=None),
        "ended_at": max((entry.ended_at for entry in entries if entry.ended_at), default=None),
    }


def _files(entry: JournalEntry) -> str:
    """What was done with the files, in words; "" if nothing was."""
    words = ["verified"] if entry.verified_at else []
    words += ["fetched"] if entry.fetched_at else []
    words += ["not verified"] if entry.verify_error else []
    words += ["not fetched"] if entry.fetch_error else []
    return ", ".join(words)


def _text(entries: Sequence[JournalEntry], totals: dict[str, Any]) -> Group:
    # Most runs have no attempt in a folder of its own, and a column of dashes tells nothing.
    moved = any(entry.folder != entry.data_path for entry in entries)
    landed = any(_files(entry) for entry in entries)
    more = [name for name, shown in (("files", landed), ("folder", moved)) if shown]
    table = plain_table(*_COLUMNS, *more, "error")
    for column in table.columns[4:7]:
        column.justify = "right"
    for entry in entries:
        table.add_row(
            entry.label,
            entry.state,
            str(entry.attempt),
            cell(entry.job_id),
            cell(None if entry.duration is None else timedelta(seconds=entry.duration)),
            "-" if entry.row_count is None else f"{entry.row_count:,}",
            "-" if entry.input_size is None else size_text(entry.input_size),
            *([_files(entry) or "-"] if landed else []),
            *([entry.folder] if moved else []),
            cell(entry.error or entry.files_error),
        )
    counts = ", ".join(f"{totals[state]:,} {state}" for state in ExportState if totals[state])
    amounts = f"{counted(totals['row_count'], 'row')}, {size_text(totals['input_size'])}"
    return Group(table, "", f"{counted(len(entries), 'export')}: {counts or 'none'}; {amounts}")
