"""What lies in the folder of an export, told by names: part files, marks, leftovers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .._values.files import PartFile

SUCCESS = "_SUCCESS"
TEMPORARY = "_temporary/"

_NUMBER = re.compile(r"part-(\d{5,})")


@dataclass(frozen=True, slots=True)
class Folder:
    """`obs://bucket/a/b` as OBS knows it; `prefix` ends with a slash."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, data_path: str) -> Folder:
        """The folder of a path that was checked."""
        bucket, _, folder = data_path.removeprefix("obs://").partition("/")
        return cls(bucket, f"{folder}/")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds beside its part files: the mark of success, leftovers of a writer."""

    parts: tuple[PartFile, ...]
    has_success: bool
    has_temporary: bool


def contents_of(folder: Folder, objects: list[PartFile], folders: list[str]) -> Contents:
    """Sorts a listing: parts, marks and leftovers."""
    names = {item.name for item in objects}
    parts = [item for item in objects if item.name and not item.name.startswith(("_", "."))]
    return Contents(tuple(parts), SUCCESS in names, f"{folder.prefix}{TEMPORARY}" in folders)


def missing_numbers(parts: tuple[PartFile, ...]) -> list[str]:
    """The `part-00001` that lie between the first number and the last, and are not there."""
    numbers = {int(match[1]) for part in parts if (match := _NUMBER.match(part.name))}
    gaps = set(range(max(numbers, default=-1) + 1)) - numbers
    return [f"part-{number:05d}" for number in sorted(gaps)]


def said_of(part: PartFile, error: Exception) -> str:
    """What is wrong with a part, with its name."""
    said = str(error)
    return said if said.startswith(part.name) else f"{part.name} {said}"
