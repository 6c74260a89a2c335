"""DliClient: owns the connections and wires the rest together."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio
import anyio.to_thread
import httpx

from ._auth import CredentialChain, Scope, ScopedAuth, bind
from ._auth.endpoint import check_auth, find_endpoint, from_environment, local_endpoint
from ._auth.regions import region_of
from ._export.context import CLOSED_MEANWHILE, JobContext, UntilClosed
from ._export.detached import Detached
from ._export.job import ExportJob
from ._export.lifetime import Lifetime
from ._export.submit.precheck import check_export
from ._export.submit.registry import Registry
from ._export.submit.ways import FolderCheck, Ways
from ._export.watch.last_seen import OnReport
from ._export.watch.polling import StatusEndpoint, StatusSource
from ._export.watch.shared import shared_watch
from ._http.api import Api
from ._http.catalogue import Catalogue
from ._http.exchange import MAX_RESPONSE_SIZE, Http, make_client
from ._http.owned_tasks import OwnedTasks
from ._http.throttle import Throttle
from ._http.transport import Cert, Verify, check_proxy, make_ssl_context, open_transport
from ._obs.of_client import MAX_CONNECTIONS, HasFiles
from ._values.errors import ClientClosed
from ._values.events import Emitter, Event
from ._values.policies import PollPolicy, RetryPolicy, SubmitPolicy, check_positive
from ._values.results import ExportResult
from ._values.spec import ExportSpec

if TYPE_CHECKING:
    from .bulk import BulkEvent, Outcomes

_BULK = f"{__package__}.bulk"


class DliClient(Catalogue, HasFiles):
    """The client of one DLI project: submits exports, watches jobs, lists what there is.

    Use it inside `async with`, on asyncio or trio. Building it does no I/O. Closing it ends the
    waits of its jobs with `ClientClosed`; the jobs at the service run on.

    Args:
        endpoint: base URL of DLI, such as `https://dli.cn-north-4.myhuaweicloud.com`. Give this
            or `region`.
        region: such as `cn-north-4`; names the endpoint, and IAM for tokens and project ids.
        project_id: None (default) takes it from environment, token, or IAM by region.
        auth: any `httpx.Auth`; ours are `AkSk`, `IamToken` and `StaticToken`. None (default) looks
            for credentials where the vendor's SDK does.
        retry, submit: how exchanges are repeated, and how a lost answer to a submit is settled.
        polling: how jobs are asked for their status.
        request_timeout: seconds for one exchange, from the moment it holds a slot to the last byte
            (default 30). Queueing, back-off and `Retry-After` are not in it.
        max_connections, max_response_size: exchanges in flight at most (default 16), and bytes of
            an answer, decompressed (default 32 MiB).
        requests_per_second: one budget for all requests; None (default) for no limit.
        status_source: async, from job id to `StatusReport`, in place of the status endpoint.
        verify: True (default), False, a CA file or folder, or an `ssl.SSLContext`.
        cert: client certificate: a file, or (file, key) or (file, key, password).
        proxy: URL of a proxy for all requests; None (default) leaves it to the environment.
        trust_env: whether `HTTP_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and so on count (True).
        transport: an `httpx.AsyncBaseTransport` in place of the network; closed with the client.
        table_exports: `export-table`, `sql`, or `auto` (default): SQL once that call is gone.
        folder_check: async, whether a folder exists, for ErrorIfExists by SQL (`files.exists`).
        on_event: called with each event, a frozen dataclass; its errors are logged.
        obs_endpoint: base URL of OBS, for `files`; None (default) is the region's, or the emulator.
        obs_path_style: whether URLs have buckets in their path, which OBS refuses; None (default)
            only at an IP address or on this machine.

    Raises:
        ConfigurationError: a value breaks a rule; the message names it.
    """

    def __init__(
        self,
        *,
        endpoint: str | None = None,
        region: str | None = None,
        project_id: str | None = None,
        auth: httpx.Auth | None = None,
        retry: RetryPolicy | None = None,
        submit: SubmitPolicy | None = None,
        polling: PollPolicy | None = None,
        request_timeout: float = 30.0,
        max_connections: int = 16,
        max_response_size: int = MAX_RESPONSE_SIZE,
        requests_per_second: float | None = None,
        status_source: StatusSource | None = None,
        verify: Verify = True,
        cert: Cert | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
        table_exports: str = "auto",
        folder_check: FolderCheck | None = None,
        on_event: Callable[[Event], object] | None = None,
        obs_endpoint: str | None = None,
        obs_path_style: bool | None = None,
    ) -> None:
        self.endpoint = find_endpoint(endpoint, region)
        check_positive(request_timeout=request_timeout, max_response_size=max_response_size)
        check_auth(auth)
        check_proxy(proxy)
        region = region or region_of(self.endpoint)
        self._scope = Scope(region, project_id, local=local_endpoint(self.endpoint))
        self._find_obs(obs_endpoint, obs_path_style, self.endpoint, region)
        self._auth = auth if auth is not None else CredentialChain()
        self._retry = retry or RetryPolicy()
        self._request_timeout = request_timeout
        self._limits = (request_timeout, max_response_size)
        tls = partial(make_ssl_context, verify, cert, trust_env)
        connections = max_connections + MAX_CONNECTIONS
        self._open_own = partial(open_transport, tls, proxy, trust_env, connections)
        self._transport = transport
        self._emit = Emitter(on_event)
        self._throttle = Throttle(max_connections, requests_per_second)
        self._tasks = OwnedTasks()
        self._lifetime = Lifetime(repr(self))
        self._api: Api | None = None
        self._login: ScopedAuth | None = None
        self._exit = AsyncExitStack()
        self._waits: set[anyio.CancelScope] = set()
        polling = polling or PollPolicy()
        self._detached: Detached[ExportJob] = Detached()
        self.job_context = JobContext(
            api=lambda: self.api,
            until_closed=self._until_closed,
            status_source=status_source or StatusEndpoint(self),
            watch=None if status_source else shared_watch(lambda: self.api, polling),
            submit=submit or SubmitPolicy(),
            retry=self._retry,
            polling=polling,
            emit=self._emit,
            detached=self._detached,
            registry=Registry(max_connections),
            ways=Ways(table_exports, folder_check or self._folder_exists, self._emit),
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> Self:
        """A client set up by the environment; `options` are the constructor's and win.

        Reads `DLI_ENDPOINT`, `DLI_REGION`, `DLI_PROJECT_ID`, `DLI_TOKEN`, then the vendor's
        variables (`HUAWEICLOUD_SDK_AK` and so on).

        Args:
            environ: read in place of `os.environ` (default None).
        """
        client = cls(**from_environment(os.environ if environ is None else environ, options))
        client._scope = replace(client._scope, environ=environ)
        return client

    async def __aenter__(self) -> Self:
        self._lifetime.begin()
        transport = await self._open_own() if self._transport is None else self._transport
        wire = await self._exit.enter_async_context(make_client(transport, *self._limits))
        self._exit.push_async_callback(self._tasks.drain)
        self._login = auth = bind(
            self._auth, self._scope, lambda request: http.send_for_login(request)
        )
        http = Http(
            wire,
            endpoint=self.endpoint,
            auth=auth,
            throttle=self._throttle,
            tasks=self._tasks,
            retry=self._retry,
            request_timeout=self._request_timeout,
            emit=self._emit,
        )
        self._open_files(wire, auth, self._tasks, self._retry, self._request_timeout, self._emit)
        self._api = Api(http, auth.project_id)
        self._lifetime.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lifetime.close()
        if self.job_context.watch is not None:
            self.job_context.watch.close(ClientClosed(CLOSED_MEANWHILE))
        for scope in self._waits:
            scope.cancel()
        await self._exit.aclose()

    @property
    def api(self) -> Api:
        """The endpoints, one method each.

        Raises:
            ClientClosed: outside `async with`.
            ConfigurationError: called on another event loop than the client was opened on.
        """
        self._lifetime.check()
        assert self._api is not None
        return self._api

    @property
    def region(self) -> str | None:
        """The region that was given or that the endpoint names; None if neither."""
        return self._scope.region

    @property
    def login(self) -> str:
        """Which credentials are used, in words and without secrets; "" before the client opens."""
        return self._login.describe() if self._login else ""

    @property
    def detached(self) -> list[ExportJob]:
        """The latest 10,000 jobs, accepted or in doubt, that nobody awaits; the log has tokens."""
        return list(self._detached)

    async def export(
        self,
        spec: ExportSpec,
        *,
        timeout: float | None = None,
        on_report: OnReport | None = None,
        on_timeout: Literal["detach", "cancel"] = "detach",
        precheck: bool = False,
        verify: bool = False,
        fetch: str | os.PathLike[str] | None = None,
    ) -> ExportResult:
        """Submits an export and waits for its end; see `ExportJob.result`.

        Args:
            precheck: look whether it can work first; see `precheck`. It counts towards `timeout`.
            verify, fetch: then check the files (default False), and bring them into a folder
                (default None); see `files`. `timeout` does not bound these.

        Raises:
            InvalidExport: the precheck found a fault; nothing was submitted.
            VerificationFailed: the export has finished, and its files are not complete.
        """
        check = partial(self.precheck, spec) if precheck else None
        result = await ExportJob(self, spec)._result(timeout, on_report, on_timeout, check)
        wanted = verify or fetch is not None
        return await self.files.complete(result, verify=verify, fetch=fetch) if wanted else result

    async def submit(self, spec: ExportSpec) -> ExportJob:
        """Submits an export and returns its handle, already accepted; see `ExportJob.submit`."""
        job = ExportJob(self, spec)
        await job.submit()
        return job

    @asynccontextmanager
    async def export_many(
        self,
        specs: Iterable[ExportSpec] | AsyncIterable[ExportSpec],
        *,
        max_running: int = 32,
        max_running_per_queue: int | None = None,
        journal: str | os.PathLike[str] | None = None,
        on_event: Callable[[BulkEvent], object] | None = None,
        attempts: int = 1,
        timeout: float | None = None,
        verify: bool = False,
        fetch: str | os.PathLike[str] | None = None,
    ) -> AsyncGenerator[Outcomes]:
        """Runs many exports and gives their outcomes as they end; see `bulk.export_many`."""
        if not hasattr(sys.modules.get(_BULK), "export_many"):
            # With SQLite it takes long enough to load to do so off the event loop.
            await anyio.to_thread.run_sync(import_module, _BULK)
        from .bulk import export_many

        async with export_many(
            self,
            specs,
            max_running=max_running,
            max_running_per_queue=max_running_per_queue,
            journal=journal,
            on_event=on_event,
            attempts=attempts,
            timeout=timeout,
            verify=verify,
            fetch=fetch,
        ) as outcomes:
            yield outcomes

    def job(
        self,
        job_id: str,
        *,
        status_source: StatusSource | None = None,
        polling: PollPolicy | None = None,
    ) -> ExportJob:
        """The handle of a job that exists already. No I/O; a wrong id shows when it is awaited.

        The service may not know yet what was submitted a moment ago, so that "no such job" ends a
        wait only after `PollPolicy.missing_grace`; `ExportJob.status` tells it at once.
        """
        return ExportJob.attach(self, job_id, status_source=status_source, polling=polling)

    def resume(self, token: str) -> ExportJob:
        """The job of a token, perhaps of another process; see `ExportJob.resume`. No I/O."""
        return ExportJob.resume(self, token)

    async def precheck(self, spec: ExportSpec) -> None:
        """Looks whether an export can work: database, table, its kind, and queue.

        Raises:
            InvalidExport: naming what is missing, or that the table is not MANAGED.
        """
        await check_export(self.api, spec, self.job_context.ways)

    def _until_closed(self) -> UntilClosed:
        self.api  # noqa: B018 - raises unless the client is open
        return UntilClosed(self._waits)

    def __repr__(self) -> str:
        return f"<DliClient {self.endpoint}>"
