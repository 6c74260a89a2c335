"""Who is let in: signatures over the received bytes, tokens, temporary keys, and IAM's calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import DerivationAKSKSigner, Signer

from dli_async.emulator import ACCESS_KEY, PROJECT_ID, SECRET_KEY, Emulator
from dli_async.emulator._protocol.calls import Call
from dli_async.emulator._protocol.signatures import Claim, canonical_request, expected_signature

from .conftest import Caller, Clock, connect

pytestmark = pytest.mark.anyio

Make = Callable[..., Emulator]
HOST = "emulator.invalid"


def sign(
    clock: Callable[[], float],
    path: str,
    *,
    method: str = "GET",
    query: tuple[tuple[str, str], ...] = (),
    body: str = "",
    headers: dict[str, str] | None = None,
    key: tuple[str, str] = (ACCESS_KEY, SECRET_KEY),
    derived: bool = False,
) -> dict[str, str]:
    """Headers as the vendor's own signer makes them."""
    request = SdkRequest(
        method=method,
        schema="http",
        host=HOST,
        resource_path=path,
        query_params=list(query),
        header_params={
            "X-Sdk-Date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(clock())),
            **(headers or {}),
        },
        body=body,
    )
    credentials = BasicCredentials(*key)
    if derived:
        signed = DerivationAKSKSigner(credentials).sign(request, "dli", "cn-north-4")
    else:
        signed = Signer(credentials).sign(request)
    return dict(signed.header_params)


def path(rest: str) -> str:
    return f"/v1.0/{PROJECT_ID}/{rest}"


async def fetch(emulator: Emulator, url: str, headers: dict[str, str], **rest: Any) -> Any:
    transport = emulator.transport()
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as client:
        return await client.request(rest.pop("method", "GET"), url, headers=headers, **rest)


def said(answer: httpx.Response) -> str:
    return str(answer.json()["error_msg"])


def test_the_vendors_vectors_are_reproduced(vectors: Path) -> None:
    """From the bytes on the wire, the verifier's own computation comes to the same signatures."""
    known = json.loads(vectors.read_text())
    for case in known["cases"]:
        raw_path, _, query = case["uri"].partition("?")
        call = Call(
            case["method"],
            quote(raw_path),
            query,
            {name.lower(): value for name, value in case["signed_headers"].items()},
            case["body"].encode(),
        )
        claim = Claim.read(case["authorization"])
        assert claim is not None
        canonical = canonical_request(call, claim.signed_headers)
        date = case["signed_headers"]["X-Sdk-Date"]
        assert expected_signature(claim, known["sk"], date, canonical) == claim.signature


@pytest.mark.parametrize("derived", [False, True], ids=["plain", "derived"])
@pytest.mark.parametrize(
    "query",
    [
        (),
        (("page-size", "10"), ("order", "start_time_asc")),
        (("table_name", "数据 (&=?!#%.*)~"), ("db_name", "")),
        (("job_types", "QUERY"), ("job_types", "EXPORT")),
    ],
    ids=["none", "plain", "unicode", "repeated"],
)
async def test_the_vendors_signer_is_let_in(
    emulator: Emulator, clock: Clock, query: tuple[tuple[str, str], ...], derived: bool
) -> None:
    """Whatever it encodes and sorts, the received bytes verify; in both forms of signing."""
    signed = sign(clock, path("jobs"), query=query, derived=derived)
    text = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in query)

    answer = await fetch(emulator, f"{path('jobs')}?{text}", signed)

    assert answer.status_code == 200, answer.text


async def test_a_body_is_part_of_the_signature(emulator: Emulator, clock: Clock) -> None:
    """One byte more, and it is refused; an unsigned payload is not looked at."""
    url, headers = path("jobs/export-table"), {"Content-Type": "application/json"}
    signed = sign(clock, url, method="POST", body="{}", headers=headers)

    as_signed = await fetch(emulator, url, signed, method="POST", content=b"{}")
    changed = await fetch(emulator, url, signed, method="POST", content=b"{} ")
    form = sign(clock, url, method="POST", body="a", headers={"Content-Type": "text/plain"})
    unsigned = await fetch(emulator, url, form, method="POST", content=b"b")

    assert as_signed.json()["error_code"] == "DLI.0001"
    assert changed.json()["error_code"] == "APIGW.0301"
    assert unsigned.status_code == 415


async def test_the_gateway_shows_its_canonical_request(emulator: Emulator, clock: Clock) -> None:
    """Whoever is refused can compare it with his own; newlines are bars."""
    signed = sign(clock, path("jobs"))

    answer = await fetch(emulator, path("jobs") + "?order=a%2Fb", signed)

    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0301")
    assert "verify aksk signature fail" in said(answer)
    assert f"canonicalRequest:GET|{path('jobs')}/|order=a%2Fb|host:{HOST}|" in said(answer)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"Authorization": "Bearer x"}, "x-auth-token not found"),
        ({"Authorization": ""}, "x-auth-token not found"),
        ({"X-Sdk-Date": "yesterday"}, "x-sdk-date is not of the form"),
        ({"X-Sdk-Date": "20260101T114459Z"}, "signature expired"),
        ({"X-Sdk-Date": "20260101T121501Z"}, "signature expired"),
        ({"X-Sdk-Date": "20260101T121459Z"}, "verify aksk signature fail"),
        ({"X-Security-Token": "unsigned"}, "x-security-token must be signed"),
    ],
)
async def test_a_bad_signature_is_refused_with_the_reason(
    emulator: Emulator, clock: Clock, change: dict[str, str], text: str
) -> None:
    """Each mistake has the gateway's words for it."""
    answer = await fetch(emulator, path("jobs"), {**sign(clock, path("jobs")), **change})

    assert answer.status_code == 401
    assert text in said(answer)


async def test_host_and_date_must_be_signed(emulator: Emulator, clock: Clock) -> None:
    """A signature that leaves out one of them could be replayed."""
    signed = sign(clock, path("jobs"))
    signed["Authorization"] = signed["Authorization"].replace("host;", "")

    assert "must be signed" in said(await fetch(emulator, path("jobs"), signed))


async def test_an_unknown_key_does_not_exist(emulator: Emulator, clock: Clock) -> None:
    """The gateway says so, and not that the signature is wrong."""
    signed = sign(clock, path("jobs"), key=("nobody", "secret"))

    assert "ak not exist" in said(await fetch(emulator, path("jobs"), signed))


async def test_bad_signatures_in_a_row_lock_the_key(emulator: Emulator, clock: Clock) -> None:
    """After more than five, even good ones are refused for five minutes; a good one in between
    starts the count again."""
    url = path("jobs")

    async def attempt(secret: str) -> str:
        answer = await fetch(emulator, url, sign(clock, url, key=(ACCESS_KEY, secret)))
        return "in" if answer.status_code == 200 else said(answer)

    for _ in range(5):
        assert "verify aksk" in await attempt("wrong")
    assert await attempt(SECRET_KEY) == "in"
    for _ in range(6):
        assert "verify aksk" in await attempt("wrong")
    assert "AK access failed to reach the limit,forbidden" in await attempt(SECRET_KEY)
    clock.forward(299.0)
    assert "forbidden" in await attempt(SECRET_KEY)
    clock.forward(1.0)
    assert await attempt(SECRET_KEY) == "in"


async def test_a_reset_opens_a_locked_key(emulator: Emulator, clock: Clock) -> None:
    """Tests do not wait five minutes for each other."""
    url = path("jobs")
    for _ in range(6):
        await fetch(emulator, url, sign(clock, url, key=(ACCESS_KEY, "wrong")))
    emulator.reset()

    assert (await fetch(emulator, url, sign(clock, url))).status_code == 200


async def test_without_credentials_the_gateway_refuses(emulator: Emulator) -> None:
    """The body is the gateway's, not DLI's."""
    answer = await fetch(emulator, path("jobs"), {})

    assert answer.status_code == 401
    assert answer.json()["error_code"] == "APIGW.0301"
    assert answer.json()["request_id"]


async def test_the_project_must_be_ones_own(caller: Caller) -> None:
    """A path or header with another project is refused."""
    other = await caller.http.get("/v1.0/ffffffffffffffffffffffffffffffff/jobs")
    header = await caller.http.get(caller.path("jobs"), headers={"X-Project-Id": "other"})

    assert (other.status_code, other.json()["error_code"]) == (403, "APIGW.0310")
    assert header.status_code == 403


def login(**changes: Any) -> dict[str, Any]:
    user = {"name": "emulator", "password": "emulator", "domain": {"name": "emulator"}}
    user |= changes.pop("user", {})
    scope = changes.pop("scope", {"project": {"name": "cn-north-4"}})
    password = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": password, "scope": scope}}


@pytest.mark.parametrize("project", [{"name": "cn-north-4"}, {"id": PROJECT_ID}])
async def test_a_token_opens_dli_until_it_expires(
    make: Make, clock: Clock, project: dict[str, str]
) -> None:
    """IAM's answer tells project and expiry; afterwards the gateway wants a new token."""
    async with connect(make(token_life=60.0, token_size=10_000)) as client:
        body = login(scope={"project": project})
        answer = await client.post("/v3/auth/tokens?nocatalog=true", json=body)
        token = answer.headers["X-Subject-Token"]
        headers = {"X-Auth-Token": token}

        assert answer.status_code == 201
        assert len(token) == 10_000
        assert answer.json()["token"]["project"]["id"] == PROJECT_ID
        assert answer.json()["token"]["expires_at"] == "2026-01-01T12:01:00.000000Z"
        assert (await client.get(path("jobs"), headers=headers)).status_code == 200
        clock.forward(60.0)
        expired = await client.get(path("jobs"), headers=headers)

    assert (expired.status_code, expired.json()["error_code"]) == (401, "APIGW.0307")
    assert "The token must be updated" in said(expired)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (login(user={"password": "wrong"}), 401),
        (login(user={"domain": {"name": "other"}}), 401),
        (login(scope={"project": {"name": "mars-1"}}), 401),
        (login(scope={"project": {"id": "other"}}), 401),
        ({"auth": {}}, 400),
        ([], 400),
    ],
)
async def test_a_bad_login_is_refused_by_iam(caller: Caller, body: Any, status: int) -> None:
    """In IAM's own format of errors."""
    answer = await caller.http.post("/v3/auth/tokens", json=body)

    assert answer.status_code == answer.json()["error"]["code"] == status
    assert answer.json()["error"]["message"]


async def test_a_token_without_a_project_does_not_open_dli(caller: Caller) -> None:
    """DLI needs project scope; IAM itself does not."""
    answer = await caller.http.post("/v3/auth/tokens", json=login(scope=None))
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    assert "project" not in answer.json()["token"]
    assert (await caller.http.get(caller.path("jobs"), headers=headers)).status_code == 403
    assert (await caller.http.get("/v3/projects", headers=headers)).status_code == 200


async def test_projects_are_found_by_the_name_of_the_region(
    emulator: Emulator, clock: Clock, caller: Caller
) -> None:
    """With a token or a signature, and only for those who are known."""
    signed = sign(clock, "/v3/projects", query=(("name", "cn-north-4"),))
    found = await fetch(emulator, "/v3/projects?name=cn-north-4", signed)
    others = await caller.http.get("/v3/projects", params={"name": "mars-1"})
    denied = await fetch(emulator, "/v3/projects", {})

    assert [project["id"] for project in found.json()["projects"]] == [PROJECT_ID]
    assert others.json()["projects"] == []
    assert denied.status_code == 401


async def temporary_key(client: httpx.AsyncClient, **headers: str) -> dict[str, str]:
    answer = await client.get("/openstack/latest/securitykey", headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["credential"])


async def test_a_temporary_key_opens_dli_with_its_token_until_it_expires(
    make: Make, clock: Clock
) -> None:
    """Its security token must be sent and signed; after its life it is refused."""
    emulator = make(key_life=600.0)
    async with connect(emulator) as client:
        key = await temporary_key(client)
    pair = (key["access"], key["secret"])
    with_token = {"X-Security-Token": key["securitytoken"]}

    async def attempt(headers: dict[str, str]) -> httpx.Response:
        signed = sign(clock, path("jobs"), key=pair, headers=headers)
        answer: httpx.Response = await fetch(emulator, path("jobs"), signed)
        return answer

    assert (await attempt(with_token)).status_code == 200
    assert "x-security-token" in said(await attempt({}))
    assert "x-security-token" in said(await attempt({"X-Security-Token": "other"}))
    clock.forward(600.0)
    assert "token expires, expires_at:2026-01-01T12:10:00" in said(await attempt(with_token))


async def test_temporary_keys_are_rotated_before_their_end(make: Make, clock: Clock) -> None:
    """When a sixth of the life is left there is a new key, and the old one is still good."""
    emulator = make(key_life=600.0)
    async with connect(emulator) as client:
        first = await temporary_key(client)
        clock.forward(499.0)
        assert await temporary_key(client) == first
        clock.forward(2.0)
        second = await temporary_key(client)

    assert second["access"] != first["access"]
    for key in (first, second):
        headers = {"X-Security-Token": key["securitytoken"]}
        pair = (key["access"], key["secret"])
        signed = sign(clock, path("jobs"), key=pair, headers=headers)
        assert (await fetch(emulator, path("jobs"), signed)).status_code == 200


VISIT = "/meta-data/latest/api/token"
TTL = "X-Metadata-Token-Ttl-Seconds"


async def test_the_metadata_service_may_want_a_token(make: Make, clock: Clock) -> None:
    """In required mode nobody gets a key without one, and it expires."""
    async with connect(make(metadata="required")) as client:
        denied = await client.get("/openstack/latest/securitykey")
        visit = await client.put(VISIT, headers={TTL: "60"})
        token = {"X-Metadata-Token": visit.text}
        assert (await temporary_key(client, **token))["access"]
        clock.forward(60.0)
        expired = await client.get("/openstack/latest/securitykey", headers=token)
        bad = await client.put(VISIT, headers={TTL: "99999"})

    assert (denied.status_code, expired.status_code, bad.status_code) == (401, 401, 400)


async def test_an_old_metadata_service_knows_no_token(make: Make) -> None:
    """In tokenless mode asking for one is 404, and keys are free."""
    async with connect(make(metadata="tokenless")) as client:
        assert (await client.put(VISIT, headers={TTL: "60"})).status_code == 404
        assert (await temporary_key(client))["expires_at"] == "2026-01-01T13:00:00.000000Z"


async def test_pods_get_keys_for_an_authorization(caller: Caller) -> None:
    """Some Authorization is needed; the key is the same kind of temporary key."""
    denied = await caller.http.post("/pod-identity", json={})
    given = await caller.http.post("/pod-identity", json={}, headers={"Authorization": "pod"})

    assert denied.status_code == 401
    assert set(given.json()["credential"]) == {"access", "secret", "securitytoken", "expires_at"}
