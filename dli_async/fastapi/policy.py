"""Who may export what: `ExportPolicy`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Self
from urllib.parse import unquote

from .._values.enums import ExportMode
from .._values.errors import ConfigurationError, DliError
from .._values.paths import normalise_path
from .._values.spec import ExportSpec

_ANY = "*"
_DEFAULT_QUEUE = "default"
_CAPITALS = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class PolicyViolation(DliError):
    """Raised when a caller asks for what the policy does not allow. Nothing was sent.

    Attributes:
        rule: the argument of `ExportPolicy` that says no, such as `data_paths`.
    """

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message)
        self.rule = rule


class ExportPolicy:
    """What callers may export, and whose exports they see.

    A rule that is not given (None) allows everything of its kind; an empty one allows nothing.

    Args:
        data_paths: folders that exports may go below, such as `obs://bucket/team`, or whole
            buckets, such as `obs://bucket`. Not to the folder itself: Overwrite of it would delete
            the exports of all. Folders are compared letter by letter and segment by
            segment, so `obs://bucket/team` does not allow `obs://bucket/team2`. Below them, a
            path that other programs might read as another one is refused too: percent-encoded or
            look-alike dots and slashes, invisible characters.
        tables: `database.table`, where `*` stands for any letters, as in `sales.*`. Upper and
            lower case ASCII letters are the same, as they are for DLI; no others are.
        queues: names of queues, in any case; `default` is the one of an export that names none.
        export_modes: such as `["ErrorIfExists"]`, which leaves what is there alone.
        queries: whether callers may export what a query gives, and results of queries (default
            False). Which tables a query reads cannot be checked: with it, `tables` holds for
            exports of whole tables only, and callers read whatever the client's login can.
        links: whether callers are given links from which the files of their exports are downloaded
            (default False). Whoever has a link may use it while it lives, and so may those to whom
            it is passed on.
        max_active: how many exports that have not ended a caller may have (default None: any
            number).
        shared: whether all callers see and cancel each other's exports (default False).
        admins: identities that see and cancel everybody's exports.

    Raises:
        ConfigurationError: no rule is given, which only `allow_all` may be, or one cannot be read.
    """

    def __init__(
        self,
        *,
        data_paths: Iterable[str] | None = None,
        tables: Iterable[str] | None = None,
        queues: Iterable[str] | None = None,
        export_modes: Iterable[str] | None = None,
        queries: bool = False,
        links: bool = False,
        max_active: int | None = None,
        shared: bool = False,
        admins: Iterable[str] = (),
    ) -> None:
        if data_paths is None and tables is None and queues is None:
            raise ConfigurationError(
                "ExportPolicy needs one of data_paths, tables and queues; "
                "ExportPolicy.allow_all() allows everything"
            )
        if max_active is not None and not (isinstance(max_active, int) and max_active > 0):
            raise ConfigurationError(f"max_active={max_active!r}: must be at least 1")
        self._queries = queries
        self.links = links
        self.max_active = max_active
        self.shared = shared
        self.admins = frozenset(_words("admins", admins) or ())
        folders = _words("data_paths", data_paths)
        names = _words("tables", tables)
        allowed = _words("queues", queues)
        self._folders = None if folders is None else [_prefix(folder) for folder in folders]
        self._tables = None if names is None else [_table(name) for name in names]
        self._queues = None if allowed is None else {_fold(name) for name in allowed}
        modes = _words("export_modes", export_modes)
        self._modes = None if modes is None else {_mode(word) for word in modes}

    @classmethod
    def allow_all(
        cls,
        *,
        export_modes: Iterable[str] | None = None,
        queries: bool = False,
        links: bool = False,
        max_active: int | None = None,
        shared: bool = False,
        admins: Iterable[str] = (),
    ) -> Self:
        """A policy that lets every caller export every table to every folder by every queue.

        Not so what queries give, unless `queries` says so; nor links, unless `links` does.
        """
        return cls(
            queues=[_ANY],
            export_modes=export_modes,
            queries=queries,
            links=links,
            max_active=max_active,
            shared=shared,
            admins=admins,
        )

    def check(self, spec: ExportSpec) -> None:
        """Looks whether an export is allowed.

        Raises:
            PolicyViolation: naming the first rule that says no.
        """
        self.check_data(spec)
        queue = spec.queue_name or _DEFAULT_QUEUE
        if self._queues is not None and _fold(queue) not in self._queues and not self._any_queue:
            _refuse("queues", f"queue {queue!r} is not an allowed one")
        if self._modes is not None and spec.export_mode not in self._modes:
            _refuse("export_modes", f"export_mode {str(spec.export_mode)!r} is not an allowed one")

    def check_data(self, spec: ExportSpec) -> None:
        """Looks whether callers may have what an export reads and where it writes.

        Files of exports that were accepted under a wider policy are not shown under a narrower one.

        Raises:
            PolicyViolation: naming the first of `data_paths`, `queries`, `tables` that says no.
        """
        if self._folders is not None and not self._allows_path(spec.data_path):
            _refuse("data_paths", f"data_path {spec.data_path!r} is not in an allowed folder")
        if spec.table is None and not self._queries:
            _refuse("queries", "only whole tables may be exported, and no queries")
        if spec.table is not None and not self._allows_table(*spec.table):
            _refuse("tables", f"table {spec.label!r} is not an allowed one")

    def sees_all(self, identity: str | None) -> bool:
        """Whether a caller sees and cancels everybody's exports."""
        return self.shared or identity is None or identity in self.admins

    @property
    def _any_queue(self) -> bool:
        return self._queues is not None and _ANY in self._queues

    def _allows_path(self, path: str) -> bool:
        if not _is_plain(path):
            return False
        # The slash keeps `obs://b/team` from allowing `obs://b/team2`.
        return any(path.startswith(folder) for folder in self._folders or ())

    def _allows_table(self, database_name: str, table_name: str) -> bool:
        database, table = _fold(database_name), _fold(table_name)
        return self._tables is None or any(
            one.fullmatch(database) and other.fullmatch(table) for one, other in self._tables
        )


def _refuse(rule: str, message: str) -> None:
    raise PolicyViolation(f"{message} (rule {rule})", rule=rule)


def _words(rule: str, given: Iterable[str] | None) -> list[str] | None:
    if given is None:
        return None
    if isinstance(given, str):
        raise ConfigurationError(f"{rule}={given!r}: must be a list of texts, not one text")
    words = list(given)
    for word in words:
        if not isinstance(word, str) or not word:
            raise ConfigurationError(f"{rule}={words!r}: must hold texts that are not empty")
    return words


def _fold(name: str) -> str:
    """A name in lower case; only ASCII has one here, since `K` (Kelvin) is not `k` to DLI."""
    return name.translate(_CAPITALS)


def _mode(word: str) -> ExportMode:
    try:
        return ExportMode(word)
    except ValueError:
        known = ", ".join(ExportMode)
        raise ConfigurationError(f"export_modes: {word!r} is none of {known}") from None


def _prefix(folder: str) -> str:
    """A rule's folder, or bucket, with the slash that ends it."""
    if folder == _ANY:
        return "obs://"
    below = folder.partition("://")[2].rstrip("/")
    whole_bucket = "/" not in below
    try:
        path = normalise_path(f"{folder.rstrip('/')}/x" if whole_bucket else folder)
    except ValueError as error:
        raise ConfigurationError(f"data_paths: {folder!r} {error}") from None
    return path.removesuffix("x") if whole_bucket else f"{path}/"


def _table(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    database, dot, table = name.partition(".")
    if name == _ANY:
        table = _ANY
    elif not (database and dot and table):
        raise ConfigurationError(f"tables: {name!r} must be database.table, as in sales.*")
    return _pattern(database), _pattern(table)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, _fold(text).split(_ANY))), re.DOTALL)


def _is_plain(path: str) -> bool:
    """Whether no program can read a path as another one than it is."""
    if any(unicodedata.category(char) == "Cf" for char in path):
        return False
    # Each reading may hide another one: `%252e` is `%2e` is a dot.
    readings = {unquote(path), unicodedata.normalize("NFKC", path)}
    readings |= {unicodedata.normalize("NFKC", unquote(unquote(path)))}
    return all(_shape(reading) == _shape(path) for reading in readings)


def _shape(path: str) -> tuple[int, int, int, list[bool]]:
    """What a reading of a path must not change: its slashes and where its dots are."""
    segments = path.split("/")
    marks = (path.count("/"), path.count("\\"), path.count(":"))
    return *marks, [segment.strip(". ") == "" for segment in segments]
