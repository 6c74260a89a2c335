"""One `DliClient` for a FastAPI application: it opens with it and closes with it.

app = FastAPI(lifespan=dli_lifespan(region="cn-north-4"))

@app.get("/tables")
async def tables(client: ClientDep) -> list[str]:
    return [row.table_name async for row in client.tables("sales")]
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, TypedDict

from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection

from .._client import DliClient
from .._values.errors import ConfigurationError

# What users have is a function with `@asynccontextmanager`, with or without state.
OwnLifespan = Callable[[Any], AbstractAsyncContextManager[Any]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, Any]]]


class DliState(TypedDict):
    """What `dli_lifespan` adds to the state of every request."""

    dli_client: DliClient


def dli_lifespan(
    client: Callable[[], DliClient] | None = None,
    *,
    lifespan: OwnLifespan | None = None,
    **options: Any,
) -> Lifespan:
    """A lifespan that opens one client for the application.

    Every process, and so every worker of uvicorn, has its own client. The client is at
    `app.state.dli_client` too, from before `lifespan` begins until after it has ended.

    Args:
        client: makes the client, once for each start of the application. None (default) takes
            `DliClient.from_env(**options)`.
        lifespan: the application's own, which runs inside this one; what it yields is kept.
        options: arguments of `DliClient`, such as `region` or `max_connections`.

    Raises:
        ConfigurationError: both a client and options are given; the client is one already, which
            can be opened only once; or `lifespan` is no context manager.
    """
    if isinstance(client, DliClient):
        raise ConfigurationError(
            "client: must be a function that makes a DliClient, as in lambda: DliClient(...)"
        )
    if client is not None and options:
        raise ConfigurationError(f"options {sorted(options)}: give them to the client itself")
    if inspect.isasyncgenfunction(lifespan):
        raise ConfigurationError("lifespan: must have the decorator @asynccontextmanager")

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        made = client() if client is not None else DliClient.from_env(**options)
        async with made:
            app.state.dli_client = made
            try:
                state = DliState(dli_client=made)
                if lifespan is None:
                    yield {**state}
                else:
                    async with lifespan(app) as more:
                        yield {**(more or {}), **state}
            finally:
                del app.state.dli_client

    return opened


def find_client(app: Any) -> DliClient:
    """The client of an application whose lifespan is `dli_lifespan`.

    Raises:
        ConfigurationError: it has none.
    """
    client = getattr(app.state, "dli_client", None)
    if not isinstance(client, DliClient):
        raise ConfigurationError(
            "there is no DliClient: make the application with "
            "FastAPI(lifespan=dli_lifespan(...)), and see to it that its lifespan runs"
        )
    return client


async def get_client(connection: HTTPConnection) -> DliClient:
    """The dependency behind `ClientDep`: the client of the application.

    Raises:
        ConfigurationError: the application has no `dli_lifespan`, or it does not run.
    """
    # A mounted application has a state of its own; that of the request comes from the outer one.
    client = getattr(connection.state, "dli_client", None)
    return client if isinstance(client, DliClient) else find_client(connection.app)


ClientDep = Annotated[DliClient, Depends(get_client)]
"""The client of the application, as a parameter of a route: `client: ClientDep`."""
