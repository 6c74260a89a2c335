"""What a command prints: results on stdout, everything else on stderr.

With `--json`, stdout gets exactly one JSON document: an object, or an array for lists. Moments are
in ISO 8601 and UTC, durations in seconds, sizes in bytes.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from pydantic import BaseModel
from rich.console import Console, RenderableType
from rich.table import Table

from .failures import Exit, Failure, one_line
from .option_groups import OptionGroup

_WIDE = 10_000  # a table that is piped into a file is never cut


class Output(OptionGroup):
    """Where one run of a command prints, and in which form."""

    def __init__(
        self,
        as_json: Annotated[
            bool,
            typer.Option(
                "--json",
                help="Print one JSON document on stdout (an array for lists), also for errors, and "
                "everything else on stderr. Moments are in ISO 8601, durations in seconds, sizes "
                "in bytes.",
            ),
        ] = False,
    ) -> None:
        self.as_json = as_json
        self._out = Console(
            file=sys.stdout,
            highlight=False,
            markup=False,
            width=None if sys.stdout.isatty() else _WIDE,
        )
        self.err = Console(file=sys.stderr, highlight=False, markup=False)

    def result(self, document: Any, text: RenderableType) -> None:
        """The result of the command: `document` with `--json`, else `text`."""
        shown = json.dumps(jsonable(document)) if self.as_json else self._render(text)
        with _reader_may_leave():
            self._out.file.write(shown.rstrip("\n") + "\n")
            self._out.file.flush()

    def _render(self, text: RenderableType) -> str:
        if isinstance(text, str):
            return text
        with self._out.capture() as captured:
            self._out.print(text)
        # Cells are padded, and blanks at the end of a line are in the way of whoever reads it.
        return "\n".join(line.rstrip() for line in captured.get().splitlines())

    def note(self, text: str) -> None:
        """A line on the way."""
        self.err.print(one_line(text), soft_wrap=True)

    def fail(self, failure: Failure) -> Exit:
        """The line, and with `--json` the document, of a failure; returns its exit code."""
        if self.as_json:
            self.result(failure.document(), "")
        return self.complain(failure)

    def complain(self, failure: Failure) -> Exit:
        """Only the line of a failure; returns its exit code."""
        self.note(f"dli-async: error: {failure.message}")
        return failure.code

    @contextmanager
    def log(self) -> Iterator[None]:
        """Shows the library's warnings, and more with `-v`, on stderr."""
        logger = logging.getLogger("dli_async")
        handler = _Handler(self)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.note(f"{record.levelname.lower()}: {record.getMessage()}")
        if record.exc_info:
            self._output.err.print(logging.Formatter().formatException(record.exc_info))


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Lets `dli-async jobs | head` end quietly."""
    try:
        yield
    except BrokenPipeError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


def jsonable(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, BaseModel):
        return jsonable(dict(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Path) else value


def rows_table(rows: Iterable[BaseModel], columns: Sequence[str]) -> Table:
    """Rows of the service under their fields' names."""
    table = plain_table(*columns)
    for row in rows:
        table.add_row(*(cell(getattr(row, name)) for name in columns))
    return table


def plain_table(*columns: str) -> Table:
    """An empty table without lines, easy on the eye and on `awk`."""
    table = Table(*columns, box=None, pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    return table


def fields_text(value: BaseModel | Mapping[str, Any]) -> str:
    """One `name: value` a line; what is unknown is left out."""
    pairs = dict(value).items()
    width = max(len(name) for name, _ in pairs) + 1
    shown = [(name, cell(item)) for name, item in pairs if item not in (None, "", ())]
    return "\n".join(f"{name + ':':{width}} {text}" for name, text in shown)


class _OfTable(Protocol):
    @property
    def database_name(self) -> str: ...
    @property
    def table_name(self) -> str: ...


def table_of(export: _OfTable) -> str:
    """Database and table of an export, as commands take and show them."""
    return f"{export.database_name}.{export.table_name}"


def counted(count: int, noun: str) -> str:
    """A number and what it counts: `1 export`, `2,000 exports`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def are(count: int) -> str:
    """The verb that goes with a number."""
    return "is" if count == 1 else "are"


def cell(value: Any) -> str:
    """A value for people."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone().isoformat(sep=" ", timespec="seconds")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.1f} s"
    return one_line(str(value))
