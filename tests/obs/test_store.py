"""Listing, existing, deleting; whom OBS lets in; where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from dli_async import (
    AkSk,
    AuthenticationError,
    ClientClosed,
    ConfigurationError,
    DliClient,
    IamToken,
    NotFound,
    RateLimited,
    RetryPolicy,
    StaticToken,
)
from dli_async.emulator import ACCESS_KEY, SECRET_KEY, TOKEN, Emulator, NullEngine
from tests.conftest import VIRTUAL

from .conftest import DATA_PATH, Lake

pytestmark = pytest.mark.anyio

ODD = ["a b.csv", "100%.csv", "a+b.csv", "数据.csv", "a%20b.csv", "a&b=c.csv", "~x'(1).csv"]


def names(parts: Any) -> list[str]:
    return [part.name for part in parts]


async def test_a_list_has_part_files_and_nothing_else(lake: Lake, client: DliClient) -> None:
    """No mark of success, no hidden name, no folder below, no folder whose name begins alike."""
    for name in ("part-0.csv.gz", "part-1.json", "_SUCCESS", ".hidden", "below/part-2.csv"):
        lake.write(name, b"x")
    lake.write("../run10/part-9.csv", b"x")

    found = await client.files.list(DATA_PATH)

    assert [(part.name, part.size, part.format, part.codec) for part in found] == [
        ("part-0.csv.gz", 1, "csv", "gzip"),
        ("part-1.json", 1, "json", None),
    ]
    assert found[0].key == "exp/run1/part-0.csv.gz"
    assert found[0].etag == "9dd4e461268c8034f5c8564e155c67a6"


async def test_odd_names_come_as_they_are(lake: Lake, client: DliClient) -> None:
    """Blanks, percent signs, pluses and Chinese; each can be read too."""
    for name in ODD:
        lake.write(name, name.encode())
    lake.write("_SUCCESS", b"")

    assert sorted(names(await client.files.list(DATA_PATH))) == sorted(ODD)
    found = await client.files.verify(DATA_PATH + "/")
    assert len(found.files) == found.rows == len(ODD)


async def test_pages_are_put_together(lake: Lake, client: DliClient) -> None:
    """Also pages of one key."""
    for number in range(5):
        lake.write(f"part-{number}.csv", b"")
    lake.emulator.faults.set([{"route": "obs-list", "kind": "page-size:1"}])

    assert len(await client.files.list(DATA_PATH)) == 5
    assert lake.emulator.ledger.requests["obs-list"] == 5


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_ten_thousand_files_are_listed(lake: Lake, client: DliClient) -> None:
    """In pages of 1,000."""
    for number in range(10_000):
        (lake.folder / f"part-{number:05d}.csv").touch()

    found = await client.files.list(DATA_PATH)

    assert names(found) == [f"part-{number:05d}.csv" for number in range(10_000)]
    assert lake.emulator.ledger.requests["obs-list"] == 10


async def test_a_folder_is_deleted_with_all_that_lies_below(lake: Lake, client: DliClient) -> None:
    """More than one request takes; what only begins alike stays."""
    for number in range(1_005):
        (lake.folder / f"part-{number:05d}.csv").touch()
    lake.write("below/_SUCCESS", b"")
    kept = lake.write("../run10/part-9.csv", b"x")

    assert await client.files.delete(DATA_PATH) == 1_006
    assert not lake.folder.exists()
    assert kept.exists()
    assert lake.emulator.ledger.requests["obs-delete"] == 2
    assert await client.files.delete(DATA_PATH) == 0


async def test_a_folder_exists_as_soon_as_anything_lies_in_it(
    lake: Lake, client: DliClient
) -> None:
    """Be it hidden; a folder whose name only begins alike does not count."""
    lake.write("../run10/part-9.csv", b"x")
    assert not await client.files.exists(DATA_PATH)
    lake.write("_temporary/0/x", b"x")
    assert await client.files.exists(DATA_PATH)


@pytest.mark.parametrize("data_path", ["obs://lake", "obs://lake/", "lake/exp", "obs://lake/../x"])
async def test_a_bucket_is_never_deleted(lake: Lake, client: DliClient, data_path: str) -> None:
    """Nor anything but a folder below one; nothing is asked of OBS."""
    kept = lake.write("part-0.csv", b"x")
    with pytest.raises(ConfigurationError, match="data_path="):
        await client.files.delete(data_path)
    assert kept.exists()
    assert not lake.emulator.ledger.requests


@pytest.mark.parametrize(
    ("login", "asked"),
    [
        (AkSk(ACCESS_KEY, SECRET_KEY), 0),
        (StaticToken(TOKEN), 1),
        (IamToken("emulator", "emulator", "emulator"), 1),
    ],
    ids=["keys", "token", "user"],
)
async def test_files_need_no_login_of_their_own(lake: Lake, login: Any, asked: int) -> None:
    """Keys sign; with a token, temporary keys are asked for once."""
    lake.write("part-0.csv", b"x")
    async with lake.client(auth=login) as client:
        for _ in range(2):
            assert len(await client.files.list(DATA_PATH)) == 1
    assert lake.emulator.ledger.requests["iam-keys"] == asked


async def test_temporary_keys_that_expire_midway_are_replaced_once(lake: Lake) -> None:
    """A refusal asks for new ones; a second one in a row is raised."""
    lake.write("part-0.csv", b"x\n")
    lake.write("_SUCCESS", b"")
    expired = {"route": "obs-get", "kind": "expired-token"}
    async with lake.client(auth=StaticToken(TOKEN)) as client:
        lake.emulator.faults.set([expired | {"times": 1}])
        assert (await client.files.verify(DATA_PATH, header=False)).rows == 1
        assert lake.emulator.ledger.requests["iam-keys"] == 2
        lake.emulator.faults.set([expired])
        with pytest.raises(AuthenticationError, match="ExpiredToken"):
            await client.files.verify(DATA_PATH)


async def test_a_wrong_signature_is_not_tried_again(lake: Lake) -> None:
    """And says whose word it is."""
    async with lake.client(auth=AkSk(ACCESS_KEY, "wrong")) as client:
        with pytest.raises(AuthenticationError, match="SignatureDoesNotMatch"):
            await client.files.list(DATA_PATH)
    assert lake.emulator.ledger.requests["obs-list"] == 1


async def test_a_bucket_that_is_not_there_is_not_found(client: DliClient) -> None:
    """With OBS's code and the id of the request."""
    with pytest.raises(NotFound, match="NoSuchBucket") as missing:
        await client.files.list("obs://elsewhere/exp")
    assert missing.value.request_id


@pytest.mark.parametrize("anyio_backend", VIRTUAL, indirect=True)
async def test_slow_down_is_heeded(tmp_path: Path) -> None:
    """It is tried again after a pause, and raised as RateLimited where it goes on."""
    (tmp_path / "lake").mkdir()
    emulator = Emulator(obs_dir=tmp_path, engine=NullEngine({}), inline=True)
    emulator.faults.set([{"route": "obs-list", "kind": "slow-down", "nth": [1, 3, 4, 5]}])
    retry = RetryPolicy(attempts=3, wait_initial=0.001)
    async with emulator.client(auth=AkSk(ACCESS_KEY, SECRET_KEY), retry=retry) as client:
        began = anyio.current_time()
        assert await client.files.list(DATA_PATH) == ()
        assert anyio.current_time() - began >= 1.0
        with pytest.raises(RateLimited, match="SlowDown"):
            await client.files.list(DATA_PATH)
    emulator.close()


async def test_an_object_that_appears_late_is_seen_at_the_next_look(
    lake: Lake, client: DliClient
) -> None:
    """A verification in between tells what is missing."""
    for number in range(3):
        lake.write(f"part-0000{number}.csv", b"1\n")
    lake.emulator.faults.set(
        [{"route": "obs-list", "kind": "hidden-object", "match": "part-00001*", "times": 1}]
    )

    assert names(await client.files.list(DATA_PATH)) == ["part-00000.csv", "part-00002.csv"]
    assert len(await client.files.list(DATA_PATH)) == 3


async def test_a_closed_client_has_no_files(lake: Lake) -> None:
    """As for everything else of it."""
    client = lake.client()
    with pytest.raises(ClientClosed):
        client.files  # noqa: B018


class Seen:
    """Answers every request with an empty list, and keeps it."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, content=b"<ListBucketResult/>")


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"region": "cn-north-4"}, "https://lake.obs.cn-north-4.myhuaweicloud.com/?"),
        ({"region": "eu-west-101"}, "https://lake.obs.eu-west-101.myhuaweicloud.eu/?"),
        (
            {"endpoint": "https://dli.cn-east-3.myhuaweicloud.com"},
            "https://lake.obs.cn-east-3.myhuaweicloud.com/?",
        ),
        (
            {"region": "cn-north-4", "obs_endpoint": "https://obs.company.test"},
            "https://lake.obs.company.test/?",
        ),
        (
            {"region": "cn-north-4", "obs_endpoint": "https://10.0.0.1:8443"},
            "https://10.0.0.1:8443/lake/?",
        ),
        (
            {
                "region": "cn-north-4",
                "obs_endpoint": "https://obs.company.test",
                "obs_path_style": True,
            },
            "https://obs.company.test/lake/?",
        ),
        ({"endpoint": "http://127.0.0.1:8765"}, "http://127.0.0.1:8765/lake/?"),
    ],
)
async def test_the_endpoint_follows_from_what_is_known(options: dict[str, Any], url: str) -> None:
    """The bucket stands before the host, but at an address and at an emulator."""
    seen = Seen()
    transport = httpx.MockTransport(seen.handle)
    auth = AkSk("a", "b", security_token="t")
    async with DliClient(project_id="p", auth=auth, transport=transport, **options) as client:
        assert await client.files.list("obs://lake/exp") == ()

    request = seen.requests[0]
    assert str(request.url).startswith(url)
    assert request.headers["host"] == request.url.netloc.decode()
    assert request.headers["x-amz-security-token"] == "t"
    assert "x-amz-security-token" in request.headers["authorization"]


def test_the_environment_names_obs() -> None:
    """`OBS_ENDPOINT`, where no option does."""
    variables = {"DLI_REGION": "cn-north-4", "OBS_ENDPOINT": "https://obs.company.test"}
    client = DliClient.from_env(variables)
    assert client._obs == ("https://obs.company.test", False)


async def test_without_region_and_endpoint_nobody_knows_where_obs_is() -> None:
    """That is said before anything is sent."""
    auth = AkSk("a", "b")
    async with DliClient(endpoint="https://dli.test", project_id="p", auth=auth) as client:
        with pytest.raises(ConfigurationError, match="obs_endpoint"):
            client.files  # noqa: B018


async def test_marks_of_folders_are_no_files() -> None:
    """A parallel file system lists `folder/` as an object of size 0."""
    page = """<ListBucketResult><Contents><Key>exp/run1/</Key><Size>0</Size></Contents>
    <Contents><Key>exp/run1/part-0.csv</Key><Size>4</Size><ETag>"e"</ETag></Contents>
    <CommonPrefixes><Prefix>exp/run1/below/</Prefix></CommonPrefixes></ListBucketResult>"""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=page)

    options: dict[str, Any] = {"transport": httpx.MockTransport(answer), "auth": AkSk("a", "b")}
    async with DliClient(region="cn-north-4", project_id="p", **options) as client:
        assert names(await client.files.list(DATA_PATH)) == ["part-0.csv"]
