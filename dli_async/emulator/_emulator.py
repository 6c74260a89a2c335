"""The emulator a user makes: engine, queues, clock and credentials, wired together."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import anyio
import anyio.to_thread
import httpx

from ._engine.engine import Engine, UnsafePath
from ._engine.session import SparkSession
from ._engine.storage import Storage
from ._fronts.asgi import App
from ._fronts.in_process import InProcess
from ._fronts.service import Service
from ._jobs.job_table import JobTable
from ._jobs.ledger import Ledger
from ._jobs.sql_specs import ResultSpec, names_in
from ._jobs.work import Work, explain
from ._obs.front import ObsFront
from ._protocol.answers import Refused, dli_error
from ._protocol.callers import PROJECT_ID, TOKEN, USER, Gate
from ._protocol.calls import Call, Route
from ._protocol.specs import Spec, peek_names
from ._protocol.sql_bodies import peek_sql
from ._protocol.visitors import ENDPOINT_HOST, Visitors
from ._protocol.withdrawn import withdraw
from ._routes.admin import AdminRoutes
from ._routes.iam import IamRoutes, Metadata
from ._routes.jobs import JobRoutes
from ._routes.metadata import Catalogue, MetadataRoutes
from ._routes.sql import SqlCheck, SqlRoutes
from .faults import Faults

if TYPE_CHECKING:
    from .. import DliClient

T = TypeVar("T")

QUEUES = ("default", "queue1", "queue2")
"""The queues there are unless others are given."""


class Emulator:
    """A DLI of one's own: the same protocol, offline, and exports that really write files.

    Use it in process (`async with Emulator() as e, e.client() as client`), or behind a loopback
    server (`dli_async.emulator.server`). The well-known credentials open it: project
    `0123456789abcdef0123456789abcdef`, token `emulator-token`, keys `emulator-ak` and
    `emulator-sk`, IAM user, password and domain `emulator`.

    Args:
        obs_dir: the folder that stands for OBS; None (default) is a temporary one that `close`
            removes.
        database: a DuckDB file, or a folder of CSV and Parquet files, to serve as tables; None
            (default) is a set of samples.
        engine: what holds the tables, in place of the two before; `NullEngine` writes no files.
        slots: how many jobs each queue runs at a time.
        launch: seconds for which a job is at least LAUNCHING.
        run: median of the seconds for which a job is RUNNING; they spread lognormally.
        exists_check: whether ErrorIfExists is checked by the job, which fails (default), or on
            submit, which is refused. The documents leave it open.
        sql_check: whether a statement that is wrong is refused on submit (default), or accepted as
            a job that fails. The documents leave it open.
        result_life: seconds for which the result of a query can be previewed and exported; None
            (default) is for ever.
        job_bucket: a bucket where the full result of each query is kept as csv, as queues may be
            told to; None (default) keeps none.
        without: calls that are gone: `export-table` (404 APIGW.0101), or with a code of DLI's
            `export-table:DLI.0007`.
        seed: makes ids, run times and sample tables the same in every run. None (default): the
            tables are those of seed 0, and no two emulators give the same job id.
        clock: seconds since the epoch; it drives everything, so it may be a virtual one. It is
            only read while a request is served.
        inline: whether exports run inside the request, for virtual time.
        token_life: seconds until a token issued by the IAM call expires (default: 24 h).
        token_size: characters of such a token; the cloud's have several thousand.
        key_life: seconds until a temporary key expires (default: 1 h).
        queues: slots by name of queue, in place of `default`, `queue1` and `queue2`.
        region: name of the only project, which is the region's, as IAM knows it.
        metadata: whether the metadata service's own token is `optional` (default), `required`, or
            unknown to it (`tokenless`).
        allowed_hosts: names that a server, or an ASGI application of which this is a part, is
            called by (`dli.test`, `*.dli.test`, or `*` for all). Loopback and what
            `dli_async.emulator.server` binds are allowed without; a call under another name, or
            from a page of another site, is answered with 403.
        spark: whose files the exports are: `3.3` (default, as DLI's) or `3.5`.
        jdk: the major version of Java that Spark runs on. Up to 18 (default: 8, as DLI's) some
            doubles and floats have a digit too many (`9.999999999999999E22`), since 19 none has.
        time_zone: of the timestamps in the files: `UTC` (default), a name such as `Asia/Shanghai`,
            or `+08:00`. These three are of no use beside an `engine`, which has its own `session`.
    """

    endpoint = f"http://{ENDPOINT_HOST}"
    """Where the in-process client believes to be; a server has its own URL."""

    def __init__(
        self,
        *,
        obs_dir: Path | str | None = None,
        database: Path | str | None = None,
        engine: Engine | None = None,
        slots: int = 8,
        launch: float = 0.2,
        run: float = 1.0,
        exists_check: Literal["job", "submit"] = "job",
        sql_check: SqlCheck = "submit",
        result_life: float | None = None,
        job_bucket: str | None = None,
        without: Collection[str] = (),
        seed: int | None = None,
        clock: Callable[[], float] = time.time,
        inline: bool = False,
        token_life: float = 86_400.0,
        token_size: int = 2_048,
        key_life: float = 3_600.0,
        queues: Mapping[str, int] | None = None,
        region: str = "cn-north-4",
        metadata: Metadata = "optional",
        allowed_hosts: Iterable[str] = (),
        spark: Literal["3.3", "3.5"] = "3.3",
        jdk: int = 8,
        time_zone: str = "UTC",
    ) -> None:
        if exists_check not in ("job", "submit"):
            raise ValueError(f"exists_check is 'job' or 'submit', not {exists_check!r}")
        if sql_check not in ("submit", "job"):
            raise ValueError(f"sql_check is 'submit' or 'job', not {sql_check!r}")
        self.clock = clock
        self._inline = inline
        self._exists_check = exists_check
        session = SparkSession(spark, jdk, time_zone)
        self._storage = Storage(engine, obs_dir, database, seed or 0, session)
        slots_of = {name.lower(): n for name, n in (queues or dict.fromkeys(QUEUES, slots)).items()}
        self.jobs = JobTable(
            Work(self._storage),
            slots_of,
            launch=launch,
            run=run,
            seed=seed,
            inline=inline,
            explain=explain,
        )
        self.faults = Faults(seed or 0)
        self.ledger = Ledger(self.jobs, self.faults, clock)
        self._gate = Gate(
            seed=seed or 0, token_life=token_life, key_life=key_life, token_size=token_size
        )
        self._catalogue = Catalogue(self._storage.engine)
        self._job_routes = JobRoutes(self.jobs, self._catalogue, self.faults, self._check_folder)
        self._sql_routes = SqlRoutes(
            self.jobs,
            self._storage.sql,
            self._job_routes,
            self._check_folder,
            self._off_loop,
            sql_check=sql_check,
            result_life=result_life,
            job_bucket=job_bucket or "",
        )
        iam = IamRoutes(self._gate, region, metadata)
        visitors = Visitors(allowed_hosts)
        self._service = Service(
            withdraw(self._routes(iam, slots_of), without),
            clock=clock,
            visitors=visitors,
            gate=self._gate,
            jobs=self.jobs,
            ledger=self.ledger,
            faults=self.faults,
            names_of=self._names_of,
            prepare=self._prepare,
            seed=seed or 0,
        )
        self._front = ObsFront(
            self.obs_dir,
            self._service.serve,
            clock=clock,
            find_key=self._gate.find_key,
            faults=self.faults,
            ledger=self.ledger,
            advance=self.advance,
            off_loop=self._off_loop,
            visitors=visitors,
        )
        self.app = App(self._front.serve)

    def _routes(self, iam: IamRoutes, queues: Mapping[str, int]) -> Sequence[Route]:
        metadata = MetadataRoutes(self._catalogue, queues, USER)
        admin = AdminRoutes(self.ledger, self.faults, self._reset_off_loop)
        areas = (self._job_routes, self._sql_routes, metadata, iam, admin)
        return [route for area in areas for route in area.routes()]

    @property
    def obs_dir(self) -> Path | None:
        """The folder that stands for OBS; None with an engine that writes no files."""
        return self._storage.obs.root if self._storage.obs else None

    def transport(self) -> httpx.AsyncBaseTransport:
        """The in-process front, for `httpx.AsyncClient` or `DliClient`; faults included."""
        return InProcess(self._front.serve)

    def client(self, **options: Any) -> DliClient:
        """A `DliClient` that talks to this emulator in process; options are the client's own."""
        from .. import DliClient, StaticToken

        defaults: dict[str, Any] = {
            "endpoint": self.endpoint,
            "project_id": PROJECT_ID,
            "auth": StaticToken(TOKEN),
            "transport": self.transport(),
        }
        return DliClient(**{**defaults, **options})

    async def prepare(self) -> None:
        """Opens the tables, off the event loop; the first request would do so by itself."""
        if waiting := self._prepare():
            await waiting

    def advance(self) -> None:
        """Plays what is due by the clock; every request does so by itself."""
        self.jobs.advance(self.clock())

    def reset(self, files: bool = False) -> None:
        """Forgets jobs, ledger, faults and locks, and with `files` what was exported.

        Blocks until no export is being written any more.
        """
        self.jobs.reset()
        self.faults.clear()
        self.ledger.clear()
        self._gate.unlock()
        self._storage.forget_results()
        if files:
            self._storage.clear()

    def close(self) -> None:
        """Ends the threads, closes the tables and removes the temporary folder; blocks."""
        self.jobs.close()
        self._storage.close()

    async def __aenter__(self) -> Self:
        """Opens the tables."""
        await self.prepare()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Closes the emulator."""
        with anyio.CancelScope(shield=True):
            await self._off_loop(self.close)

    def _prepare(self) -> Awaitable[object] | None:
        if self._catalogue.is_loaded:
            return None
        return self._off_loop(self._catalogue.load)

    async def _reset_off_loop(self, files: bool) -> None:
        await self._off_loop(lambda: self.reset(files))

    async def _off_loop(self, call: Callable[[], T]) -> T:
        # A worker thread would be overtaken by a virtual clock, hence `inline`.
        return call() if self._inline else await anyio.to_thread.run_sync(call)

    def _check_folder(self, spec: Spec | ResultSpec) -> None:
        try:
            exists = self._exists(spec)
        except UnsafePath as unsafe:
            raise Refused(dli_error("DLI.0001", str(unsafe))) from None
        if self._exists_check == "submit" and exists and not spec.overwrites:
            raise Refused(dli_error("DLI.0006", f"path {spec.data_path} already exists"))

    def _exists(self, spec: Spec | ResultSpec) -> bool:
        obs = self._storage.obs
        return obs.exists(spec.data_path) if obs else self.jobs.has_written(spec.folder)

    def _names_of(self, call: Call) -> tuple[str, ...]:
        params = call.params
        if call.route == "export-table":
            return peek_names(call.body)
        if call.route == "submit-job":
            return names_in(peek_sql(call.body))
        if "job" in params:
            return self._job_routes.names_of(params["job"])
        if "table" in params:
            return (f"{params['database']}.{params['table']}", params["table"])
        return ()
