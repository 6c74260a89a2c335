"""Links that open a file without a login."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from dli_async import AkSk, ConfigurationError, DliClient, StaticToken
from dli_async._auth import Keys
from dli_async._obs.signing import quote_key, sign_link
from dli_async.emulator import ACCESS_KEY, SECRET_KEY, TOKEN

from .conftest import DATA_PATH, Lake
from .test_store import ODD

pytestmark = pytest.mark.anyio

DAY = 24 * 3600


async def get(lake: Lake, url: str) -> httpx.Response:
    """What somebody without a login is answered."""
    async with httpx.AsyncClient(transport=lake.emulator.transport()) as http:
        return await http.get(url)


@pytest.mark.parametrize(
    "login", [AkSk(ACCESS_KEY, SECRET_KEY), StaticToken(TOKEN)], ids=["keys", "token"]
)
async def test_a_link_opens_its_file_and_no_other(lake: Lake, login: Any) -> None:
    """With permanent and with temporary keys, whatever the name is, and without the secret key."""
    for name in ODD:
        lake.write(name, name.encode())
    async with lake.client(auth=login) as client:
        parts = await client.files.list(DATA_PATH)
        links = await client.files.links(parts)
        assert await client.files.link(parts[0], expires=60)

    for part, link in zip(parts, links, strict=True):
        answer = await get(lake, link)
        assert (answer.status_code, answer.content) == (200, part.name.encode())
        assert SECRET_KEY not in link
        assert TOKEN not in link
    own, other = (urlsplit(link) for link in links[:2])
    refused = await get(lake, own._replace(path=other.path).geturl())
    assert (refused.status_code, "SignatureDoesNotMatch" in refused.text) == (403, True)


@pytest.mark.parametrize("style", [True, False], ids=["path", "host"])
async def test_a_link_names_the_bucket_as_the_client_does(lake: Lake, style: bool) -> None:
    """In the path, or before the host."""
    lake.write("part-0.csv", b"x")
    options = {"obs_endpoint": "http://localhost:8765", "obs_path_style": style}
    async with lake.client(**options) as client:
        (part,) = await client.files.list(DATA_PATH)
        link = await client.files.link(part)

    below = "localhost:8765/lake" if style else "lake.localhost:8765"
    assert link.startswith(f"http://{below}/exp/run1/part-0.csv?X-Amz-")
    assert (await get(lake, link)).content == b"x"


async def test_a_link_opens_nothing_when_its_time_is_over(
    lake: Lake, client: DliClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for anybody who writes a longer one into it."""
    lake.write("part-0.csv", b"x")
    (part,) = await client.files.list(DATA_PATH)
    store = client.files._store
    long_ago = store._now() - 61
    monkeypatch.setattr(store, "_now", lambda: long_ago)

    over = await client.files.link(part, expires=60)
    assert "Request has expired" in (await get(lake, over)).text
    longer = over.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
    assert "SignatureDoesNotMatch" in (await get(lake, longer)).text
    assert (await get(lake, await client.files.link(part, expires=600))).status_code == 200


@pytest.mark.parametrize("expires", [0, -1, 7 * DAY + 1, 60.5, True, "60"])
async def test_a_link_has_a_life_that_obs_takes(
    lake: Lake, client: DliClient, expires: Any
) -> None:
    """1 second to 7 days, whole ones; all else is said before anything is asked."""
    part = await _any_part(lake, client)
    asked = lake.emulator.ledger.requests.total()
    with pytest.raises(ConfigurationError, match="expires="):
        await client.files.link(part, expires=expires)
    assert lake.emulator.ledger.requests.total() == asked
    assert "X-Amz-Expires=604800" in await client.files.link(part, expires=7 * DAY)


async def test_many_links_are_the_same_as_one_by_one(lake: Lake, client: DliClient) -> None:
    """They come in the order of their files, and OBS is not asked for them."""
    part = await _any_part(lake, client)
    parts = [replace(part, key=f"exp/run1/part-{number}.csv") for number in range(200)]
    asked = lake.emulator.ledger.requests.total()
    links = await client.files.links(parts)
    assert [urlsplit(link).path for link in links] == [f"/lake/{item.key}" for item in parts]
    assert lake.emulator.ledger.requests.total() == asked


async def _any_part(lake: Lake, client: DliClient) -> Any:
    lake.write("part-0.csv", b"x")
    return (await client.files.list(DATA_PATH))[0]


@pytest.mark.parametrize("token", [None, "token+/=="], ids=["permanent", "temporary"])
@pytest.mark.parametrize("key", ODD)
def test_the_signature_is_that_of_another_signer(key: str, token: str | None) -> None:
    """The parameters that botocore gives a link, at the moment at which it made it."""
    host, path = "lake.obs.test", f"/exp/{quote_key(key)}"
    request = AWSRequest("GET", f"https://{host}{path}")
    S3SigV4QueryAuth(Credentials("ak", "sk", token), "s3", "cn-north-4", 60).add_auth(request)
    theirs = parse_qs(urlsplit(request.url).query)

    moment = datetime.strptime(f"{theirs['X-Amz-Date'][0]}+0000", "%Y%m%dT%H%M%SZ%z")
    now = moment.astimezone(UTC).timestamp()
    keys = Keys("ak", "sk", token)
    ours = sign_link(host, path, keys=keys, region="cn-north-4", now=now, life=60)
    assert parse_qs(ours) == theirs
