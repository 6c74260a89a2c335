"""The two calls to IAM that a login may need, and how IAM and the gateway say no.

API pages: "Obtaining a User Token Through Password Authentication", "Querying Project
Information" (IAM).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from .._values.errors import (
    ApiError,
    AuthenticationError,
    ConfigurationError,
    InvalidResponse,
    RateLimited,
    ServerError,
)
from .credentials import Keys, NoKeys
from .signing import percent_encode
from .steps import LoginAnswer, LoginCall, Steps, ask, epoch
from .temporary import parse_keys

__all__ = [
    *("Login", "Token", "fetch_keys", "fetch_token", "find_project", "key_refused"),
    "token_refused",
]

# Where IAM does not say how long a token lives; the documented life is 24 hours.
_LONGEST_WAIT = 24 * 3600.0
_ASSUMED_LIFE = 3600.0
_KEY_LIFE = 3600
_SAYS_TOKEN = re.compile(r"\b(APIG|APIGW)\.0307\b|\bDLI\.001[35]\b")


@dataclass(frozen=True, slots=True)
class Login:
    """An IAM user with a password, and the project to ask for (by id, by name, or neither)."""

    user: str
    password: str = field(repr=False)
    domain: str
    project_id: str | None = None
    project_name: str | None = None

    def body(self) -> bytes:
        """Return the JSON that asks IAM for a token."""
        user = {"name": self.user, "password": self.password, "domain": {"name": self.domain}}
        auth: dict[str, object] = {
            "identity": {"methods": ["password"], "password": {"user": user}},
        }
        if self.project_id:
            auth["scope"] = {"project": {"id": self.project_id}}
        elif self.project_name:
            auth["scope"] = {"project": {"name": self.project_name}}
        return json.dumps({"auth": auth}).encode()


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the project that it is good for; None where its body names none."""

    value: str = field(repr=False)
    project_id: str | None


def fetch_token(endpoint: str, login: Login, now: float) -> Steps[tuple[Token, float | None]]:
    """Ask IAM for a token; returns it and its life in seconds.

    Raises:
        AuthenticationError: IAM refused the user, the password or the project.
        InvalidResponse: the answer holds no token.
    """
    call = LoginCall(
        purpose="the IAM token",
        method="POST",
        url=f"{endpoint.rstrip('/')}/v3/auth/tokens?nocatalog=true",
        headers={"Content-Type": "application/json;charset=utf8"},
        body=login.body(),
    )
    answer = yield from ask(call)
    if answer.status >= 400:
        raise refusal(answer, f"IAM gave no token to user {login.user!r}")
    value = answer.headers.get("X-Subject-Token")
    if not value:
        raise InvalidResponse(
            "the answer of IAM holds no X-Subject-Token",
            status_code=answer.status,
            request_id=_request_id(answer),
        )
    token = _object(answer.json().get("token"))
    project_id = _object(token.get("project")).get("id")
    return Token(value, str(project_id) if project_id else None), _life(token, answer, now)


def find_project(endpoint: str, region: str) -> Steps[tuple[str, float | None]]:
    """Ask IAM for the id of the project named like the region; it holds for ever.

    Raises:
        AuthenticationError: IAM refused the credentials.
        ConfigurationError: no project, or more than one, has that name.
    """
    call = LoginCall(
        purpose="the project id",
        method="GET",
        url=f"{endpoint.rstrip('/')}/v3/projects?name={percent_encode(region)}",
        signed=True,
    )
    answer = yield from ask(call)
    if answer.status >= 400:
        raise refusal(answer, f"IAM did not tell the project id of region {region!r}")
    projects = answer.json().get("projects")
    if not isinstance(projects, list):
        raise InvalidResponse(
            "the answer of IAM holds no projects",
            status_code=answer.status,
            text=answer.text,
            request_id=_request_id(answer),
        )
    ids = [str(_object(project).get("id", "")) for project in projects]
    if len(ids) != 1 or not ids[0]:
        raise ConfigurationError(_not_one(region, ids, _request_id(answer)))
    return ids[0], None


def fetch_keys(endpoint: str, now: float) -> Steps[tuple[Keys, float | None]]:
    """Ask IAM for temporary keys with the token of a login; returns them and their life.

    API page: "Obtaining a Temporary Access Key and Security Token Through a Token" (IAM).

    Raises:
        AuthenticationError: IAM refused the token.
        InvalidResponse: the answer holds no keys.
    """
    token = {"duration_seconds": _KEY_LIFE}
    call = LoginCall(
        purpose="temporary keys",
        method="POST",
        url=f"{endpoint.rstrip('/')}/v3.0/OS-CREDENTIAL/securitytokens",
        headers={"Content-Type": "application/json;charset=utf8"},
        body=json.dumps({"auth": {"identity": {"methods": ["token"], "token": token}}}).encode(),
        signed=True,
    )
    answer = yield from ask(call)
    if answer.status >= 400:
        raise refusal(answer, "IAM gave no temporary keys for the token")
    try:
        keys = parse_keys(answer, now)
    except NoKeys as reason:
        raise InvalidResponse(
            f"the answer of IAM: {reason}",
            status_code=answer.status,
            request_id=_request_id(answer),
        ) from None
    return keys, keys.life


def refusal(answer: LoginAnswer, doing: str) -> ApiError:
    """Return the error for an answer of 400 and above, with IAM's code, title and message."""
    code, said = fault(answer)
    kind: type[ApiError] = AuthenticationError
    if answer.status == 429:
        kind = RateLimited
    elif answer.status >= 500 or answer.status == 408:
        kind = ServerError
    wait = answer.headers.get("Retry-After", "")
    return kind(
        f"{doing}: {said}" if said else doing,
        status_code=answer.status,
        error_code=code,
        request_id=_request_id(answer),
        retry_after=min(float(wait), _LONGEST_WAIT) if wait.isdecimal() else None,
    )


def fault(answer: LoginAnswer) -> tuple[str, str]:
    """Return the code and the words of an error body, in any of the formats in use."""
    body = answer.json()
    if not body:
        return "", answer.text[:200].strip()
    inner = _object(body.get("error")) or body
    code = inner.get("error_code") or inner.get("code") or ""
    words = (inner.get("title"), inner.get("error_msg") or inner.get("message"))
    return str(code), ": ".join(str(word) for word in words if word)


def token_refused(answer: LoginAnswer) -> bool:
    """Whether an answer says that the token is not, or no longer, good: a new one may help.

    A failed signature is none of these; six in a row lock the key for five minutes.
    """
    if answer.status not in (400, 401, 403):
        return False
    text = answer.text
    if _SAYS_TOKEN.search(text):
        return True
    text = text.lower()
    return answer.status != 400 and "token" in text and not _is_signature_failure(text)


def key_refused(answer: LoginAnswer) -> bool:
    """Whether an answer says that a temporary key is gone: its token refused, or unknown."""
    text = answer.text.lower()
    unknown = "not exist" in text or "get secretkey failed" in text
    gone = answer.status == 401 and unknown and not _is_signature_failure(text)
    return gone or token_refused(answer)


def _is_signature_failure(text: str) -> bool:
    return "signature" in text or "ak access failed" in text


def _life(token: dict[str, object], answer: LoginAnswer, now: float) -> float:
    expires = epoch(token.get("expires_at"))
    if expires is None:
        return _ASSUMED_LIFE
    issued = epoch(token.get("issued_at"))
    return expires - (answer.sent_at(now) if issued is None else issued)


def _not_one(region: str, ids: list[str], trace: str | None) -> str:
    found = f"{len(ids)} projects" if ids else "no project"
    which = f" ({', '.join(ids)})" if ids else ""
    return (
        f"IAM knows {found} named {region!r}{which} in this account, X-IAM-Trace-Id={trace}: "
        "give project_id, or set DLI_PROJECT_ID"
    )


def _request_id(answer: LoginAnswer) -> str | None:
    return answer.headers.get("X-IAM-Trace-Id") or answer.headers.get("X-Request-Id")


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
