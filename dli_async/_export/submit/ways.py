"""By which way exports are posted: what was asked for, and what the service still offers."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from ..._values.errors import ApiError, ConfigurationError, DliError, FolderExists
from ..._values.events import Emitter, ExportTableGone
from ..._values.spec import ExportSpec, Posting
from ..._values.spec.posting import EXPORT_TABLE, SQL

_log = logging.getLogger("dli_async.submit")

FolderCheck = Callable[[str], Awaitable[bool]]
"""Eyes on OBS: an async callable from a folder, `obs://bucket/folder`, to whether it exists.

A folder exists if it holds any object, or a marker of its own.
"""

# The call itself, in the words of DLI; and what a refusal of one request is about.
_CALL = re.compile(
    r"export[-_ ]?table|\b(this|the) (api|interface|operation)\b|^\W*operation\b", re.IGNORECASE
)
_THINGS = ("managed", "view", "external", "type", "queue", "compress", "engine", "format", "mode")

TABLE_EXPORTS = ("auto", EXPORT_TABLE, SQL)


class Ways:
    """The ways of one client.

    Args:
        table_exports: how a whole table is exported: `export-table`, `sql`, or `auto`, which goes
            by export-table until the service says that this call is gone.
        folder_check: eyes on OBS, for ErrorIfExists where the service does not look.

    Raises:
        ConfigurationError: a value breaks a rule.
    """

    def __init__(self, table_exports: str, folder_check: FolderCheck, emit: Emitter) -> None:
        if table_exports not in TABLE_EXPORTS:
            known = ", ".join(TABLE_EXPORTS)
            raise ConfigurationError(f"table_exports={table_exports!r}: must be one of {known}")
        if not callable(folder_check):
            raise ConfigurationError(f"folder_check={folder_check!r}: must be an async function")
        self._left_out = {EXPORT_TABLE} if table_exports == SQL else set[str]()
        self._learns = table_exports == "auto"
        self._folder_check = folder_check
        self._emit = emit

    def way_of(self, spec: ExportSpec) -> str:
        """The way by which a spec is posted now."""
        return next((way for way in spec.ways if way not in self._left_out), spec.ways[-1])

    def learns_from(self, spec: ExportSpec, way: str, error: DliError) -> bool:
        """Whether a refusal says that a way is gone, and there is another one from now on."""
        if not (self._learns and way == EXPORT_TABLE and _says_gone(spec, error)):
            return False
        if way not in self._left_out:
            self._left_out.add(way)
            _log.warning("export-table is gone (%s); table exports go by SQL from now on", error)
            self._emit(ExportTableGone(spec=spec, error=str(error)))
        return self.way_of(spec) != way

    async def check_folder(self, spec: ExportSpec, posting: Posting) -> None:
        """Sees to ErrorIfExists, where the service leaves that to the client.

        Raises:
            FolderExists: the folder exists.
            ConfigurationError: there are no eyes to see it with.
        """
        if not posting.checks_folder:
            return
        try:
            exists = await self._folder_check(spec.data_path)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{spec}: SQL always overwrites, so that ErrorIfExists takes eyes on OBS, and "
                f"{error}; else give the client a folder_check, or the export "
                "export_mode='Overwrite' if what the folder holds may go"
            ) from error
        if not isinstance(exists, bool):
            raise ConfigurationError(f"folder_check returned {exists!r}: must be True or False")
        if exists:
            raise FolderExists(spec.data_path)


def _says_gone(spec: ExportSpec, error: DliError) -> bool:
    """The call is unknown to the gateway, or unsupported by DLI.

    DLI says of a single request too that it is unsupported. Then its words name the table, its kind
    or an option, and another request may well be carried out.
    """
    if not isinstance(error, ApiError):
        return False
    code = error.error_code.replace("APIG.", "APIGW.", 1)
    if code == "DLI.0007":
        words = _CALL.sub(" ", error.error_msg)
        return not any(_has_word(words, word) for word in (*(spec.table or ()), *_THINGS))
    return error.status_code == 404 and code == "APIGW.0101"


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None
