"""Temporary keys of the machine one runs on: an ECS server's agency, a CCE pod's identity.

Both hand out keys with an end, so they are asked again; see `fresh.py` for when.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .credentials import Keys, NoKeys, clean
from .steps import LoginAnswer, LoginCall, Step, Steps, ask, epoch, read_file

__all__ = ["EcsMetadata", "PodIdentity"]

_TOKEN_TTL = 21600
_PROBE_AGAIN_AFTER = 24 * 3600.0
_NO_AGENCY = "Please configure Cloud Service Agency first"


@dataclass(slots=True)
class EcsMetadata:
    """The metadata service of an ECS server that has an agency.

    It is asked in token mode first. Where that is unknown (404, 405, 503) the keys are asked for
    without a token, and token mode is not tried again for 24 hours.

    Attributes:
        base_url: where the service answers.
        timeout: seconds for connecting, and again for each read.
    """

    base_url: str = "http://169.254.169.254"
    timeout: float = 3.0
    _token: str | None = field(default=None, init=False, repr=False)
    _probed_at: float = field(default=-math.inf, init=False, repr=False)

    def describe(self) -> str:
        """Return the name of the source."""
        return f"ECS metadata service ({self.base_url})"

    def keys(self, environ: Mapping[str, str], now: float) -> Steps[Keys]:
        """Ask the service; a refused token is replaced once."""
        if not self._token and now - self._probed_at > _PROBE_AGAIN_AFTER:
            self._probed_at = now
            yield from self._new_token(fallback=True)
        answer = yield from self._ask_keys()
        if answer.status == 401 and _NO_AGENCY not in answer.text:
            yield from self._new_token(fallback=False)
            answer = yield from self._ask_keys()
        return parse_keys(answer, now)

    def _ask_keys(self) -> Steps[LoginAnswer]:
        headers = {"X-Metadata-Token": self._token} if self._token else {}
        url = f"{self.base_url}/openstack/latest/securitykey"
        return ask(
            LoginCall("the keys of the ECS server", "GET", url, headers, timeout=self.timeout)
        )

    def _new_token(self, *, fallback: bool) -> Generator[Step, Any, None]:
        url = f"{self.base_url}/meta-data/latest/api/token"
        headers = {"X-Metadata-Token-Ttl-Seconds": str(_TOKEN_TTL)}
        answer = yield from ask(
            LoginCall("the metadata token", "PUT", url, headers, timeout=self.timeout)
        )
        if answer.status == 200:
            self._token = clean("the metadata token", answer.text)
        elif fallback and answer.status in (404, 405, 503):
            self._token = None
        else:
            raise NoKeys(f"no metadata token: HTTP {answer.status} {answer.text[:200]}".rstrip())


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """The identity of a CCE pod: `HC_CONTAINER_CREDENTIALS_FULL_URI`, asked with the content of
    `HC_CONTAINER_AUTHORIZATION_TOKEN_FILE`, which is read anew each time.

    Attributes:
        timeout: seconds for connecting, and again for each read.
    """

    timeout: float = 5.0

    def describe(self) -> str:
        """Return the name of the source."""
        return "pod identity (HC_CONTAINER_CREDENTIALS_FULL_URI)"

    def keys(self, environ: Mapping[str, str], now: float) -> Steps[Keys]:
        """Read the file away from the event loop, and ask."""
        url = _required(environ, "HC_CONTAINER_CREDENTIALS_FULL_URI")
        path = Path(_required(environ, "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"))
        try:
            token = clean(str(path), (yield from read_file(path)))
        except (OSError, UnicodeDecodeError):
            raise NoKeys(f"{path} cannot be read") from None
        headers = {"Authorization": token, "Content-Type": "application/json"}
        answer = yield from ask(
            LoginCall("the keys of the pod", "POST", url, headers, b"{}", timeout=self.timeout)
        )
        return parse_keys(answer, now)


def parse_keys(answer: LoginAnswer, now: float) -> Keys:
    """Read keys from an answer, in any of the spellings in use.

    Raises:
        NoKeys: the answer is an error, or holds no complete set of keys.
    """
    if answer.status >= 400:
        raise NoKeys(f"HTTP {answer.status} {answer.text[:200]}".rstrip())
    body = answer.json()
    found = body.get("credential") or body.get("credentials") or body
    if not isinstance(found, dict):
        found = {}
    access_key = _first(found, "access", "accessKeyId", "access_key_id")
    secret_key = _first(found, "secret", "secretAccessKey", "secret_access_key")
    expires = epoch(_first(found, "expires_at", "expiration"))
    if not access_key or not secret_key or expires is None:
        raise NoKeys(f"HTTP {answer.status}, but no keys with an expiry in it")
    token = _first(found, "securitytoken", "securityToken", "security_token")
    return Keys(access_key, secret_key, token, life=expires - answer.sent_at(now))


def _first(found: Mapping[str, object], *names: str) -> str | None:
    return next((str(found[name]) for name in names if found.get(name)), None)


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise NoKeys(f"{name} is not set")
    return value
