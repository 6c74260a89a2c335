"""`dli-async demo`: real exports of real tables to real files, over HTTP, on this machine alone."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count, product
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from ..._auth import StaticToken
from ..._client import DliClient
from ..._export.job import ExportJob
from ..._values.enums import Compress, DataType, JobStatus
from ..._values.errors import DliError
from ..._values.policies import PollPolicy
from ..._values.reports import StatusReport
from ..._values.results import ExportResult
from ..._values.spec import TableExport
from .._shell.failures import Exit, one_line
from .._shell.output import Output, table_of
from .._shell.run import run
from .demo_files import bring_back
from .demo_progress import ExportsDisplay, exports_progress
from .demo_summary import DemoExport, show_summary
from .emulator import need_folder, require
from .options import DemoOptions
from .verify import BadExport, FolderContent, read_back

if TYPE_CHECKING:
    from ...emulator import DuckEngine, Emulator

# Each combination that writes different bytes; json has no header.
_FORMATS = ((DataType.CSV, True), (DataType.CSV, False), (DataType.JSON, False))
_SHAPES = tuple(product(Compress, _FORMATS))
_POLLING = PollPolicy(initial_delay=0.1, wait_initial=0.25, wait_max=0.5, wait_jitter=0.1)
_TIMEOUT = 600.0  # seconds for one export; only a bug takes that long


def demo(output: Output, options: DemoOptions) -> Exit:
    """Exports all sample tables of an emulator, checks the files, and prints a summary."""
    return run(output, partial(_demo, output, options))


async def _demo(output: Output, options: DemoOptions) -> Exit:
    require("emulator")
    await anyio.to_thread.run_sync(need_folder, options.obs_dir)
    from ...emulator.server import running

    started = anyio.current_time()
    emulator, engine = make_emulator(options)
    async with (
        emulator,
        running(emulator) as url,
        connect(url, polling=_POLLING) as client,
    ):
        root = fresh_path(engine)
        specs = [spec async for spec in plan(client, root)]
        output.note(f"exporting {len(specs)} tables through {url} to {engine.obs.folder(root)}")
        with exports_progress(output.err) as display:
            exports = await _Exporter(client, engine, display).export_all(
                specs, options.max_running
            )
        if done := [export for export in exports if export.error is None]:
            await bring_back(client, output, done[0])
    return show_summary(output, exports, engine.obs.folder(root), anyio.current_time() - started)


def make_emulator(options: DemoOptions) -> tuple[Emulator, DuckEngine]:
    """An emulator of the sample tables, and what holds their rows and files."""
    from ...emulator import DuckEngine, Emulator, ObsStore

    engine = DuckEngine(ObsStore(options.obs_dir.absolute()))
    emulator = Emulator(
        engine=engine,
        obs_dir=engine.obs.root,
        slots=options.slots,
        launch=options.launch,
        run=options.run,
    )
    return emulator, engine


def connect(url: str, **options: Any) -> DliClient:
    """A client of an emulator that is served at `url`; `options` are those of `DliClient`."""
    from ...emulator import PROJECT_ID, TOKEN

    return DliClient(
        endpoint=url,
        project_id=PROJECT_ID,
        auth=StaticToken(TOKEN),
        trust_env=False,  # a proxy cannot reach the loopback address
        **options,
    )


def fresh_path(engine: DuckEngine) -> str:
    """A folder of the demo's own, so that it can run again and again."""
    stamp = time.strftime("obs://demo/%Y%m%d-%H%M%S")
    names = (stamp if number == 1 else f"{stamp}-{number}" for number in count(1))
    return next(name for name in names if not engine.obs.exists(name))


async def plan(client: DliClient, root: str) -> AsyncIterator[TableExport]:
    """An export of each table that can be exported, in all shapes in turn."""
    number = 0
    async for database in client.databases():
        async for table in client.tables(database.database_name):
            if table.table_type != "MANAGED":
                continue
            compress, (data_type, header) = _SHAPES[number % len(_SHAPES)]
            number += 1
            yield TableExport(
                database_name=table.database_name,
                table_name=table.table_name,
                data_path=f"{root}/{table.database_name}/{table.table_name}",
                data_type=data_type,
                compress=compress,
                with_column_header=header,
            )


class _Exporter:
    def __init__(self, client: DliClient, engine: DuckEngine, display: ExportsDisplay) -> None:
        self._client = client
        self._engine = engine
        self._display = display
        self._ended: list[DemoExport] = []

    async def export_all(self, specs: Sequence[TableExport], most: int) -> list[DemoExport]:
        limit = anyio.Semaphore(most)
        async with anyio.create_task_group() as tasks:
            for spec in specs:
                self._display.add(table_of(spec))
                tasks.start_soon(self._within, limit, spec)
        return sorted(self._ended, key=lambda export: specs.index(export.spec))

    async def _within(self, limit: anyio.Semaphore, spec: TableExport) -> None:
        async with limit:
            export = await self._export(spec)
        self._ended.append(export)
        self._display.end(export.name, export.error or f"{export.amounts}, verified")

    async def _export(self, spec: TableExport) -> DemoExport:
        started = anyio.current_time()
        job = ExportJob(self._client, spec)
        found: FolderContent | None = None
        error: str | None = None
        try:
            result = await job.result(timeout=_TIMEOUT, on_report=partial(self._show, job, spec))
            found = await anyio.to_thread.run_sync(self._check, spec, result)
        except (DliError, BadExport) as problem:
            error = one_line(str(problem))
        return DemoExport(
            spec=spec,
            folder=self._engine.obs.folder(spec.data_path),
            job_id=job.job_id,
            found=found,
            seconds=anyio.current_time() - started,
            error=error,
        )

    async def _show(self, job: ExportJob, spec: TableExport, report: StatusReport) -> None:
        if report.is_terminal:
            self._display.move(table_of(spec), 0.99, "checking the files")
            return
        share = 0.0
        if report.status is JobStatus.RUNNING:
            # Progress is a best effort of the service, the export does not depend on it.
            with suppress(DliError):
                share = (await job.progress()).share_done
        self._display.move(table_of(spec), share, str(report.status))

    def _check(self, spec: TableExport, result: ExportResult) -> FolderContent:
        table = self._engine.table(spec.database_name, spec.table_name)
        if table is None:
            raise BadExport("the table has gone")
        names = [column.name for column in table.columns]
        found = read_back(self._engine.obs.folder(spec.data_path), spec, names)
        if not found.rows == table.row_count == result.row_count:
            raise BadExport(
                f"the files hold {found.rows} rows, the table {table.row_count}, "
                f"the service says {result.row_count}"
            )
        return found
