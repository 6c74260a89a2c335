"""The page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dli_async.emulator import Emulator, NullEngine
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router

from .browser import CHROMIUM, DRIVER, Browser, open_browser
from .conftest import TABLES, Serve, fast_client, spec
from .serving import run_app

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"
)
TRICK = "<img src=x onerror=document.title='gotcha'>"


def test_the_page_and_its_files_are_served_with_a_strict_policy(serve: Serve) -> None:
    """Nothing inline runs and nothing comes from elsewhere; files that are not the page's are not
    served; the page is off unless it is asked for."""
    with serve(ui=True, identity=None) as web:
        page = web.http.get("/exports/ui")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in page.text
        for name in ("main.js", "api.js", "table.js", "timeline.js", "files.js", "format.js"):
            script = web.http.get(f"/exports/ui/{name}")
            assert script.headers["content-type"].startswith("text/javascript")
            assert "innerHTML" not in script.text
        assert web.http.get("/exports/ui/style.css").headers["x-content-type-options"] == "nosniff"
        for name in ("__init__.py", "..%2frouter.py", "nothing.js"):
            assert web.http.get(f"/exports/ui/{name}").status_code in (404, 422)
    with serve(identity=None) as web:
        assert web.http.get("/exports/ui").status_code == 404


class Site:
    """The page of an application, and its caller."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=60)

    def post(self, number: int, **changes: Any) -> int:
        answer = self.http.post("/exports", json=spec(number, **changes))
        assert answer.status_code == 202, answer.text
        return int(answer.json()["export_id"])


@pytest.fixture(params=[1_000.0])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Jobs that run as long as the parameter says."""
    engine = NullEngine({"db": [*TABLES, TRICK]})
    emulator = Emulator(engine=engine, launch=0.02, run=request.param)
    app = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator)))
    router = exports_router(ExportPolicy.allow_all(), journal=tmp_path / "exports.db", ui=True)
    app.include_router(router)
    with run_app(app) as (url, _):
        made = Site(url)
        yield made
        made.http.close()
    emulator.close()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def browser(window: Browser, site: Site) -> Iterator[Browser]:
    """A browser that leaves the site before that goes down."""
    yield window
    window.open("about:blank")


def row(export_id: int) -> str:
    return f'tr[data-export="{export_id}"]'


@needs_browser
@pytest.mark.parametrize("site", [0.3], indirect=True)
def test_the_table_is_live(site: Site, browser: Browser) -> None:
    """Exports that were there and exports that start later reach their end without a reload, and
    the browser has nothing to complain about."""
    first = site.post(1)
    browser.open(f"{site.url}/exports/ui")
    browser.until(lambda: browser.text("#connection") == "live")
    second = site.post(2)
    for export_id, name in ((first, "db.t1"), (second, "db.t2")):
        badge = f"{row(export_id)} .badge"
        browser.until(lambda badge=badge: browser.text(badge) == "finished")  # type: ignore[misc]
        assert browser.text(f"{row(export_id)} th") == name
        assert browser.text(f"{row(export_id)} .share") == "100 %"
    order = browser.run(
        "return [...document.querySelectorAll('#rows tr')].map(r => r.dataset.export)"
    )
    assert order == [str(second), str(first)]
    assert browser.log() == []


@needs_browser
def test_an_export_is_cancelled_by_keyboard_alone(site: Site, browser: Browser) -> None:
    """The cancel button asks first, and both can be reached and used without a mouse."""
    export_id = site.post(1)
    browser.open(f"{site.url}/exports/ui")
    browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "running")
    enter, tab = "\ue007", "\ue004"
    browser.run(f"document.querySelector('{row(export_id)} td:last-child button').focus()")
    browser.press(enter)
    browser.until(lambda: browser.run("return document.getElementById('confirm').open"))
    assert "db.t1" in browser.text("#question")
    assert browser.run("return document.activeElement.value") == "no"
    browser.press(tab)
    browser.press(enter)
    browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "cancelled")
    assert site.http.get(f"/exports/{export_id}").json()["state"] == "cancelled"


@needs_browser
def test_exports_are_filtered_by_words_and_state(site: Site, browser: Browser) -> None:
    """What does not match is hidden, and each state says how many there are."""
    ids = [site.post(number) for number in (1, 2, 31)]
    site.http.delete(f"/exports/{ids[1]}")
    browser.open(f"{site.url}/exports/ui")
    browser.until(lambda: browser.text(f"{row(ids[1])} .badge") == "cancelled")

    def shown() -> list[int]:
        script = "return [...document.querySelectorAll('#rows tr:not([hidden])')]"
        return [int(n) for n in browser.run(f"{script}.map(r => r.dataset.export)")]

    browser.until(lambda: len(shown()) == 3)
    browser.run(
        "const s = document.getElementById('search'); s.value = 'TEAM/t3';"
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert shown() == [ids[2]]
    browser.run(
        "const s = document.getElementById('search'); s.value = '';"
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    browser.click("input[value=cancelled]")
    assert shown() == [ids[1]]
    counts = browser.run(
        "return [...document.querySelectorAll('#states b')].map(b => b.textContent)"
    )
    assert counts == ["3", "2", "0", "0", "1", "0"]


@needs_browser
def test_details_show_the_timeline_of_the_run(site: Site, browser: Browser) -> None:
    """A row opens to the steps of its run, which go on while one looks."""
    export_id = site.post(1)
    browser.open(f"{site.url}/exports/ui")
    browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "running")
    browser.click(f"{row(export_id)} .toggle")

    def steps() -> list[str]:
        script = "return [...document.querySelectorAll('.steps li b')].map(b => b.textContent)"
        return list(browser.run(script))

    browser.until(lambda: "running" in steps())
    assert steps()[:3] == ["planned", "submitting", "submitted"]
    site.http.delete(f"/exports/{export_id}")
    browser.until(lambda: steps()[-1] == "cancelled")
    browser.click(f"{row(export_id)} .toggle")
    assert browser.run("return document.querySelector('.details')") is None


@needs_browser
def test_markup_in_names_is_text(site: Site, browser: Browser) -> None:
    """A table that is called like an element is shown as it is called, and runs nothing."""
    export_id = site.post(1, table_name=TRICK)
    browser.open(f"{site.url}/exports/ui")
    browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "running")
    browser.click(f"{row(export_id)} .toggle")
    assert browser.text(f"{row(export_id)} th") == f"db.{TRICK}"
    assert browser.run("return document.querySelectorAll('main img').length") == 0
    assert browser.run("return document.title") == "Exports"
    assert browser.log() == []


NAMELESS = """
const named = (e) => e.getAttribute('aria-label') || e.getAttribute('aria-labelledby')
  || (e.closest('label') || e).textContent.trim();
return [...document.querySelectorAll('button, input, progress, [role=region]')]
  .filter((e) => !named(e)).map((e) => e.outerHTML);
"""
FAINT = """
const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
const rgb = (text) => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d');
  canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
  canvas.fillRect(0, 0, 1, 1);
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data;
};
const light = (text) => {
  const [r, g, b] = [...rgb(text)].map(channel);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (e) => {
  const own = getComputedStyle(e).backgroundColor;
  return own !== 'rgba(0, 0, 0, 0)' || !e.parentElement ? own : ground(e.parentElement);
};
const leaves = [...document.body.querySelectorAll('*')].filter(
  (e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
return leaves.map((e) => {
  const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
  return [(a + 0.05) / (b + 0.05), e.outerHTML];
}).filter(([ratio]) => ratio < 4.5);
"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_by_everybody(scheme: str, site: Site, browser: Browser) -> None:
    """In light and dark, every control has a name and every text stands out from its ground by
    4.5 to 1."""
    browser.scheme(scheme)
    export_id = site.post(1)
    browser.open(f"{site.url}/exports/ui")
    browser.until(lambda: browser.text(f"{row(export_id)} .badge") == "running")
    browser.click(f"{row(export_id)} .toggle")
    browser.until(lambda: "running" in browser.text(".steps"))
    assert browser.run(NAMELESS) == []
    assert browser.run(FAINT) == []
    dark = browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark is (scheme == "dark")


@needs_browser
def test_a_caller_without_rights_is_told_so(browser: Browser, tmp_path: Path) -> None:
    """What the router answers is shown, as text."""
    emulator = Emulator(engine=NullEngine({"db": TABLES}), launch=0, run=0.01)
    app = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator)))
    policy = ExportPolicy.allow_all()
    app.include_router(exports_router(policy, journal=tmp_path / "exports.db", ui=True))

    @app.middleware("http")
    async def forbid(request: Any, call_next: Any) -> Any:
        if request.url.path == "/exports":
            request.scope["path"] = "/exports/999"
        return await call_next(request)

    with run_app(app) as (url, _):
        browser.open(f"{url}/exports/ui")
        browser.until(lambda: "there is no export" in browser.text("#problem"))
        assert browser.text("#connection") == "lost"
        browser.open("about:blank")  # before the application goes down
    emulator.close()
