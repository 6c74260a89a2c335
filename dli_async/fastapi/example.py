"""An application that exports tables for its users; `dli-async demo --web` runs it.

Against any DLI, or an emulator that is being served, it runs with as many workers as you like:

    DLI_ENDPOINT=http://127.0.0.1:8765 DLI_PROJECT_ID=... DLI_TOKEN=emulator-token \\
        uvicorn --factory --workers 2 dli_async.fastapi.example:make_app

The page is at `/exports/ui`, the interactive reference at `/docs`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Header

from .. import DliClient, DliError
from . import ClientDep, ExportPolicy, dli_error_handler, dli_lifespan, exports_router


async def current_user(x_user: Annotated[str, Header(max_length=64)] = "guest") -> str:
    """Who calls. It believes the header `X-User`, which is good enough for a demonstration only:
    take what your login gives."""
    return x_user


def make_app(
    client: Callable[[], DliClient] | None = None, journal: str | os.PathLike[str] = "exports.db"
) -> FastAPI:
    """The application.

    Args:
        client: makes the client; None (default) reads its settings from the environment.
        journal: the file that remembers the exports.
    """
    policy = ExportPolicy(data_paths=["obs://demo"], max_active=1_000, admins=["admin"])
    app = FastAPI(title="Exports", lifespan=dli_lifespan(client))
    app.include_router(
        exports_router(policy, identity=Depends(current_user), journal=journal, ui=True)
    )
    app.add_exception_handler(DliError, dli_error_handler)

    @app.get("/tables/{database_name}", tags=["tables"])
    async def tables(database_name: str, client: ClientDep) -> list[str]:
        """The names of the tables that can be exported."""
        rows = client.tables(database_name)
        return [row.table_name async for row in rows if row.table_type == "MANAGED"]

    return app
