"""Whom the OBS front is for, whom it lets in, and what its faults do; in process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dli_async.emulator import (
    ACCESS_KEY,
    PROJECT_ID,
    SECRET_KEY,
    TOKEN,
    Emulator,
    NullEngine,
    UnknownFault,
)

pytestmark = pytest.mark.anyio

BODY = b"0123456789"
PATH = "http://emulator.invalid/lake/exp/a.csv"
KEYS = Credentials(ACCESS_KEY, SECRET_KEY)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """The real time, which botocore signs."""
    folder = tmp_path / "lake" / "exp"
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(BODY)
    made = Emulator(obs_dir=tmp_path, engine=NullEngine({}), inline=True)
    yield made
    made.close()


def sign(method: str, url: str, keys: Any = KEYS, **headers: str) -> dict[str, str]:
    """Headers as botocore makes them."""
    request = AWSRequest(method, url, headers={"host": urlsplit(url).netloc, **headers})
    S3SigV4Auth(keys, "s3", "cn-north-4").add_auth(request)
    return dict(request.headers.items())


async def ask(
    emulator: Emulator, url: str, method: str = "GET", keys: Any = KEYS, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=emulator.transport()) as client:
        return await client.request(method, url, headers=sign(method, url, keys, **named))


def code(answer: httpx.Response) -> str:
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


@pytest.mark.parametrize(
    "url",
    [
        PATH,
        "http://127.0.0.1:9/lake/exp/a.csv",
        "http://lake.localhost:9/exp/a.csv",
        "http://lake.obs.cn-north-4.myhuaweicloud.com/exp/a.csv",
        "http://lake.obs.eu-west-101.myhuaweicloud.eu/exp/a.csv",
    ],
)
async def test_the_bucket_is_in_the_host_or_in_the_path(emulator: Emulator, url: str) -> None:
    """On a host of OBS or of this machine before it; on the shared host in the path."""
    answer = await ask(emulator, url)
    assert (answer.status_code, answer.content) == (200, BODY)
    assert answer.headers["etag"] == f'"{hashlib.md5(BODY).hexdigest()}"'
    assert answer.headers["server"] == "OBS"


async def test_the_service_refuses_buckets_in_the_path(emulator: Emulator) -> None:
    """As the public one does."""
    answer = await ask(emulator, "http://obs.cn-north-4.myhuaweicloud.com/lake/exp/a.csv")
    assert (answer.status_code, code(answer)) == (403, "VirtualHostDomainRequired")


async def test_other_services_answer_on_the_same_host(emulator: Emulator) -> None:
    """What nobody signed for OBS is for DLI, known or not; OBS's own names are its own."""
    async with httpx.AsyncClient(transport=emulator.transport()) as client:
        base = f"http://emulator.invalid/v1.0/{PROJECT_ID}"
        known = await client.get(f"{base}/databases", headers={"X-Auth-Token": TOKEN})
        unknown = await client.get(PATH)
        local = await client.get("http://lake.localhost/exp/a.csv")
        nobody = await client.get("http://lake.obs.cn-north-4.myhuaweicloud.com/exp/a.csv")
    assert (known.status_code, unknown.status_code, local.status_code) == (200, 501, 501)
    assert (nobody.status_code, code(nobody)) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("wanted", "status", "body", "told"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("lines=1-2", 200, BODY, None),
    ],
)
async def test_ranges(
    emulator: Emulator, wanted: str, status: int, body: bytes, told: str | None
) -> None:
    """Of each kind; what is no range of bytes is not one."""
    answer = await ask(emulator, PATH, range=wanted)
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("content-range") == told


async def test_a_head_tells_the_length_and_has_no_body(emulator: Emulator) -> None:
    """A refused one has no words either."""
    found = await ask(emulator, PATH, "HEAD")
    assert (found.headers["content-length"], found.content) == ("10", b"")
    missing = await ask(emulator, f"{PATH}x", "HEAD")
    assert (missing.status_code, missing.content) == (404, b"")


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_nothing_is_written(emulator: Emulator, method: str) -> None:
    """The front is read-only but for deleting."""
    answer = await ask(emulator, PATH, method)
    assert (answer.status_code, code(answer)) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("key", ["../../secret", "exp/../exp/a.csv", "exp//a.csv", "exp", "exp/l"])
async def test_keys_lead_nowhere_else(emulator: Emulator, tmp_path: Path, key: str) -> None:
    """Neither dots, empty names, folders nor links."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "lake" / "exp" / "l").symlink_to(tmp_path / "secret")
    quoted = key.replace("..", "%2E%2E")
    answer = await ask(emulator, f"http://emulator.invalid/lake/{quoted}")
    assert code(answer) in ("NoSuchKey", "SignatureDoesNotMatch")
    assert b"secret" not in answer.content.partition(b"<Resource>")[0]


async def test_temporary_keys_need_their_token_and_end(tmp_path: Path) -> None:
    """The token must be the key's own, and the key's life must not be over."""
    now = [time.time()]
    emulator = Emulator(obs_dir=tmp_path, engine=NullEngine({}), inline=True, clock=lambda: now[0])
    (tmp_path / "lake").mkdir()
    async with httpx.AsyncClient(transport=emulator.transport()) as client:
        asked = {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": 900}}}}
        url = "http://emulator.invalid/v3.0/OS-CREDENTIAL/securitytokens"
        given = await client.post(url, json=asked, headers={"X-Auth-Token": TOKEN})
        assert given.status_code == 201
        refused = await client.post(url, json=asked, headers={"X-Auth-Token": "x"})
        assert refused.status_code == 401
        asked["auth"]["identity"]["token"]["duration_seconds"] = 899
        short = await client.post(url, json=asked, headers={"X-Auth-Token": TOKEN})
        assert short.status_code == 400
    key = given.json()["credential"]
    listing = "http://emulator.invalid/lake/?list-type=2"
    good = Credentials(key["access"], key["secret"], key["securitytoken"])
    assert (await ask(emulator, listing, keys=good)).status_code == 200
    bad = Credentials(key["access"], key["secret"], "other")
    assert code(await ask(emulator, listing, keys=bad)) == "InvalidSecurity"
    now[0] += 14 * 60
    assert (await ask(emulator, listing, keys=good)).status_code == 200
    now[0] += 61
    assert code(await ask(emulator, listing, keys=good)) == "RequestTimeTooSkewed"
    emulator.close()


async def test_a_link_ends(tmp_path: Path) -> None:
    """After the seconds that it was signed for."""
    now = [time.time()]
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "a").write_bytes(BODY)
    emulator = Emulator(obs_dir=tmp_path, engine=NullEngine({}), inline=True, clock=lambda: now[0])
    request = AWSRequest("GET", "http://emulator.invalid/lake/a")
    S3SigV4QueryAuth(KEYS, "s3", "cn-north-4", expires=60).add_auth(request)
    async with httpx.AsyncClient(transport=emulator.transport()) as client:
        assert (await client.get(str(request.url))).content == BODY
        now[0] += 61
        late = await client.get(str(request.url))
    assert (late.status_code, code(late)) == (403, "AccessDenied")
    emulator.close()


async def test_a_body_that_is_not_the_signed_one_is_refused(emulator: Emulator) -> None:
    """The hash of the body is part of the signature."""
    url = "http://emulator.invalid/lake/?delete="
    async with httpx.AsyncClient(transport=emulator.transport()) as client:
        answer = await client.post(url, headers=sign("POST", url), content=b"<Delete/>")
    assert (answer.status_code, code(answer)) == (400, "XAmzContentSHA256Mismatch")


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ({"kind": "slow-down"}, 503, "SlowDown"),
        ({"kind": "expired-token"}, 403, "ExpiredToken"),
        ({"kind": "throttle"}, 503, "SlowDown"),
        ({"kind": "status:500"}, 500, "InternalError"),
        ({"kind": "status:503"}, 503, "ServiceUnavailable"),
    ],
)
async def test_errors_on_demand_are_in_obs_words(
    emulator: Emulator, fault: dict[str, Any], status: int, said: str
) -> None:
    """Whatever service they are asked of, and counted."""
    emulator.faults.set([{"route": "obs-get", **fault}])
    answer = await ask(emulator, PATH)
    assert (answer.status_code, code(answer)) == (status, said)
    assert sum(emulator.ledger.faults.values()) == emulator.ledger.requests["obs-get"] == 1


async def test_faults_bend_what_is_told_of_objects(emulator: Emulator) -> None:
    """A short body, a Range that is ignored, an ETag that is no MD5, a hidden object."""
    listing = "http://emulator.invalid/lake/?list-type=2"
    emulator.faults.set([{"route": "*", "kind": "wrong-length"}])
    assert (await ask(emulator, PATH)).content == BODY[:-1]
    emulator.faults.set([{"route": "*", "kind": "ignored-range"}])
    assert (await ask(emulator, PATH, range="bytes=2-3")).status_code == 200
    emulator.faults.set([{"route": "*", "kind": "etag-not-md5"}])
    etag = (await ask(emulator, PATH)).headers["etag"]
    assert etag.endswith('-2"')
    assert etag.strip('"') in (await ask(emulator, listing)).text
    assert (await ask(emulator, PATH, if_match=etag)).status_code == 200
    emulator.faults.set([{"route": "*", "kind": "hidden-object", "match": "*.csv", "times": 1}])
    assert "a.csv" not in (await ask(emulator, listing)).text
    assert "a.csv" in (await ask(emulator, listing)).text


@pytest.mark.parametrize(
    "fault",
    [
        {"route": "obs-get", "kind": "is-success-false"},
        {"route": "status", "kind": "slow-down"},
        {"route": "status", "kind": "page-size:1"},
        {"route": "obs-list", "kind": "slow-down", "when": "after"},
        {"route": "obs-get", "kind": "page-size:1"},
    ],
)
async def test_a_fault_that_cannot_be_is_refused(emulator: Emulator, fault: dict[str, Any]) -> None:
    """A word of one service on a route of another would prove nothing."""
    with pytest.raises(UnknownFault):
        emulator.faults.set([fault])


async def test_a_fault_of_everything_leaves_others_their_own(emulator: Emulator) -> None:
    """`*` takes the routes that the word can act on."""
    emulator.faults.set(
        [{"route": "*", "kind": "slow-down"}, {"route": "*", "kind": "broken-json"}]
    )
    assert (await ask(emulator, PATH)).status_code == 503
    async with httpx.AsyncClient(transport=emulator.transport()) as client:
        base = f"http://emulator.invalid/v1.0/{PROJECT_ID}"
        answer = await client.get(f"{base}/databases", headers={"X-Auth-Token": TOKEN})
    assert answer.text == '{"is_success":true,"message":"'


async def test_without_files_there_are_no_buckets() -> None:
    """An engine that writes none has none."""
    emulator = Emulator(engine=NullEngine({}), inline=True)
    assert code(await ask(emulator, PATH)) == "NoSuchBucket"
    emulator.close()
