"""The rules for an OBS folder, and the one form in which the library keeps it.

Rules: API page dli_02_0020 (folder level, comma, bucket's last dot) and the console's folder
dialog, dli_01_0010 (forbidden characters, dots at the ends of a folder name).
"""

from __future__ import annotations

import re

FORBIDDEN = '\\:*?"<>|'

# The rules below as one pattern, for whoever reads a schema rather than this page.
_NOT = r'\\:*?"<>|,/\x00-\x1f\x7f-\x9f\u2028\u2029'
_NAME = f"[^.{_NOT}](?:[^{_NOT}]*[^.{_NOT}])?"
_BUCKET = f"(?:[^.{_NOT}]+|[^{_NOT}]*\\.[^.0-9{_NOT}][^.{_NOT}]*|[^{_NOT}]*[^.{_NOT}][^{_NOT}]*\\.)"
PATTERN = f"^(?:[oO][bB][sS]|[sS]3[aA])://{_BUCKET}(?:/{_NAME})+/?$"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FORBIDDEN = re.compile(f"[{re.escape(FORBIDDEN)}]")
_SCHEMES = ("obs", "s3a")
LONGEST = 1024
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://(.*)$", re.DOTALL)


def normalise_path(text: str) -> str:
    """Returns `obs://bucket/folder` without a trailing slash.

    Raises:
        ValueError: with the broken rule in words.
    """
    match = _SCHEME.match(text)
    if match is None or match[1].lower() not in _SCHEMES:
        raise ValueError("must start with obs:// (s3a:// is accepted and sent as obs://)")
    if len(text.encode(errors="replace")) > LONGEST:
        raise ValueError(f"must not be longer than {LONGEST:,} bytes, as keys of OBS are not")
    _check_characters(text)
    bucket, _, below = match[2].partition("/")
    folders = below.removesuffix("/")
    if not folders:
        raise ValueError("must name a folder below a bucket, as in obs://bucket/folder")
    _check_bucket(bucket)
    for name in folders.split("/"):
        _check_folder(name)
    return f"obs://{bucket}/{folders}"


def same_path(one: str, other: str) -> bool:
    """Whether two spellings (scheme, trailing slash) mean the same folder."""
    return _comparable(one) == _comparable(other)


def overlap(one: str, other: str) -> bool:
    """Whether two folders are the same, or one lies in the other, so that Overwrite of one may
    delete files of the other. Segments count: `run1` and `run10` do not overlap.
    """
    first, second = f"{_comparable(one)}/", f"{_comparable(other)}/"
    return first.startswith(second) or second.startswith(first)


def folders_above(folder: str) -> list[str]:
    """The folders that a normalised one lies in, the nearest first; a bucket is none."""
    bucket, *names = folder.removeprefix("obs://").split("/")
    return [f"obs://{'/'.join([bucket, *names[:end]])}" for end in range(len(names) - 1, 0, -1)]


class FolderSet:
    """Normalised folders of which none overlaps another; looking one up takes its depth alone."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._below: dict[str, str] = {}

    def add(self, folder: str) -> str | None:
        """Takes a folder; the one that it overlaps, if there is one, which keeps it out."""
        above = folders_above(folder)
        for known in (folder, *above):
            if known in self._taken:
                return known
        if folder in self._below:
            return self._below[folder]
        self._taken.add(folder)
        self._below.update(dict.fromkeys(above, folder))
        return None


def _comparable(text: str) -> str:
    scheme, _, rest = text.partition("://")
    return (rest if scheme.lower() in _SCHEMES else text).rstrip("/")


def _check_characters(text: str) -> None:
    if "," in text:
        raise ValueError("must not hold a comma")
    if _CONTROL.search(text):
        raise ValueError("must not hold control characters, line breaks or lone surrogates")


def _check_bucket(bucket: str) -> None:
    if not bucket.strip(".") or _FORBIDDEN.search(bucket):
        raise ValueError("must name a bucket, as in obs://bucket/folder")
    _, dot, tail = bucket.rpartition(".")
    if dot and re.match("[0-9]", tail):
        raise ValueError("the last dot in a bucket's name must not be followed by a digit")


def _check_folder(name: str) -> None:
    if name in ("", ".", ".."):
        raise ValueError("must not hold an empty, `.` or `..` segment")
    if _FORBIDDEN.search(name):
        raise ValueError(f"a folder's name must not hold any of {' '.join(FORBIDDEN)}")
    if name.startswith(".") or name.endswith("."):
        raise ValueError("a folder's name must not start or end with a dot")
