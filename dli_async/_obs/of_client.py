"""How a client gets to its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._auth import ScopedAuth
from .._auth.endpoint import find_obs
from .._http.api import Api
from .._http.owned_tasks import OwnedTasks
from .._http.raw import Raw
from .._http.throttle import Throttle
from .._http.transport import Wire
from .._values.errors import ConfigurationError, NotFound
from .._values.events import Emitter
from .._values.policies import RetryPolicy

if TYPE_CHECKING:
    from .files import Files
    from .store import ObjectStore

MAX_CONNECTIONS = 8
"""Exchanges with OBS in flight at most, beside those with DLI."""

# The vendor's own SDK signs with this word, and OBS takes it.
_ANY_REGION = "region"


class HasFiles:
    """The files of a client, read by its login over its connections."""

    _raw: Raw | None = None
    # Its class is loaded by the first use, and annotations are read at run time.
    _files: Any = None

    @property
    def api(self) -> Api:
        """The endpoints."""
        raise NotImplementedError

    @property
    def files(self) -> Files:
        """What exports left on OBS: list, verify, fetch, read, delete; see `dli_async.obs`.

        Raises:
            ClientClosed: outside `async with`.
            ConfigurationError: nothing tells where OBS is: give `obs_endpoint` or `region`.
        """
        api = self.api
        if self._files is None:
            from .files import Files

            self._files = Files(self._make_store(), api)
        files: Files = self._files
        return files

    async def _folder_exists(self, data_path: str) -> bool:
        """Whether anything lies in a folder; that there is no bucket is for the job to tell."""
        try:
            return await self.files.exists(data_path)
        except NotFound as error:
            if error.error_code == "NoSuchBucket":
                return False
            # Another server may have said so, and what it did not see would be overwritten.
            raise

    def _find_obs(
        self, given: str | None, path_style: bool | None, endpoint: str, region: str | None
    ) -> None:
        self._obs = find_obs(given, path_style, endpoint, region)
        self._obs_region = region or _ANY_REGION

    def _open_files(
        self,
        wire: Wire,
        login: ScopedAuth,
        tasks: OwnedTasks,
        retry: RetryPolicy,
        request_timeout: float,
        emit: Emitter,
    ) -> None:
        throttle = Throttle(MAX_CONNECTIONS)
        self._raw = Raw(
            wire, throttle=throttle, tasks=tasks, request_timeout=request_timeout, emit=emit
        )
        self._obs_login, self._obs_retry = login, retry

    def _make_store(self) -> ObjectStore:
        from .store import Address, ObjectStore

        if self._obs is None or self._raw is None:
            raise ConfigurationError(
                "nothing tells where OBS is: give obs_endpoint or region, or set OBS_ENDPOINT"
            )
        address = Address(*self._obs, self._obs_region)
        return ObjectStore(self._raw, self._obs_login, address, self._obs_retry)
