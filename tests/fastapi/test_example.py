"""The example application."""

from __future__ import annotations

from pathlib import Path

from dli_async.emulator import Emulator
from dli_async.fastapi.example import make_app

from .conftest import TestClient, Web, fast_client, is_over


def test_the_example_exports_for_its_users(emulator: Emulator, tmp_path: Path) -> None:
    """It lists tables, exports one of them below its folder, and keeps users apart."""
    app = make_app(lambda: fast_client(emulator), tmp_path / "exports.db")
    with TestClient(app) as http:
        names = http.get("/tables/db").json()
        spec = {"database_name": "db", "table_name": names[0], "data_path": "obs://demo/a/b"}
        place = http.post("/exports", json=spec, headers={"X-User": "ann"}).headers["location"]
        assert http.get(place).status_code == 404
        assert http.get(place, headers={"X-User": "admin"}).json()["identity"] == "ann"
        assert http.post("/exports", json=spec | {"data_path": "obs://x/y"}).status_code == 403
        assert http.get("/exports/ui").status_code == 200
        missing = http.get("/tables/nowhere")
        assert (missing.status_code, missing.json()["status"]) == (404, 404)
        assert Web(http).until(place, is_over, name="ann")["state"] == "finished"
