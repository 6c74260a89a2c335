"""The files of exports over HTTP: lists, links, and who is shown none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from dli_async import AkSk, ConfigurationError
from dli_async.emulator import ACCESS_KEY, SECRET_KEY, Emulator, NullEngine
from dli_async.fastapi import ExportPolicy, exports_router

from .conftest import ENDLESS, Serve, Web, is_over

FOLDER = "obs://bucket/team/leads"
LEADS = {
    "database_name": "crm",
    "table_name": "leads",
    "data_path": FOLDER,
    "compress": "gzip",
}
KEYS = {"auth": AkSk(ACCESS_KEY, SECRET_KEY)}


@pytest.fixture
def emulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Emulator]:
    """One that writes files, or none where a test is marked `ENDLESS`."""
    run = getattr(request, "param", 0.05)
    engine = NullEngine({"crm": ["leads"]}) if run > 1 else None
    made = Emulator(obs_dir=tmp_path / "obs", engine=engine, launch=0, run=run)
    yield made
    made.close()


@pytest.fixture
def root(emulator: Emulator) -> Path:
    """The folder of the export."""
    return Path(str(emulator.obs_dir)) / "bucket" / "team" / "leads"


def export(web: Web, name: str = "alice", **changes: Any) -> str:
    """The path of an export that has finished."""
    accepted = web.by(name).post("/exports", json=LEADS | changes)
    assert accepted.status_code == 202, accepted.text
    place = accepted.headers["location"]
    assert web.until(place, is_over, name)["state"] == "finished"
    return str(place)


def names(answer: Any) -> list[str]:
    return [file["name"] for file in answer.json()["files"]]


def test_a_finished_export_shows_its_files(serve: Serve, root: Path) -> None:
    """Each with what OBS tells of it, by the export's own id and by DLI's; marks are no files."""
    with serve() as web:
        place = export(web)
        answer = web.by("alice").get(f"{place}/files")
        job_id = web.by("alice").get(place).json()["job_id"]
        assert names(web.by("alice").get(f"/exports/{job_id}/files")) == names(answer)
    (part,) = root.glob("part-*")
    told = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    (file,) = told.pop("files")
    size = part.stat().st_size
    assert told == {"count": 1, "size": size, "next_after": None, "links_expire_at": None}
    assert (file["name"], file["size"], file["link"]) == (part.name, size, None)
    assert (file["format"], file["codec"]) == ("csv", "gzip")
    assert len(file["etag"]) == 32
    written = datetime.fromtimestamp(part.stat().st_mtime, UTC)
    assert abs(datetime.fromisoformat(file["last_modified"]) - written) < timedelta(seconds=1)


def test_links_open_the_files_where_the_policy_gives_them(
    serve: Serve, emulator: Emulator, root: Path
) -> None:
    """With temporary keys and permanent ones, to somebody without a login, for so long as the
    router says; neither the answer nor the link holds the secret key."""
    policy = ExportPolicy(data_paths=["obs://bucket/team"], links=True)

    async def open_link(link: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=emulator.transport()) as http:
            return await http.get(link)

    for client in ({}, KEYS):
        before = datetime.now(UTC).replace(microsecond=0)
        with serve(policy, client=client, link_life=90) as web:
            place = export(web, export_mode="Overwrite")
            answer = web.by("alice").get(f"{place}/files")
        (file,) = answer.json()["files"]
        assert anyio.run(open_link, file["link"]).content == (root / file["name"]).read_bytes()
        assert "X-Amz-Expires=90&" in file["link"]
        signed = re.search(r"X-Amz-Date=(\w+)Z&", file["link"])
        assert signed
        begins = datetime.strptime(f"{signed[1]}+0000", "%Y%m%dT%H%M%S%z")
        told = datetime.fromisoformat(answer.json()["links_expire_at"])
        assert before <= told - timedelta(seconds=90) <= begins
        assert SECRET_KEY not in answer.text


def test_many_files_come_in_pages(serve: Serve, root: Path) -> None:
    """Each file once, in OBS's order whatever its name; every page tells how many there are."""
    more = ["a b+c%.csv", "part-￿.csv", "part-😀.csv", "数据.csv"]
    with serve() as web:
        place = export(web)
        for name in more:
            (root / name).write_text("x")
        alice = web.by("alice")
        whole = names(alice.get(f"{place}/files"))
        assert whole == sorted(
            {path.name for path in root.iterdir()} - {"_SUCCESS"}, key=str.encode
        )
        seen, after = [], ""
        while after is not None:
            page = alice.get(f"{place}/files", params={"after": after, "limit": 2})
            assert page.json()["count"] == len(more) + 1
            seen.append(names(page))
            after = page.json()["next_after"]
    assert [len(page) for page in seen] == [2, 2, 1]
    assert [name for page in seen for name in page] == whole


def test_the_files_of_others_are_not_there(serve: Serve) -> None:
    """Nobody can tell them from those of an export that does not exist; an admin sees them."""
    policy = ExportPolicy.allow_all(links=True, admins=["root"])
    with serve(policy) as web:
        place = export(web)
        other, unknown = (web.by("bob").get(f"{p}/files") for p in (place, "/exports/999"))
        assert (other.status_code, unknown.status_code) == (404, 404)
        assert other.json()["type"] == unknown.json()["type"] == "urn:dli-async:unknown-export"
        assert web.http.get(f"{place}/files").status_code == 401
        assert len(names(web.by("root").get(f"{place}/files"))) == 1


@pytest.mark.parametrize(
    ("rule", "narrower"),
    [
        ("data_paths", {"data_paths": ["obs://bucket/other"]}),
        ("tables", {"tables": ["sales.*"]}),
    ],
)
def test_what_the_policy_no_longer_allows_is_not_shown(
    serve: Serve, emulator: Emulator, rule: str, narrower: Any
) -> None:
    """An export that was accepted under a wider policy keeps its files; OBS is not asked."""
    with serve() as web:
        place = export(web)
    with serve(ExportPolicy(**narrower, links=True)) as web:
        answer = web.by("alice").get(f"{place}/files")
    assert (answer.status_code, answer.json()["rule"]) == (403, rule)
    assert emulator.ledger.requests["obs-list"] == 0


def test_how_an_export_was_made_does_not_hide_its_files(serve: Serve) -> None:
    """Queues and modes may be narrowed: they say what starts, not what is seen."""
    with serve() as web:
        place = export(web, export_mode="Overwrite")
    with serve(ExportPolicy(queues=["night"], export_modes=["ErrorIfExists"])) as web:
        assert web.by("alice").get(f"{place}/files").status_code == 200


@ENDLESS
def test_an_export_that_has_not_finished_has_no_files(serve: Serve, emulator: Emulator) -> None:
    """Neither while it runs nor after it was cancelled; OBS is not asked."""
    with serve() as web:
        alice = web.by("alice")
        place = alice.post("/exports", json=LEADS).headers["location"]
        web.until(place, lambda body: body["status"] == "RUNNING")
        running = alice.get(f"{place}/files")
        alice.delete(place)
        web.until(place, is_over)
        cancelled = alice.get(f"{place}/files")
    for answer, state in ((running, "submitted"), (cancelled, "cancelled")):
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:dli-async:no-files")
        assert state in answer.json()["detail"]
    assert emulator.ledger.requests["obs-list"] == 0


def test_files_that_a_later_export_has_replaced_are_shown_by_that_one(serve: Serve) -> None:
    """The earlier one has none any more, be the later one its own caller's or another's."""
    with serve(ExportPolicy.allow_all(admins=["root"])) as web:
        first = export(web)
        second = export(web, export_mode="Overwrite")
        replaced = web.by("alice").get(f"{first}/files")
        assert (replaced.status_code, replaced.json()["type"]) == (409, "urn:dli-async:no-files")
        assert len(names(web.by("alice").get(f"{second}/files"))) == 1


def test_an_export_that_failed_hides_nobody_elses_files(serve: Serve) -> None:
    """ErrorIfExists left them alone, whoever tried it."""
    with serve() as web:
        place = export(web)
        other = web.by("bob").post("/exports", json=LEADS).headers["location"]
        assert web.until(other, is_over, "bob")["state"] == "failed"
        assert len(names(web.by("alice").get(f"{place}/files"))) == 1
        assert web.by("bob").get(f"{other}/files").status_code == 409


@pytest.mark.parametrize(
    ("kind", "status"),
    [("status:500", 502), ("status:403", 502), ("slow-down", 503), ("refuse", 503), ("reset", 504)],
)
def test_an_obs_that_does_not_answer_is_told_as_such(
    serve: Serve, emulator: Emulator, kind: str, status: int
) -> None:
    """As problem details: what it refused, and that it cannot be used where it is out of reach."""
    with serve() as web:
        place = export(web)
        emulator.faults.set([{"route": "obs-list", "when": "before", "kind": kind}])
        answer = web.by("alice").get(f"{place}/files")
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        emulator.faults.clear()
        assert web.by("alice").get(f"{place}/files").status_code == 200


def test_a_caller_learns_nothing_of_the_keys_that_obs_refused(serve: Serve) -> None:
    """A wrong secret key is 502 with OBS's code, without keys, signatures and what was signed."""
    with serve() as web:
        place = export(web)
    with serve(client={"auth": AkSk(ACCESS_KEY, "wrong-secret")}) as web:
        answer = web.by("alice").get(f"{place}/files")
    assert (answer.status_code, answer.json()["code"]) == (502, "SignatureDoesNotMatch")
    told = answer.text.lower()
    for secret in ("wrong-secret", ACCESS_KEY, "aws4", "x-amz", "canonical", "127.0.0.1"):
        assert secret not in told


def test_a_bucket_that_has_gone_is_no_unknown_export(serve: Serve, root: Path) -> None:
    """The export is there, and OBS refuses: 502."""
    with serve() as web:
        place = export(web)
        root.parents[1].rename(root.parents[2] / "elsewhere")
        answer = web.by("alice").get(f"{place}/files")
    assert (answer.status_code, "NoSuchBucket" in answer.json()["detail"]) == (502, True)


def test_files_that_were_removed_are_an_empty_list(serve: Serve, root: Path) -> None:
    """With links as well."""
    with serve(ExportPolicy.allow_all(links=True)) as web:
        place = export(web)
        for path in root.iterdir():
            path.unlink()
        told = web.by("alice").get(f"{place}/files").json()
    assert told == {
        "files": [],
        "count": 0,
        "size": 0,
        "next_after": None,
        "links_expire_at": None,
    }


@pytest.mark.parametrize("life", [0, -1, 604_801, 0.5, True])
def test_links_live_as_long_as_obs_takes(life: Any) -> None:
    """A life that it would refuse is refused when the router is made."""
    with pytest.raises(ConfigurationError, match="link_life="):
        exports_router(ExportPolicy.allow_all(), link_life=life)
