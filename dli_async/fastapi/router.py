"""The router: exports over HTTP, for callers who know each other or not.

app = FastAPI(lifespan=dli_lifespan())
policy = ExportPolicy(data_paths=["obs://bucket/team"])
app.include_router(exports_router(policy, identity=Depends(current_user)))
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import HTTPException
from fastapi.params import Depends as DependsParam

from .._obs.signing import check_expires
from .._values.errors import ConfigurationError
from . import _routes
from ._service import CallersExports, ExportService, Settings
from .lifespan import find_client
from .page import page_router
from .policy import ExportPolicy


def exports_router(
    policy: ExportPolicy,
    *,
    identity: Callable[..., Any] | DependsParam | None = None,
    journal: str | os.PathLike[str] = "exports.db",
    prefix: str = "/exports",
    tags: list[str | Enum] | None = None,
    ui: bool = False,
    lease: float = 30.0,
    heartbeat: float = 15.0,
    cancel_timeout: float = 10.0,
    link_life: int = 300,
) -> APIRouter:
    """A router that starts exports, reports on them and cancels them.

    | route                         | does                                                       |
    |-------------------------------|------------------------------------------------------------|
    | `POST /exports`               | accepts an export at once (202, `Location`)                |
    | `POST /exports/bulk`          | accepts up to 1,000 of them, or none                       |
    | `GET /exports`                | lists the caller's, the newest first, in pages, filtered   |
    | `GET /exports/{job_id}`       | one export                                                 |
    | `DELETE /exports/{job_id}`    | cancels it (202, the outcome)                              |
    | `GET /exports/{job_id}/events`| its events, until it ends (server-sent events)             |
    | `GET /exports/{job_id}/files` | the files of one that has finished, in pages               |
    | `GET /exports/events`         | the events of all (server-sent events)                     |
    | `GET /exports/ui`             | a page to look at, if `ui`                                 |

    An export has an `export_id` of the router from the first answer on, and DLI's `job_id` once
    DLI has accepted it; paths take both. Errors are problem details (RFC 9457). While an export
    has not ended, another one to its folder, around it or in it is refused (409), whoever asks; and
    so is an Overwrite there of what another caller has exported.

    Files are listed as they lie on OBS, by the client's own login. With `ExportPolicy(links=True)`
    each has a pre-signed link, from which it is downloaded at OBS's own address until its life is
    over; what it shows of the client is the id of the access key, and the security token of
    temporary keys, which sign nothing without their secret key.

    Exports are kept in a journal file. Workers may share it, on one machine: each holds its exports
    by a lease, and takes over those of a worker that has died. The router works while the
    lifespan of its application runs, which must be, or contain, `dli_lifespan`.

    Args:
        policy: who may export what; `ExportPolicy.allow_all()` opens everything.
        identity: a dependency, as in `Depends(current_user)`, that returns who calls, as text;
            what it raises is the answer, and None or "" is answered with 401. Callers see their
            own exports only, unless the policy says otherwise. None (default) takes everybody as
            the same caller.
        journal: the file (default `exports.db`, in the current folder).
        prefix: the path of the router.
        tags: of the routes in OpenAPI (default `exports`).
        ui: whether to serve the page (default False).
        lease: seconds after which the exports of a dead worker are taken over (default 30).
        heartbeat: seconds between comments on a silent stream of events (default 15).
        cancel_timeout: seconds that a cancel waits for its confirmation (default 10).
        link_life: whole seconds for which links are good (default 300), up to 7 days; those that
            temporary keys have signed end with them at the latest. It matters where the policy
            gives links.

    Raises:
        ConfigurationError: there is no policy, or a value breaks a rule.
    """
    if not isinstance(policy, ExportPolicy):
        raise ConfigurationError(
            f"policy={policy!r}: must be an ExportPolicy, such as ExportPolicy.allow_all()"
        )
    check_expires("link_life", link_life)
    _check_seconds(lease=lease, heartbeat=heartbeat, cancel_timeout=cancel_timeout)
    settings = Settings(
        policy=policy,
        journal=journal,
        lease=lease,
        heartbeat=heartbeat,
        cancel_timeout=cancel_timeout,
        link_life=link_life,
    )
    return _build(settings, _as_dependency(identity), prefix, tags or ["exports"], ui)


def _build(
    settings: Settings, caller: DependsParam, prefix: str, tags: list[str | Enum], ui: bool
) -> APIRouter:
    running: dict[int, ExportService] = {}  # by application; a router may be in several

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with ExportService.serving(settings, find_client(app)) as service:
            running[id(app)] = service
            try:
                yield
            finally:
                del running[id(app)]

    async def enter(request: Request, identity: Any = caller) -> None:
        service = running.get(id(request.app))
        if service is None:
            raise ConfigurationError("the lifespan of the application does not run")
        known = None if caller.dependency is _nobody else _checked(identity)
        _routes.remember(request, CallersExports(service, known))

    router = APIRouter(lifespan=lifespan)
    guarded: dict[str, Any] = {"prefix": prefix, "dependencies": [Depends(enter)]}
    if ui:
        router.include_router(page_router(), **guarded)
    router.include_router(_routes.router, tags=tags, **guarded)
    return router


async def _nobody() -> None:
    """The identity of every caller where callers have none."""


def _as_dependency(identity: Callable[..., Any] | DependsParam | None) -> DependsParam:
    if isinstance(identity, DependsParam):
        return identity
    if identity is not None and not callable(identity):
        raise ConfigurationError(f"identity={identity!r}: must be a dependency, as in Depends(...)")
    made: DependsParam = Depends(identity or _nobody)
    return made


def _checked(identity: object) -> str:
    if identity is None or identity == "":
        raise HTTPException(401, "the caller is not known")
    if not isinstance(identity, str):
        kind = type(identity).__name__
        raise ConfigurationError(f"identity: the dependency must return text, not {kind}")
    return identity


def _check_seconds(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ConfigurationError(f"{name}={value!r}: must be seconds, and more than 0")
