"""Where keys come from: each source, the order, and an answer that helps when there are none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from dli_async._auth import (
    CredentialChain,
    EcsMetadata,
    EnvironmentKeys,
    Keys,
    PodIdentity,
    ProfileKeys,
    Scope,
)
from dli_async._auth.credentials import Source, mask
from dli_async._auth.iam import token_refused
from dli_async._auth.steps import LoginAnswer, ReadFile, Step, epoch
from dli_async._auth.temporary import parse_keys
from dli_async._values.errors import ConfigurationError, RequestNotSent

from .conftest import DLI, IAM, JOBS, PROJECT, Clock, Cloud, stamp

pytestmark = pytest.mark.anyio

ENVIRONMENT = {"HUAWEICLOUD_SDK_AK": "ENV-ACCESS-KEY", "HUAWEICLOUD_SDK_SK": "env-secret"}
METADATA = "http://169.254.169.254"
POD = "http://169.254.170.23/v1/credentials"


def chain(
    cloud: Cloud, *sources: Source, environ: Mapping[str, str], region: str | None = None
) -> CredentialChain:
    """A chain that is bound to the cloud."""
    login = CredentialChain(sources or None, environ=environ, now=cloud.clock)
    client = cloud.client()
    return login.bind(Scope(region=region, environ=environ), client.send)


async def used(cloud: Cloud, auth: httpx.Auth) -> httpx.Request:
    """Send a request to DLI and return it as it arrived."""
    async with cloud.client(auth) as client:
        await client.get(JOBS)
    return cloud.requests[-1]


class Machine:
    """The metadata service of an ECS server, and the identity endpoint of a pod."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.life = 3600.0
        self.token_status = 200
        self.key_status = 200
        self.refuse: Callable[[str | None], bool] = lambda token: False
        self.tokens = self.given = 0
        self.agency = True
        self.reachable = True

    async def __call__(self, request: httpx.Request) -> httpx.Response | None:
        if request.url.host not in ("169.254.169.254", "169.254.170.23"):
            return None
        if not self.reachable:
            raise httpx.ConnectTimeout("timed out")
        if request.method == "PUT":
            self.tokens += 1
            return httpx.Response(self.token_status, text=f"metadata-token-{self.tokens}\n")
        if not self.agency:
            text = "Please configure Cloud Service Agency first"
            return httpx.Response(401, text=text)
        if self.refuse(request.headers.get("X-Metadata-Token")):
            return httpx.Response(401, text="token expired")
        if self.key_status != 200:
            return httpx.Response(self.key_status, text="no")
        return self.keys()

    def keys(self) -> httpx.Response:
        self.given += 1
        keys = {
            "access": f"TEMPORARY-KEY-{self.given}",
            "secret": f"temporary-secret-{self.given}",
            "securitytoken": f"security-token-{self.given}",
            "expires_at": stamp(self.clock.time + self.life),
        }
        return httpx.Response(200, json={"credential": keys})


@pytest.fixture
def machine(cloud: Cloud) -> Machine:
    cloud.before = machine = Machine(cloud.clock)
    return machine


def profile(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return {"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(path)}


async def test_environment_comes_first(cloud: Cloud, machine: Machine, tmp_path: Path) -> None:
    """Keys of the environment are used without any request or file."""
    environ = {
        **ENVIRONMENT,
        **profile(tmp_path / "credentials", "[basic]\nak=FILE-KEY\nsk=file-secret\n"),
        "HUAWEICLOUD_SDK_SECURITY_TOKEN": "env-token",
        "HUAWEICLOUD_SDK_PROJECT_ID": PROJECT,
    }
    login = chain(cloud, environ=environ)
    request = await used(cloud, login)
    assert "Access=ENV-ACCESS-KEY," in request.headers["Authorization"]
    assert request.headers["X-Security-Token"] == "env-token"
    assert await login.project_id() == PROJECT
    assert len(cloud.requests) == 1
    assert login.describe() == (
        "environment (HUAWEICLOUD_SDK_AK, HUAWEICLOUD_SDK_SK): temporary access key ENV-…"
    )


async def test_environment_is_read_when_needed(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a mapping of its own the chain reads `os.environ` at the first request."""
    login = CredentialChain(now=cloud.clock)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HUAWEICLOUD_SDK_SECURITY_TOKEN", raising=False)
    request = await used(cloud, login)
    assert "Access=ENV-ACCESS-KEY," in request.headers["Authorization"]
    assert "X-Security-Token" not in request.headers


async def test_profile_file(cloud: Cloud, tmp_path: Path) -> None:
    """The section [basic] gives keys, project and IAM endpoint; a `%` in a secret is itself."""
    text = "[basic]\nak = FILE-KEY\nsk = 100%secret\niam_endpoint = https://iam.example.com\n"
    environ = profile(tmp_path / "credentials", text)
    login = chain(cloud, environ=environ, region="cn-north-4")
    assert await login.project_id() == PROJECT
    assert cloud.requests[-1].url == "https://iam.example.com/v3/projects?name=cn-north-4"
    assert login.redact("is 100%secret safe?") == "is *** safe?"
    profile(tmp_path / "credentials", f"{text}project_id = other\nsecurity_token = t\n")
    login = chain(cloud, environ=environ, region="cn-north-4")
    assert await login.project_id() == "other"
    assert (await used(cloud, login)).headers["X-Project-Id"] == "other"


async def test_profile_in_the_home_folder(cloud: Cloud, tmp_path: Path) -> None:
    """Without a variable the file is `~/.huaweicloud/credentials`."""
    (tmp_path / ".huaweicloud").mkdir()
    profile(tmp_path / ".huaweicloud" / "credentials", "[basic]\nak=FILE-KEY\nsk=s3cr\n")
    request = await used(cloud, chain(cloud, environ={"HOME": str(tmp_path)}))
    assert "Access=FILE-KEY," in request.headers["Authorization"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[basic]\nak=A\n", "has no sk"),
        (b"[basic]\nsk=very-secret\n", "has no ak"),
        (b"[global]\nak=A\nsk=very-secret\n", "no section [basic]"),
        (b"very-secret\n", "not in INI format"),
        (b"[basic]\nak=A\nsk=very-secret\nvery-secret\n", "not in INI format"),
        (b"\xff\xfe", "not a text in UTF-8"),
        (None, "No such file"),
        (b"[basic]\nak=A\nsk=very-s\xc3\xa9cret\n", "secret_key has characters"),
    ],
)
async def test_a_broken_profile_says_why_without_secrets(
    cloud: Cloud, tmp_path: Path, text: bytes | None, reason: str
) -> None:
    """Every way in which a profile can be useless has its words, and none quotes the file."""
    path = tmp_path / "credentials"
    if text is not None:
        path.write_bytes(text)
    login = chain(cloud, ProfileKeys(), environ={"HUAWEICLOUD_SDK_CREDENTIALS_FILE": str(path)})
    with pytest.raises(ConfigurationError) as caught:
        await login.prepare()
    assert reason in str(caught.value)
    assert "very-" not in str(caught.value)


async def test_nothing_found_lists_every_source(
    cloud: Cloud, machine: Machine, tmp_path: Path
) -> None:
    """The error names all four sources and the reason of each; it is asked for once."""
    machine.reachable = False
    login = chain(cloud, environ={"HOME": str(tmp_path), "HUAWEICLOUD_SDK_AK": "A"})
    for _ in range(3):
        with pytest.raises(ConfigurationError) as caught:
            await login.prepare()
    lines = str(caught.value).splitlines()
    assert [line.split(" (")[0] for line in lines[1:]] == [
        "- environment",
        "- profile file",
        "- ECS metadata service",
        "- pod identity",
    ]
    for line, reason in zip(
        lines[1:],
        ("HUAWEICLOUD_SDK_SK is not set", "No such file", "timed out", "is not set"),
        strict=True,
    ):
        assert reason in line
    assert len(cloud.requests) == 1
    assert login.describe().startswith("to be found: environment")


async def test_metadata_in_token_mode(cloud: Cloud, machine: Machine) -> None:
    """The server's keys are asked for with a metadata token, within 3 s a step, and sign."""
    login = chain(cloud, EcsMetadata(), environ={})
    request = await used(cloud, login)
    put, get = cloud.requests[:2]
    assert (put.method, str(put.url)) == ("PUT", f"{METADATA}/meta-data/latest/api/token")
    assert put.headers["X-Metadata-Token-Ttl-Seconds"] == "21600"
    assert str(get.url) == f"{METADATA}/openstack/latest/securitykey"
    assert get.headers["X-Metadata-Token"] == "metadata-token-1"
    assert get.extensions["timeout"] == {"connect": 3.0, "read": 3.0, "write": 3.0, "pool": 3.0}
    assert "Access=TEMPORARY-KEY-1," in request.headers["Authorization"]
    assert "x-security-token" in request.headers["Authorization"]
    assert login.describe() == f"ECS metadata service ({METADATA}): temporary access key TEMP…"


@pytest.mark.parametrize("status", [404, 405, 503])
async def test_metadata_without_token_mode(cloud: Cloud, machine: Machine, status: int) -> None:
    """Where tokens are unknown the keys come without, and tokens are tried again after a day."""
    machine.token_status = status
    source = EcsMetadata()
    await chain(cloud, source, environ={}).prepare()
    await chain(cloud, source, environ={}).prepare()
    assert (machine.tokens, machine.given) == (1, 2)
    assert "X-Metadata-Token" not in cloud.requests[-1].headers
    cloud.clock.time += 24 * 3600 + 1
    machine.token_status = 200
    await chain(cloud, source, environ={}).prepare()
    assert machine.tokens == 2


async def test_metadata_token_is_replaced_once(cloud: Cloud, machine: Machine) -> None:
    """A metadata token that is refused (401) is got anew, once."""
    source = EcsMetadata()
    await chain(cloud, source, environ={}).prepare()
    machine.refuse = lambda token: token == "metadata-token-1"
    await chain(cloud, source, environ={}).prepare()
    assert (machine.tokens, machine.given) == (2, 2)
    machine.refuse = lambda token: True
    with pytest.raises(ConfigurationError, match="HTTP 401 token expired"):
        await chain(cloud, source, environ={}).prepare()
    assert machine.tokens == 3


async def test_metadata_without_an_agency(cloud: Cloud, machine: Machine) -> None:
    """A server without an agency is told as such; a new token would not help."""
    machine.agency = False
    with pytest.raises(ConfigurationError, match="Please configure Cloud Service Agency first"):
        await chain(cloud, EcsMetadata(), environ={}).prepare()
    assert machine.tokens == 1


async def test_metadata_refuses_a_token(cloud: Cloud, machine: Machine) -> None:
    """Another status at the token is the reason that is given; after a 401 so is 404."""
    machine.token_status = 500
    with pytest.raises(ConfigurationError, match="no metadata token: HTTP 500"):
        await chain(cloud, EcsMetadata(), environ={}).prepare()
    machine.token_status = 404
    machine.refuse = lambda token: True
    with pytest.raises(ConfigurationError, match="no metadata token: HTTP 404"):
        await chain(cloud, EcsMetadata(), environ={}).prepare()


async def test_pod_identity(cloud: Cloud, machine: Machine, tmp_path: Path) -> None:
    """The pod's file is sent as Authorization, read anew each time, within 5 s a step."""
    file = tmp_path / "token"
    file.write_text("pod-token-1\n")
    environ = {
        "HC_CONTAINER_CREDENTIALS_FULL_URI": POD,
        "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
    }
    login = chain(cloud, PodIdentity(), environ=environ)
    await login.prepare()
    request = cloud.requests[-1]
    assert (request.method, str(request.url), request.content) == ("POST", POD, b"{}")
    assert request.headers["Authorization"] == "pod-token-1"
    assert request.extensions["timeout"]["read"] == 5.0
    file.write_text("pod-token-2")
    cloud.clock.time += 3000.0
    await login.prepare()
    assert cloud.requests[-1].headers["Authorization"] == "pod-token-2"
    assert login.describe().startswith("pod identity")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read"), (b" \n", "is empty"), (b"a\nb", "characters"), (b"\xff", "read")],
)
async def test_a_broken_pod_file_says_why(
    cloud: Cloud, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    """A token file that is missing, empty or no text is named."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    environ = {
        "HC_CONTAINER_CREDENTIALS_FULL_URI": POD,
        "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file),
    }
    with pytest.raises(ConfigurationError, match=reason) as caught:
        await chain(cloud, PodIdentity(), environ=environ).prepare()
    assert str(file) in str(caught.value)


async def test_temporary_keys_are_renewed_from_their_source(cloud: Cloud, machine: Machine) -> None:
    """The source that gave keys is asked again in time, the others are not."""
    login = chain(cloud, EnvironmentKeys(), EcsMetadata(), environ={})
    assert "TEMPORARY-KEY-1" in (await used(cloud, login)).headers["Authorization"]
    cloud.clock.time += 0.8 * 3600
    assert "TEMPORARY-KEY-2" in (await used(cloud, login)).headers["Authorization"]
    assert machine.given == 2


async def test_old_keys_serve_while_the_source_is_down(
    cloud: Cloud, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """A source that fails is bridged by the old keys; after their end nothing is sent."""
    login = chain(cloud, EcsMetadata(), environ={})
    await login.prepare()
    machine.key_status = 500
    cloud.clock.time += 3000.0
    assert "TEMPORARY-KEY-1" in (await used(cloud, login)).headers["Authorization"]
    assert "HTTP 500" in caplog.text
    cloud.clock.time += 600.0
    with pytest.raises(RequestNotSent, match=r"ECS metadata service .*: HTTP 500"):
        await used(cloud, login)
    machine.reachable = False
    with pytest.raises(RequestNotSent, match="timed out"):
        await used(cloud, login)
    machine.reachable, machine.key_status = True, 200
    assert "TEMPORARY-KEY-2" in (await used(cloud, login)).headers["Authorization"]


async def test_refused_temporary_keys_are_replaced_once(cloud: Cloud, machine: Machine) -> None:
    """Keys that the gateway no longer knows are got anew, and the request is sent once more."""
    gone: list[str] = []

    async def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.host == "169.254.169.254":
            return await machine(request)
        if any(f"Access={key}," in request.headers["Authorization"] for key in gone):
            said = f"Incorrect IAM authentication information: ak {gone[-1]} not exist"
            return httpx.Response(401, json={"error_code": "APIGW.0301", "error_msg": said})
        return httpx.Response(200, json={})

    cloud.before = answer
    login = chain(cloud, EcsMetadata(), environ={})
    await used(cloud, login)
    gone.append("TEMPORARY-KEY-1")
    async with cloud.client(login) as client:
        assert (await client.post(JOBS, json={})).status_code == 200
    assert machine.given == 2


async def test_keys_that_did_not_change_are_not_tried_again(cloud: Cloud) -> None:
    """If the source gives the refused keys again, the refusal is the answer, after one try."""
    environ = {**ENVIRONMENT, "HUAWEICLOUD_SDK_SECURITY_TOKEN": "env-token"}

    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error_code": "APIGW.0307", "error_msg": "token"})

    cloud.before = refuse
    async with cloud.client(chain(cloud, environ=environ)) as client:
        assert (await client.get(JOBS)).status_code == 401
    assert len(cloud.requests) == 1


async def test_permanent_keys_are_never_tried_again(cloud: Cloud) -> None:
    """A refusal of permanent keys goes up as it is: six in a row lock the key."""

    async def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"error_code": "APIGW.0301", "error_msg": "token"})

    cloud.before = refuse
    async with cloud.client(chain(cloud, environ=ENVIRONMENT)) as client:
        assert (await client.get(JOBS)).status_code == 401
    assert len(cloud.requests) == 1


async def test_the_chain_works_unbound(cloud: Cloud, machine: Machine) -> None:
    """As the `auth` of a plain httpx client the chain asks its sources through that client."""
    async with cloud.client(CredentialChain([EcsMetadata()], environ={}, now=cloud.clock)) as one:
        assert (await one.get(JOBS)).status_code == 200
    assert [request.url.host for request in cloud.requests] == [
        "169.254.169.254",
        "169.254.169.254",
        "dli.cn-north-4.myhuaweicloud.com",
    ]


async def test_project_is_looked_up_with_the_keys_found(cloud: Cloud, machine: Machine) -> None:
    """The lookup at IAM is signed with the keys of the chain."""
    login = chain(cloud, EcsMetadata(), environ={}, region="cn-north-4")
    assert await login.project_id() == PROJECT
    request = cloud.requests[-1]
    assert str(request.url) == f"{IAM}/v3/projects?name=cn-north-4"
    assert "Access=TEMPORARY-KEY-1," in request.headers["Authorization"]


@pytest.mark.parametrize(
    "body",
    [
        '{"credential":{"access":"A","secret":"S","securitytoken":"T","expires_at":"%s"}}',
        '{"credentials":{"accessKeyId":"A","secretAccessKey":"S","securityToken":"T","expiration":"%s"}}',
        '{"access_key_id":"A","secret_access_key":"S","security_token":"T","expiration":"%s"}',
    ],
)
def test_spellings_of_keys(body: str) -> None:
    """Every spelling that the vendor's SDK reads is read; the life is counted in server time."""
    headers = httpx.Headers({"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})
    answer = LoginAnswer(200, headers, (body % "2026-01-01T01:00:00.000000Z").encode())
    keys = parse_keys(answer, now=0.0)
    assert keys == Keys("A", "S", "T")
    assert keys.life == 3600.0


@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b"{}", b'{"credential":{}}', b'{"credential":[1]}', b"<html>"],
)
async def test_answers_without_keys(cloud: Cloud, body: bytes) -> None:
    """An answer that holds no keys is said to hold none, and is not shown."""

    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    cloud.before = answer
    with pytest.raises(ConfigurationError, match="no keys with an expiry"):
        await chain(cloud, EcsMetadata(), environ={}).prepare()


async def test_files_are_read_off_the_event_loop(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Reading a profile happens in a worker thread."""
    threads: list[threading.Thread] = []
    real = ReadFile.run

    def run(step: ReadFile) -> str:
        threads.append(threading.current_thread())
        return real(step)

    monkeypatch.setattr(ReadFile, "run", run)
    environ = profile(tmp_path / "c", "[basic]\nak=FILE-KEY\nsk=file-secret\n")
    await chain(cloud, environ=environ).prepare()
    assert threads
    assert threads[0] is not threading.current_thread()


async def test_nothing_secret_is_shown(
    cloud: Cloud, machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither `repr` nor the log nor a description of keys and chains has a secret."""
    caplog.set_level(logging.DEBUG)
    login = chain(cloud, EcsMetadata(), environ={})
    await used(cloud, login)
    keys = Keys("AN-ACCESS-KEY", "a-secret", "a-token")
    shown = f"{keys} {keys!r} {login!r} {login.describe()} {caplog.text} {keys.describe()}"
    for secret in ("secret-1", "token-1", "a-secret", "a-token", "TEMPORARY-KEY", "AN-ACC"):
        assert secret not in shown
    assert repr(keys) == "Keys('AN-A…', '***', security_token='***')"
    assert mask("short") == "…"
    assert login.redact("token security-token-1") == "token ***"
    assert login.redact(DLI) == DLI


@pytest.mark.parametrize("value", ["", "  ", "a\nb", "ключ", "a\x00"])
def test_values_that_no_header_carries_are_refused(value: str) -> None:
    """An empty or unsendable value is refused at once, without being quoted."""
    with pytest.raises(ConfigurationError, match="secret_key"):
        Keys("A", value)
    assert Keys(" A ", "S\n") == Keys("A", "S")


def test_only_refusals_are_about_tokens() -> None:
    """A server in trouble that speaks of tokens does not make them bad."""
    assert not token_refused(LoginAnswer(500, {}, b"no token service"))
    assert token_refused(LoginAnswer(401, {}, b"no such token"))


def test_times() -> None:
    """Times of IAM are UTC, with or without saying so; what is none is None."""
    assert epoch("1970-01-01T00:00:01.500000Z") == 1.5
    assert epoch("1970-01-01T00:00:01") == 1.0
    assert epoch(None) is None
    assert LoginAnswer(200, {}, b"").sent_at(5.0) == 5.0
    assert LoginAnswer(200, {}, b"[]").json() == {}
    assert isinstance(ReadFile(Path()), Step)
