"""The application that uvicorn runs in a process of its own; set up by the environment."""

from __future__ import annotations

import os

from fastapi import Depends, FastAPI, Header, HTTPException

from dli_async import PollPolicy, SubmitPolicy
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router

POLLING = PollPolicy(initial_delay=0.1, wait_initial=0.1, wait_max=0.2, wait_jitter=0)


async def current_user(authorization: str | None = Header(None)) -> str:
    """The identity of these tests: `Authorization: Bearer NAME`."""
    if authorization is None or not authorization.startswith("Bearer "):
        raise HTTPException(401, "who are you?", {"WWW-Authenticate": "Bearer"})
    return authorization.removeprefix("Bearer ")


def make_app() -> FastAPI:
    """Uvicorn calls it in each worker."""
    app = FastAPI(
        lifespan=dli_lifespan(polling=POLLING, submit=SubmitPolicy(grace=0.3), request_timeout=2.0)
    )
    router = exports_router(
        ExportPolicy(data_paths=["obs://bucket"]),
        identity=Depends(current_user),
        journal=os.environ["EXPORTS_DB"],
        lease=3.0,
        ui=True,
    )
    app.include_router(router)

    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()

    return app
