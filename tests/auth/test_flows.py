"""Logins on httpx, alone and bound: what arrives, what is asked for, and how often."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx
import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given, settings
from hypothesis import strategies as st

from dli_async._auth import AkSk, IamToken, Scope, ScopedAuth, StaticToken, bind, signing
from dli_async._values.errors import (
    AuthenticationError,
    ConfigurationError,
    DliError,
    RequestNotSent,
    ResponseLost,
    ServerError,
)

from .conftest import DLI, EXPIRED, IAM, JOBS, PROJECT, Clock, Cloud

pytestmark = pytest.mark.anyio

SIGNATURE_FAILED = {
    "error_code": "APIGW.0301",
    "error_msg": "Incorrect IAM authentication information: verify aksk signature fail, "
    "x-security-token:security-token-value|",
}


def iam_token(cloud: Cloud, **scope: Any) -> IamToken:
    """A login that is bound to the cloud, within cn-north-4 unless told otherwise."""
    scope = {"region": "cn-north-4", "environ": {}, **scope}
    login = IamToken("a-user", "a-password", "a-domain", now=cloud.clock)
    return login.bind(Scope(**scope), cloud.client().send)


def signed_once(auth: httpx.Auth, request: httpx.Request) -> httpx.Headers:
    """Run the flow up to the first request."""
    return next(auth.sync_auth_flow(request)).headers


async def _unused(request: httpx.Request) -> httpx.Response:
    raise AssertionError("nothing is to be sent")


# --- AkSk

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
NAMES = st.text("abcXYZ019-_", min_size=1, max_size=8).map(lambda name: f"X-{name}")
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10)


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f?#")),
    params=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=4),
    content_type=st.sampled_from(["application/json", "text/plain", ""]),
    body=st.binary(max_size=20),
    token=st.sampled_from([None, "security-token"]),
)
def test_aksk_equals_the_vendors_signer(
    method: str,
    path: str,
    params: list[tuple[str, str]],
    headers: list[tuple[str, str]],
    content_type: str,
    body: bytes,
    token: str | None,
) -> None:
    """The vendor's signer, given the signed headers as they were sent, comes to the same value."""
    if content_type:
        headers = [*headers, ("Content-Type", content_type)]
    url = httpx.URL(DLI).copy_with(path=f"/v1.0/{path}")
    request = httpx.Request(method, url, params=params, headers=headers, content=body)
    sent = signed_once(AkSk("AccessKey", "SecretKey", security_token=token), request)
    names = sent["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    theirs = SdkRequest(
        method=method,
        schema="https",
        host=request.url.host,
        resource_path=request.url.raw_path.decode().partition("?")[0],
        query_params=params,
        header_params={name: sent[name] for name in names},
        body=body,
    )
    theirs = Signer(BasicCredentials("AccessKey", "SecretKey")).sign(theirs)
    assert theirs.header_params["Authorization"] == sent["Authorization"]
    assert theirs.uri == request.url.raw_path.decode()
    expected = {name.lower() for name, _ in headers if "_" not in name}
    assert expected <= set(names)
    assert {"host", "x-sdk-date"} <= set(names)
    assert ("x-security-token" in names) == (token is not None)


def test_aksk_leaves_out_what_changes_on_the_way(clock: Clock) -> None:
    """Headers that proxies and HTTP libraries touch are not signed."""
    touched = (
        "Accept Accept-Encoding Connection Content-Length Expect Keep-Alive Proxy-Authorization "
        "Proxy-Connection TE Trailer Transfer-Encoding Upgrade User-Agent"
    )
    request = httpx.Request("POST", JOBS, headers=dict.fromkeys(touched.split(), "x"), content=b"")
    assert "SignedHeaders=host;x-sdk-date," in signed_once(AkSk("A", "S"), request)["Authorization"]


def test_aksk_signs_anew_each_time(clock: Clock) -> None:
    """The same request, sent again later, has a new date and a new signature."""
    login = AkSk("A", "S", now=clock)
    request = httpx.Request("GET", JOBS)
    first = dict(signed_once(login, request))
    assert first["x-sdk-date"] == "20270115T080000Z"
    clock.time += 60
    second = dict(signed_once(login, request))
    assert second["x-sdk-date"] == "20270115T080100Z"
    assert first["authorization"] != second["authorization"]


def test_aksk_keeps_a_date_that_was_given() -> None:
    """A date on a request that was never signed is the user's wish."""
    request = httpx.Request("GET", JOBS, headers={"X-Sdk-Date": "20260101T000000Z"})
    assert signed_once(AkSk("A", "S"), request)["X-Sdk-Date"] == "20260101T000000Z"


def test_aksk_sends_what_it_signs() -> None:
    """Blanks as `%20`, `?` without a query dropped, a repeated header in one line."""
    request = httpx.Request("GET", f"{JOBS}?b=1+2&a", headers=[("X-A", "1"), ("X-A", "2")])
    headers = signed_once(AkSk("A", "S"), request)
    assert request.url.query == b"a=&b=1%202"
    assert headers.get_list("X-A") == ["1, 2"]
    request = httpx.Request("GET", f"{JOBS}?")
    signed_once(AkSk("A", "S"), request)
    assert str(request.url) == JOBS


async def test_aksk_bound_names_the_project(cloud: Cloud) -> None:
    """Bound, X-Project-Id is set and signed, but one that the caller set stays."""
    login = AkSk("A", "S").bind(Scope(project_id=PROJECT, environ={}), cloud.client().send)
    async with cloud.client(login) as client:
        await client.get(JOBS)
        await client.get(JOBS, headers={"X-Project-Id": "mine"})
    first, second = cloud.requests
    assert first.headers["X-Project-Id"] == PROJECT
    assert "x-project-id" in first.headers["Authorization"]
    assert second.headers["X-Project-Id"] == "mine"


def test_aksk_works_in_a_blocking_client() -> None:
    """`httpx.Client` signs too, bodies and all."""

    def check(request: httpx.Request) -> httpx.Response:
        names = request.headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
        again = signing.sign(
            request.method,
            str(request.url),
            {name: request.headers[name] for name in names},
            request.content,
            access_key="A",
            secret_key="S",
        )
        return httpx.Response(200 if again == request.headers["Authorization"] else 401)

    with httpx.Client(transport=httpx.MockTransport(check), auth=AkSk("A", "S")) as client:
        assert client.post(JOBS, json={"a": "数"}).status_code == 200
        assert client.post(JOBS, files={"f": b"x"}).status_code == 200
        assert client.post(JOBS, content=iter([b"a", b"b"])).status_code == 200


async def test_aksk_is_never_tried_again(cloud: Cloud) -> None:
    """Whatever the gateway refuses, a signed request is sent once."""

    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json=EXPIRED)

    cloud.before = refuse
    async with cloud.client(AkSk("A", "S")) as client:
        assert (await client.get(JOBS)).status_code == 401
    assert len(cloud.requests) == 1


def test_aksk_derives_its_key_where_asked(clock: Clock) -> None:
    """Hosts that take V11-HMAC-SHA256 get it, for the region of the scope or of the host."""
    login = AkSk("A", "S", derived=lambda host: "gateway" in host, now=clock)
    assert signed_once(login, httpx.Request("GET", JOBS))["Authorization"].startswith("SDK-HMAC")
    request = httpx.Request("GET", "https://gateway.cn-north-4.myhuaweicloud.com/")
    value = signed_once(login, request)["Authorization"]
    assert value.startswith("V11-HMAC-SHA256 Credential=A/20270115/cn-north-4/dli, ")
    iam = login.bind(Scope(iam_endpoint="https://gateway.iam", environ={}), _unused)
    request = httpx.Request("GET", "https://gateway.iam/v3/projects")
    assert signed_once(iam, request)["Authorization"].startswith("SDK-HMAC")
    request = httpx.Request("GET", "https://gateway.example.com/")
    with pytest.raises(ConfigurationError, match="region"):
        signed_once(login, request)


# --- the project


async def test_project_is_looked_up_once(cloud: Cloud) -> None:
    """Hundreds of tasks that need the project ask IAM once, with a signed request."""
    scope = Scope(region="cn-north-4", environ={})
    login = bind(AkSk("A", "S"), scope, cloud.client().send)
    found: list[str] = []

    async def one() -> None:
        found.append(await login.project_id())

    async with anyio.create_task_group() as group:
        for _ in range(300):
            group.start_soon(one)
    assert found == [PROJECT] * 300
    (request,) = cloud.requests
    assert str(request.url) == f"{IAM}/v3/projects?name=cn-north-4"
    assert request.headers["Authorization"].startswith("SDK-HMAC-SHA256 Access=A,")
    assert "X-Project-Id" not in request.headers
    async with cloud.client(login) as client:
        await client.get(JOBS)
    assert cloud.requests[-1].headers["X-Project-Id"] == PROJECT


@pytest.mark.parametrize(
    ("projects", "said"), [((), "no project named 'cn-north-4'"), (("a", "b"), "2 projects named")]
)
async def test_none_or_several_projects(cloud: Cloud, projects: tuple[str, ...], said: str) -> None:
    """None or several projects of that name are an error that says which and what to do."""
    cloud.projects = projects
    login = bind(StaticToken("t"), Scope(region="cn-north-4", environ={}), cloud.client().send)
    with pytest.raises(ConfigurationError, match=said) as caught:
        await login.project_id()
    assert all(project in str(caught.value) for project in (*projects, "DLI_PROJECT_ID"))


async def test_project_without_a_region(cloud: Cloud) -> None:
    """With an endpoint only, the project must be given; the error says so and nothing is sent."""
    login = bind(AkSk("A", "S"), Scope(environ={}), cloud.client().send)
    with pytest.raises(ConfigurationError, match="DLI_PROJECT_ID"):
        await login.project_id()
    given = {"HUAWEICLOUD_SDK_PROJECT_ID": PROJECT}
    login = bind(AkSk("A", "S"), Scope(environ=given), cloud.client().send)
    assert await login.project_id() == PROJECT
    assert cloud.requests == []


async def test_project_of_an_unbound_login() -> None:
    """A login that no client has bound says so."""
    login = AkSk("A", "S")
    login._scope = Scope(region="cn-north-4", environ={})
    with pytest.raises(ConfigurationError, match="bind"):
        await login.project_id()


@pytest.mark.parametrize("body", [b"{}", b"<html>"])
async def test_an_answer_without_projects(cloud: Cloud, body: bytes) -> None:
    """An answer of IAM that holds no list is an error, not an account without projects."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    cloud.before = answer
    login = bind(StaticToken("t"), Scope(region="cn-north-4", environ={}), cloud.client().send)
    with pytest.raises(DliError, match="no projects"):
        await login.project_id()


async def test_a_refused_lookup(cloud: Cloud) -> None:
    """IAM's refusal of the lookup is an AuthenticationError in IAM's words."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"error_code": "IAM.0003", "error_msg": "Policy doesn't"})

    cloud.before = answer
    login = bind(StaticToken("t"), Scope(region="cn-north-4", environ={}), cloud.client().send)
    with pytest.raises(AuthenticationError, match="Policy doesn't") as caught:
        await login.project_id()
    assert caught.value.error_code == "IAM.0003"


# --- StaticToken and others


async def test_a_fixed_token_is_sent_and_its_refusal_goes_up(cloud: Cloud) -> None:
    """X-Auth-Token carries the token; a 401 is the answer, after one request."""
    login = bind(StaticToken(" fixed-token\n"), Scope(environ={}), cloud.client().send)
    await login.prepare()
    async with cloud.client(login) as client:
        response = await client.get(JOBS)
    assert response.status_code == 401
    assert [request.headers["X-Auth-Token"] for request in cloud.requests] == ["fixed-token"]


def test_a_fixed_token_works_in_a_blocking_client() -> None:
    """`httpx.Client` sends the token too."""
    with httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200))) as blocking:
        request = blocking.get(JOBS, auth=StaticToken("fixed-token")).request
    assert request.headers["X-Auth-Token"] == "fixed-token"


@pytest.mark.parametrize("token", ["", " \n", "a\nb", "tökén"])
def test_a_token_that_no_header_carries(token: str) -> None:
    """A token that cannot be sent is refused at once, without being quoted."""
    with pytest.raises(ConfigurationError, match="token"):
        StaticToken(token)


async def test_any_auth_of_httpx_can_be_bound(cloud: Cloud) -> None:
    """A foreign auth does its own work; the project comes from the scope, never from a lookup."""
    scope = Scope(region="cn-north-4", project_id=PROJECT, environ={})
    login = bind(httpx.BasicAuth("user", "a-password"), scope, cloud.client().send)
    assert await login.project_id() == PROJECT
    async with cloud.client(login) as client:
        await client.get(JOBS)
    (request,) = cloud.requests
    assert request.headers["Authorization"].startswith("Basic ")
    assert request.headers["X-Project-Id"] == PROJECT
    blocking = login.sync_auth_flow(httpx.Request("GET", JOBS))
    assert next(blocking).headers["X-Project-Id"] == PROJECT
    login = bind(httpx.BasicAuth("u", "p"), Scope(region="r", environ={}), cloud.client().send)
    with pytest.raises(ConfigurationError, match="an auth of your own"):
        await login.project_id()
    assert login.describe() == "BasicAuth(...)"
    assert login.redact("a text") == "a text"


async def test_without_a_login_the_chain_is_used(cloud: Cloud) -> None:
    """None means the chain of sources, with the environment of the scope."""
    environ = {"HUAWEICLOUD_SDK_AK": "ENV-ACCESS-KEY", "HUAWEICLOUD_SDK_SK": "s"}
    login = bind(None, Scope(environ=environ), cloud.client().send)
    async with cloud.client(login) as client:
        await client.get(JOBS)
    assert "Access=ENV-ACCESS-KEY," in cloud.requests[-1].headers["Authorization"]


# --- IamToken


async def test_iam_token_bound(cloud: Cloud) -> None:
    """The token is for the region's project, tells its id, and goes with every request."""
    login = iam_token(cloud)
    assert await login.project_id() == PROJECT
    async with cloud.client(login) as client:
        await client.get(JOBS)
        await client.get(JOBS)
    token, *rest = cloud.requests
    assert (token.method, str(token.url)) == ("POST", f"{IAM}/v3/auth/tokens?nocatalog=true")
    assert token.headers["Content-Type"] == "application/json;charset=utf8"
    assert "X-Auth-Token" not in token.headers
    assert cloud.scopes() == [{"project": {"name": "cn-north-4"}}]
    assert [len(r.headers["X-Auth-Token"]) > 8192 for r in rest] == [True, True]
    assert {r.headers["X-Project-Id"] for r in rest} == {PROJECT}


async def test_iam_token_asks_for_the_given_project(cloud: Cloud) -> None:
    """A project that was given is what the token is asked for, at the endpoint that was given."""
    login = IamToken("u", "p", "d", iam_endpoint="https://iam.example.com/", now=cloud.clock)
    scope = Scope(region="cn-north-4", project_id="sub-project", environ={})
    await login.bind(scope, cloud.client().send).prepare()
    assert cloud.scopes() == [{"project": {"id": "sub-project"}}]
    assert cloud.requests[0].url.host == "iam.example.com"


async def test_iam_token_without_region_or_project(cloud: Cloud) -> None:
    """With an endpoint only, IAM chooses; a token without a project is an error that says so."""
    login = iam_token(cloud, region=None)
    assert await login.project_id() == PROJECT
    assert cloud.scopes() == [None]
    cloud.in_token = None
    with pytest.raises(ConfigurationError, match="the project is not known"):
        await iam_token(cloud, region=None).project_id()


@pytest.mark.parametrize(
    ("url", "headers", "scope"),
    [
        (f"{DLI}/v1.0/p/jobs", {}, {"name": "cn-north-4"}),
        (JOBS, {}, {"id": PROJECT}),
        (f"{DLI}/v1.0/p/jobs", {"X-Project-Id": "mine"}, {"id": "mine"}),
    ],
)
async def test_iam_token_unbound(
    cloud: Cloud, url: str, headers: dict[str, str], scope: dict[str, str]
) -> None:
    """On a plain httpx client the request itself tells the project, and the token is kept."""
    login = IamToken("u", "p", "d", iam_endpoint=IAM, now=cloud.clock)
    async with cloud.client(login) as client:
        for _ in range(3):
            assert (await client.get(url, headers=headers)).status_code == 200
    assert cloud.scopes() == [{"project": scope}]


async def test_iam_token_unbound_recovers(cloud: Cloud) -> None:
    """Unbound too, an expired token is renewed, and a refused one replaced, with one request."""
    login = IamToken("u", "p", "d", iam_endpoint=IAM, now=cloud.clock)
    async with cloud.client(login) as client:
        await client.get(JOBS)
        cloud.issued.clear()
        response = await client.post(JOBS, json={"a": 1})
        assert response.status_code == 200
        assert response.request.content == b'{"a":1}'
        cloud.clock.time += cloud.life
        assert (await client.get(JOBS)).status_code == 200
    assert cloud.tokens == 3


async def test_iam_token_unbound_survives_a_lost_renewal(cloud: Cloud) -> None:
    """If an early renewal finds no IAM, that request fails; the next uses the old token."""

    async def down(request: httpx.Request) -> None:
        if request.url.path == "/v3/auth/tokens" and cloud.tokens > 1:
            raise httpx.ConnectError("down")

    cloud.before = down
    login = IamToken("u", "p", "d", iam_endpoint=IAM, now=cloud.clock)
    async with cloud.client(login) as client:
        await client.get(JOBS)
        cloud.clock.time += 0.8 * cloud.life
        with pytest.raises(httpx.ConnectError):
            await client.get(JOBS)
        assert (await client.get(JOBS)).status_code == 200
    assert cloud.tokens == 2


def test_iam_token_needs_an_async_client(cloud: Cloud) -> None:
    """A blocking client is told that it cannot use this login."""
    with (
        httpx.Client(transport=httpx.MockTransport(lambda r: httpx.Response(200))) as client,
        pytest.raises(ConfigurationError, match=r"IamToken needs an httpx\.AsyncClient"),
    ):
        client.get(JOBS, auth=IamToken("u", "p", "d"))


@pytest.mark.slow
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
async def test_500_tasks_with_tokens_of_two_seconds(cloud: Cloud, bound: bool) -> None:
    """Under 500 tasks every renewal is one request, no request fails, no token is used too long."""
    cloud.life = 2.0
    login: httpx.Auth = iam_token(cloud)
    if not bound:
        login = IamToken("u", "p", "d", iam_endpoint=IAM, now=cloud.clock)
    statuses: list[int] = []
    async with cloud.client(login) as client:

        async def one() -> None:
            statuses.append((await client.get(JOBS)).status_code)

        for renewal in range(1, 11):
            async with anyio.create_task_group() as group:
                for _ in range(500):
                    group.start_soon(one)
            assert cloud.tokens == renewal
            cloud.clock.time += 2.0
    assert statuses == [200] * 5000


async def test_a_refusal_of_all_is_one_renewal(cloud: Cloud) -> None:
    """500 requests that are refused together need one new token, and each is sent once more."""
    login = iam_token(cloud)
    await login.prepare()
    cloud.issued.clear()
    statuses: list[int] = []
    async with cloud.client(login) as client:

        async def one() -> None:
            statuses.append((await client.post(JOBS, json={})).status_code)

        async with anyio.create_task_group() as group:
            for _ in range(500):
                group.start_soon(one)
    assert statuses == [200] * 500
    assert cloud.tokens == 2


@pytest.mark.parametrize(
    ("status", "body", "tries"),
    [
        (401, {"error_code": "APIG.0307", "error_msg": "x"}, 2),
        (401, {"error_code": "DLI.0013", "error_msg": "x"}, 2),
        (400, {"error_code": "DLI.0015", "error_msg": "x"}, 2),
        (401, {"error_code": "APIGW.0301", "error_msg": "decrypt token fail"}, 2),
        (403, {"error_code": "X", "error_msg": "token expires, expires_at ..."}, 2),
        (401, SIGNATURE_FAILED, 1),
        (401, {"error_code": "APIGW.0301", "error_msg": "AK access failed to reach the limit"}, 1),
        (401, {"error_code": "APIGW.0303", "error_msg": "app auth wrong"}, 1),
        (403, {"error_code": "DLI.0003", "error_msg": "no permission"}, 1),
        (400, {"error_code": "DLI.0001", "error_msg": "bad token in the SQL"}, 1),
        (404, {"error_code": "DLI.0023", "error_msg": "token"}, 1),
    ],
)
async def test_which_refusals_are_worth_a_new_token(
    cloud: Cloud, status: int, body: dict[str, str], tries: int
) -> None:
    """A refusal of the token is answered by one new token; if that is refused too, it goes up."""

    async def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/v3/auth/tokens":
            return None
        return httpx.Response(status, json=body)

    cloud.before = refuse
    async with cloud.client(iam_token(cloud)) as client:
        response = await client.post(JOBS, json={})
    assert (response.status_code, response.json()) == (status, body)
    assert cloud.count(f"/v1.0/{PROJECT}/jobs") == tries
    assert cloud.tokens == tries


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (
            {"error": {"code": 401, "message": "The password is wrong.", "title": "Unauthorized"}},
            "401",
            "Unauthorized: The password is wrong.",
        ),
        ({"error_code": "IAM.0011", "error_msg": "locked"}, "IAM.0011", "locked"),
        ({"code": "IAM.0001", "message": "bad"}, "IAM.0001", "bad"),
        ("<html>no</html>", "", "<html>no</html>"),
        ("", "", "to user 'a-user' ("),
    ],
)
async def test_iam_says_no(cloud: Cloud, body: Any, code: str, words: str) -> None:
    """IAM's refusal comes with its code and words in both formats, and is not asked for again."""

    async def refuse(request: httpx.Request) -> httpx.Response:
        content = {"json": body} if isinstance(body, dict) else {"text": body}
        return httpx.Response(401, headers={"X-IAM-Trace-Id": "trace-1"}, **content)

    cloud.before = refuse
    login = iam_token(cloud)
    for _ in range(3):
        with pytest.raises(AuthenticationError) as caught:
            await login.prepare()
    error = caught.value
    assert (error.status_code, error.error_code, error.request_id) == (401, code, "trace-1")
    assert words in str(error)
    assert "a-password" not in str(error)
    assert cloud.tokens == 1


async def test_iam_in_trouble_is_not_a_refusal(cloud: Cloud) -> None:
    """429 and 5xx of IAM may pass: alone they are what they are, in a request it was not sent."""
    statuses = [503, 503, 429, 408, 201]

    async def trouble(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(statuses.pop(0), headers={"Retry-After": "7"}, text="busy")

    cloud.before = trouble
    login = iam_token(cloud)
    with pytest.raises(ServerError) as caught:
        await login.prepare()
    assert caught.value.retry_after == 7.0
    async with cloud.client(login) as client:
        while statuses:
            with pytest.raises(RequestNotSent, match="not sent"):
                await client.post(JOBS)


@pytest.mark.parametrize(
    "failure", [httpx.ReadTimeout("late"), ResponseLost("lost"), TimeoutError("late")], ids=repr
)
async def test_a_lost_token_request_is_not_a_lost_post(cloud: Cloud, failure: Exception) -> None:
    """Whatever happens to the token request, the POST that waits for it was provably not sent."""

    async def fail(request: httpx.Request) -> httpx.Response | None:
        if cloud.tokens == 1:
            raise failure
        return None

    cloud.before = fail
    async with cloud.client(iam_token(cloud)) as client:
        with pytest.raises(RequestNotSent, match="IAM token"):
            await client.post(JOBS)
        assert (await client.post(JOBS)).status_code == 200


async def test_not_sent_stays_not_sent(cloud: Cloud) -> None:
    """A sender's own `RequestNotSent` is passed on as it is."""
    mine = RequestNotSent("mine")

    async def send(request: httpx.Request) -> httpx.Response:
        raise mine

    login = IamToken("u", "p", "d").bind(Scope(region="cn-north-4", environ={}), send)
    with pytest.raises(RequestNotSent) as caught:
        await login.prepare()
    assert caught.value is mine


async def test_the_old_token_serves_while_iam_is_down(cloud: Cloud) -> None:
    """An early renewal that fails costs nothing but a line in the log, and IAM is not hammered."""

    async def down(request: httpx.Request) -> None:
        if request.url.path == "/v3/auth/tokens" and cloud.tokens > 1:
            raise httpx.ConnectError("down")

    cloud.before = down
    async with cloud.client(iam_token(cloud)) as client:
        await client.get(JOBS)
        cloud.clock.time += 0.8 * cloud.life
        for _ in range(20):
            assert (await client.get(JOBS)).status_code == 200
    assert cloud.tokens == 2


async def test_a_cancelled_renewal_is_taken_over(cloud: Cloud) -> None:
    """If the request that fetches the token is cancelled, one of the others fetches it."""
    hang, statuses = anyio.Event(), []

    async def first_hangs(request: httpx.Request) -> None:
        if request.url.path == "/v3/auth/tokens" and cloud.tokens == 1:
            await hang.wait()

    cloud.before = first_hangs
    async with cloud.client(iam_token(cloud)) as client:

        async def one() -> None:
            statuses.append((await client.get(JOBS)).status_code)

        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as first:
                    first.start_soon(one)
                    await anyio.wait_all_tasks_blocked()
                    for _ in range(100):
                        group.start_soon(one)
                    await anyio.wait_all_tasks_blocked()
                    scope.cancel()
    assert statuses == [200] * 100
    assert cloud.tokens == 2


async def test_life_is_counted_by_the_server(cloud: Cloud) -> None:
    """A local clock that is a day off neither hammers IAM nor keeps a token too long."""
    true = Clock()
    cloud.clock = true
    wrong = Clock()
    wrong.time += 86400.0
    login = IamToken("u", "p", "d", now=wrong)
    login = login.bind(Scope(region="cn-north-4", environ={}), cloud.client().send)
    async with cloud.client(login) as client:
        for _ in range(10):
            assert (await client.get(JOBS)).status_code == 200
            true.time += 10_000.0
            wrong.time += 10_000.0
    assert cloud.tokens == 2


async def test_a_token_without_an_end_is_kept_for_an_hour(cloud: Cloud) -> None:
    """Where IAM's body is unreadable the token is still used, and renewed within the hour."""

    async def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != "/v3/auth/tokens":
            return httpx.Response(200)
        return httpx.Response(201, headers={"X-Subject-Token": "t"}, text="{")

    cloud.before = answer
    login = iam_token(cloud)
    await login.prepare()
    cloud.clock.time += 1799.0
    await login.prepare()
    assert cloud.tokens == 1
    cloud.clock.time += 1800.0
    await login.prepare()
    assert cloud.tokens == 2


@pytest.mark.parametrize("values", [("", "p", "d"), ("u", "", "d"), ("u", "p", "")])
def test_iam_token_wants_all_three(values: tuple[str, str, str]) -> None:
    """User, password and domain are needed."""
    with pytest.raises(ConfigurationError, match="is empty"):
        IamToken(*values)


# --- secrets, and driving the flow by hand


async def test_nothing_secret_is_shown(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """No `repr`, description, log or error of a journey with failures shows a secret."""
    caplog.set_level(logging.DEBUG)
    shown: list[object] = []
    scope = Scope(region="cn-north-4", environ={"HUAWEICLOUD_SDK_SK": "env-secret"})
    logins: list[ScopedAuth] = [
        AkSk("AN-ACCESS-KEY", "a-secret", security_token="a-security-token"),
        StaticToken("fixed-token-value"),
        IamToken("a-user", "a-password", "a-domain", now=cloud.clock),
    ]
    for login in logins:
        bound = login.bind(scope, cloud.client().send)
        async with cloud.client(bound) as client:
            await client.get(JOBS)
            cloud.before = None
        shown += [login, bound, login.describe(), bound.describe(), scope, bound._project]
        shown += [bound.redact(" ".join([*bound._secrets()]))]

    async def fail(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error": {"message": "no"}})

    cloud.before = fail
    with pytest.raises(AuthenticationError) as caught:
        await iam_token(cloud).prepare()
    text = " ".join([*map(repr, shown), *map(str, shown), repr(caught.value), caplog.text])
    for secret in ("a-secret", "a-security", "fixed-token", "a-password", "token-1", "env-secret"):
        assert secret not in text
    assert repr(logins[0]) == "AkSk('AN-A…', '***', security_token='***')"
    assert repr(logins[1]) == "StaticToken('***')"
    assert repr(logins[2]) == "IamToken('a-user', '***', 'a-domain')"


def test_redact_cleans_what_a_gateway_prints() -> None:
    """The gateway's canonical request loses the security token in it; short words stay."""
    login = AkSk("A", "abc", security_token="security-token-value")
    text = login.redact(SIGNATURE_FAILED["error_msg"] + " abc")
    assert "security-token-value" not in text
    assert text.endswith("x-security-token:***| abc")


async def test_the_flow_can_be_driven_by_hand(cloud: Cloud) -> None:
    """`async_auth_flow` needs no client: each request it yields is answered by its caller."""
    login = IamToken("u", "p", "d", iam_endpoint=IAM, now=cloud.clock)
    flow: AsyncGenerator[httpx.Request, httpx.Response]
    flow = login.async_auth_flow(httpx.Request("GET", JOBS))
    assert (await anext(flow)).url.path == "/v3/auth/tokens"
    first = cloud.token()
    request = await flow.asend(first)
    assert request.headers["X-Auth-Token"] == first.headers["X-Subject-Token"]
    assert (await flow.asend(httpx.Response(401, json=EXPIRED))).url.path == "/v3/auth/tokens"
    again = await flow.asend(httpx.Response(201, headers={"X-Subject-Token": "new"}))
    assert again.headers["X-Auth-Token"] == "new"
    with pytest.raises(StopAsyncIteration):
        await flow.asend(httpx.Response(401, json=EXPIRED))


async def test_binding_is_a_copy(cloud: Cloud) -> None:
    """One login serves two clients, each with its own scope and tokens; it stays unbound."""
    login = IamToken("u", "p", "d", now=cloud.clock)
    for region in ("cn-north-4", "cn-south-1"):
        await login.bind(Scope(region=region, environ={}), cloud.client().send).prepare()
    assert [request.url.host for request in cloud.requests] == [
        "iam.cn-north-4.myhuaweicloud.com",
        "iam.cn-south-1.myhuaweicloud.com",
    ]
    with pytest.raises(ConfigurationError, match="bind"):
        await login.prepare()
