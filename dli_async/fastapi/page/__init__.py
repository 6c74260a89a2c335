"""The page: a table of exports with live status, served from files beside this one.

It is plain HTML, CSS and JavaScript modules: nothing is built, and nothing comes from elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from fastapi import Path as PathParam

from .._problems import ProblemRoute

_FOLDER = Path(__file__).parent
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Asset = Literal[
    "style.css", "main.js", "api.js", "table.js", "timeline.js", "files.js", "format.js"
]


def page_router() -> APIRouter:
    """The routes of the page, below the prefix of the router that includes them."""
    router = APIRouter(route_class=ProblemRoute, include_in_schema=False)

    @router.get("/ui")
    async def page() -> Response:
        return _response("index.html")

    @router.get("/ui/{name}")
    async def asset(name: Annotated[Asset, PathParam()]) -> Response:
        return _response(name)

    files = {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _TYPES}

    def _response(name: str) -> Response:
        kind = _TYPES[Path(name).suffix]
        return Response(files[name], headers=_HEADERS, media_type=kind)

    return router
