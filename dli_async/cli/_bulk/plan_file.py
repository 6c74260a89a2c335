"""Plan files: one export each, in YAML, CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..._values.errors import ConfigurationError

# Written in C where PyYAML was built so, which is ten times faster.
_YamlLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Row:
    """An export as it is asked for.

    Attributes:
        where: what an error names: file and line, or the table.
        fields: those of a spec that were given, as they were given.
    """

    where: str
    fields: dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """The exports of a plan file.

    Raises:
        ConfigurationError: it cannot be read, or is not a list of exports; names file and line.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise ConfigurationError(f"--plan {path}: must end with one of {' '.join(_READERS)}")
    try:
        # newline: line breaks inside quotes are the CSV reader's business.
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--plan {path}: {error}") from error
    return [Row(f"{path}:{line}", fields) for line, fields in read(path, text)]


_Found = Iterator[tuple[int, dict[str, Any]]]


def _read_yaml(path: Path, text: str) -> _Found:
    loader = _YamlLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.SequenceNode):
            raise _wrong(path, 1, "must be a list of exports")
        for node in root.value:
            line = node.start_mark.line + 1
            fields = _fields(path, line, loader.construct_document(node))
            if len(fields) < len(node.value):
                raise _wrong(path, line, "has a field twice")
            yield line, fields
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise _wrong(path, mark.line + 1 if mark else 1, f"is not YAML: {error}") from error
    finally:
        loader.dispose()


def _read_json_lines(path: Path, text: str) -> _Found:
    for line, part in enumerate(text.split("\n"), 1):
        if part.strip():
            try:
                fields = json.loads(part)
            except ValueError as error:
                raise _wrong(path, line, f"is not JSON: {error}") from error
            yield line, _fields(path, line, fields)


def _read_csv(path: Path, text: str) -> _Found:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [name.strip() for name in next(rows, [])]
        if len(set(names)) < len(names) or not all(names):
            raise _wrong(path, 1, f"must name each column once, not {','.join(names)}")
        line = rows.line_num + 1
        for cells in rows:
            if len(cells) > len(names) or 0 < len(cells) < len(names):
                raise _wrong(path, line, f"has {len(cells)} cells for {len(names)} columns")
            if any(cells):
                # An empty cell leaves it to the options and the defaults.
                yield line, {name: cell for name, cell in zip(names, cells, strict=True) if cell}
            line = rows.line_num + 1
    except csv.Error as error:
        raise _wrong(path, rows.line_num, f"is not CSV: {error}") from error


_READERS: dict[str, Callable[[Path, str], _Found]] = {
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
}

PLAN_FILES = tuple(_READERS)


def _fields(path: Path, line: int, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, line, f"must be an export with its fields, not {value!r}")
    return {str(name): field for name, field in value.items()}


def _wrong(path: Path, line: int, rule: str) -> ConfigurationError:
    return ConfigurationError(f"{path}:{line}: {rule}")
