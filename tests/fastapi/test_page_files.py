"""The files in the details of an export, in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from dli_async import DliClient, StaticToken
from dli_async.emulator import PROJECT_ID, TOKEN, Emulator
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router

from .browser import Browser, open_browser
from .conftest import POLLING
from .serving import emulator_url, run_app
from .test_page import FAINT, NAMELESS, Site, needs_browser, row

LEADS = {"database_name": "crm", "table_name": "leads", "data_path": "obs://bucket/team/leads"}


class Lake(Site):
    """A page whose exports leave real files, some of which the test adds."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url)
        self.folder = folder

    def export(self) -> int:
        export_id = int(self.http.post("/exports", json=LEADS).json()["export_id"])
        path = f"/exports/{export_id}"
        deadline = time.monotonic() + 120
        while self.http.get(path).json()["state"] != "finished":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return export_id


@pytest.fixture
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@contextmanager
def lake(root: Path, *, links: bool, link_life: int = 300, run: float = 0.01) -> Iterator[Lake]:
    emulator = Emulator(obs_dir=root / "obs", launch=0, run=run)
    policy = ExportPolicy.allow_all(links=links)
    with emulator_url(emulator) as endpoint:
        options = {"endpoint": endpoint, "project_id": PROJECT_ID, "auth": StaticToken(TOKEN)}
        app = FastAPI(lifespan=dli_lifespan(lambda: DliClient(polling=POLLING, **options)))
        router = exports_router(policy, journal=root / "e.db", ui=True, link_life=link_life)
        app.include_router(router)
        with run_app(app) as (url, _):
            made = Lake(url, root / "obs" / "bucket" / "team" / "leads")
            yield made
            made.http.close()
    emulator.close()


_LISTED = "return [...document.querySelectorAll('.files li')].map(li => li.textContent)"
_LINKS = "return [...document.querySelectorAll('.files a')].map(a => a.href)"


@needs_browser
def test_details_show_the_files_of_a_finished_export(browser: Browser, tmp_path: Path) -> None:
    """They are asked for when the details are opened and not before, as plain names where the
    policy gives no links; whatever a file is called is text; an error is told in their place."""
    with lake(tmp_path, links=False) as site:
        export_id = site.export()
        (part,) = site.folder.glob("part-*")
        (site.folder / "<img src=x>.json").write_text("{}")
        browser.open(f"{site.url}/exports/ui")
        browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "finished")
        asked = "return performance.getEntriesByType('resource').filter(e => /files/.test(e.name))"
        requests = f"{asked}.filter(e => !e.name.endsWith('.js')).length"
        assert browser.run(requests) == 0
        browser.click(f"{row(export_id)} .toggle")
        listed = browser.until(lambda: browser.run(_LISTED))
        assert browser.run(requests) == 1
        assert listed[0].startswith("<img src=x>.json")
        assert part.name in listed[1]
        assert "csv" in listed[1].removeprefix(part.name)
        assert browser.text(".files h2").startswith("2 files, ")
        assert browser.run(_LINKS) == []
        assert browser.run("return document.querySelectorAll('main img').length") == 0
        assert browser.run(NAMELESS) == []
        assert browser.run(FAINT) == []
        assert browser.log() == []
        browser.click(f"{row(export_id)} .toggle")
        site.folder.parents[1].rename(tmp_path / "elsewhere")
        browser.click(f"{row(export_id)} .toggle")
        browser.until(lambda: "NoSuchBucket" in browser.text(".files p"))
        (complaint,) = browser.log()
        assert "502" in complaint
        browser.open("about:blank")


@needs_browser
def test_files_come_into_details_that_were_open_before(browser: Browser, tmp_path: Path) -> None:
    """An export that finishes while one looks shows its files without another click."""
    with lake(tmp_path, links=False, run=1.5) as site:
        browser.open(f"{site.url}/exports/ui")
        browser.until(lambda: browser.text("#connection") == "live")
        site.http.post("/exports", json=LEADS)
        browser.until(lambda: browser.run("return document.querySelector('.toggle') !== null"))
        browser.click(".toggle")
        (listed,) = browser.until(lambda: browser.run(_LISTED))
        (part,) = site.folder.glob("part-*")
        assert listed.startswith(part.name)
        assert browser.log() == []
        browser.open("about:blank")


@needs_browser
def test_a_link_of_the_page_opens_its_file(browser: Browser, tmp_path: Path) -> None:
    """To whoever has it; one whose time is over is made anew by the click that would use it."""
    with lake(tmp_path, links=True, link_life=3_600) as site:
        export_id = site.export()
        (part,) = site.folder.glob("part-*")
        browser.open(f"{site.url}/exports/ui")
        browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "finished")
        browser.click(f"{row(export_id)} .toggle")
        (link,) = browser.until(lambda: browser.run(_LINKS))
        with httpx.Client(trust_env=False) as stranger:
            assert stranger.get(link).content == part.read_bytes()
            browser.run(
                "const now = Date; window.Date = class extends now {"
                "constructor(...given) { given.length ? super(...given) :"
                " super(now.now() + 2 * 3600e3) } }"
            )
            (site.folder / "part-1.csv").write_text("x")  # tells the new list from the old one
            # The file is downloaded, and so the page stays.
            browser.click(".files a")
            links = browser.until(lambda: len(found := browser.run(_LINKS)) == 2 and found)
            assert [stranger.get(one).status_code for one in links] == [200, 200]
        assert browser.run("return location.pathname") == "/exports/ui"
        assert browser.log() == []
        browser.open("about:blank")
