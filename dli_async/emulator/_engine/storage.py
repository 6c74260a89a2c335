"""The tables and the folder that stands for OBS."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from .engine import DuckEngine, Engine, NullEngine
from .obs import ObsStore
from .session import SparkSession
from .sql.duck import DuckSql
from .sql.imagined import NullSql
from .sql.plan import SqlEngine


class Storage:
    """Owns the engine and the obs folder; neither is opened before it is used.

    An engine that was passed in without a folder is taken to write no files: `obs` is None. `sql`
    runs statements; it is None for an engine of somebody's own.
    """

    def __init__(
        self,
        engine: Engine | None,
        obs_dir: Path | str | None,
        database: Path | str | None,
        seed: int,
        session: SparkSession,
    ) -> None:
        self._temporary: weakref.finalize[..., Storage] | None = None
        self.obs = None if obs_dir is None else ObsStore(Path(obs_dir))
        if engine is None:
            self.obs = self.obs or ObsStore(self._make_temporary())
            engine = _duck(self.obs, database, seed, session)
        self.engine = engine
        self.sql = _sql(engine)

    def _make_temporary(self) -> Path:
        folder = tempfile.mkdtemp(prefix="dli-emulator-")
        self._temporary = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def forget_results(self) -> None:
        """Drops the results of queries."""
        if self.sql is not None:
            self.sql.forget()

    def clear(self) -> None:
        """Removes what exports have written, and nothing else."""
        if self.obs is not None:
            self.obs.clear()
        if isinstance(self.engine, NullEngine):
            # It only remembers folders, and closing it is forgetting them.
            self.engine.close()

    def close(self) -> None:
        """Closes the engine and removes a temporary folder."""
        self.engine.close()
        if self._temporary is not None:
            self._temporary()


def _duck(obs: ObsStore, database: Path | str | None, seed: int, session: SparkSession) -> Engine:
    where = None if database is None else Path(database)
    is_folder = where is not None and where.is_dir()
    return DuckEngine(
        obs,
        database=None if is_folder else where,
        folder=where if is_folder else None,
        seed=seed,
        session=session,
    )


def _sql(engine: Engine) -> SqlEngine | None:
    if isinstance(engine, DuckEngine):
        return DuckSql(engine)
    return NullSql(engine) if isinstance(engine, NullEngine) else None
