"""The gateway: who is calling, with which key or token, and for which project.

Keys and tokens are the emulator's own; nothing here would open anything at the real cloud.
"""

from __future__ import annotations

import base64
import math
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from .answers import Refused, gateway_error
from .calls import Call, Guard
from .signatures import BadSignature, Claim, verify

PROJECT_ID = "0123456789abcdef0123456789abcdef"
ACCESS_KEY, SECRET_KEY = "emulator-ak", "emulator-sk"
TOKEN = "emulator-token"
USER = PASSWORD = DOMAIN = "emulator"

_MOST_FAILURES = 5
_LOCKED_FOR = 5 * 60.0
_WRONG = "Incorrect IAM authentication information: "


def iso(moment: float) -> str:
    """A moment as IAM writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """An access key that lives for a while and needs its security token signed."""

    access: str
    secret: str
    security_token: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Token:
    """An IAM token; without a project it opens nothing in DLI."""

    text: str
    issued_at: float
    expires_at: float
    project: str | None


class Gate:
    """Issues and checks credentials.

    Args:
        seed: makes keys and tokens the same in every run.
        token_life: seconds until an issued token expires.
        key_life: seconds until a temporary key expires.
        token_size: characters of an issued token; the cloud's have several thousand.
    """

    def __init__(self, *, seed: int, token_life: float, key_life: float, token_size: int) -> None:
        self._random = random.Random(f"{seed}:gate")
        self._token_life = token_life
        self._key_life = key_life
        self._token_size = token_size
        self._tokens: dict[str, Token] = {}
        self._keys: dict[str, TemporaryKey] = {}
        self._newest: TemporaryKey | None = None
        self._failures: Counter[str] = Counter()
        self._locked_until: dict[str, float] = {}

    def unlock(self) -> None:
        """Forgets bad signatures and the locks they led to."""
        self._failures.clear()
        self._locked_until.clear()

    def issue_token(self, now: float, project: str | None) -> Token:
        """A new token; the ones before stay valid."""
        raw = self._random.randbytes(self._token_size)
        text = "MII" + base64.b64encode(raw, b"-_").decode()
        text = text[: max(self._token_size, 16)]
        token = Token(text, now, now + self._token_life, project)
        self._tokens[text] = token
        return token

    def temporary_key(self, now: float) -> TemporaryKey:
        """The current temporary key.

        A new one is made when a sixth of the life is left, as the metadata service does (ten
        minutes of an hour); the old one is good until its end.
        """
        newest = self._newest
        if newest is None or newest.expires_at - now <= self._key_life / 6:
            newest = self._newest = self.key_for(now, self._key_life)
        return newest

    def find_key(self, access: str) -> TemporaryKey | None:
        """The key of an id; the permanent one has no token and no end."""
        if access == ACCESS_KEY:
            return TemporaryKey(ACCESS_KEY, SECRET_KEY, "", math.inf)
        return self._keys.get(access)

    def key_for(self, now: float, life: float) -> TemporaryKey:
        """A temporary key of its own, as IAM gives it to who has a token."""
        parts = [self._random.randbytes(size).hex() for size in (10, 20, 200)]
        key = TemporaryKey(parts[0].upper(), parts[1], parts[2], round(now + life, 6))
        self._keys[key.access] = key
        return key

    def admit(self, call: Call, guard: Guard) -> None:
        """Lets a call through, or not.

        Raises:
            Refused: as the gateway does, 401 or 403.
        """
        project = self._project_of(call)
        if guard is Guard.DLI:
            _check_project(call, project)
        call.caller = USER

    def _project_of(self, call: Call) -> str | None:
        if token := call.headers.get("x-auth-token"):
            return self._check_token(token, call.now)
        if claim := Claim.read(call.headers.get("authorization", "")):
            self._check_signature(call, claim)
            return PROJECT_ID
        raise _unauthorised("x-auth-token not found")

    def _check_token(self, text: str, now: float) -> str | None:
        if text == TOKEN:
            return PROJECT_ID
        token = self._tokens.get(text)
        if token is None:
            raise _unauthorised("decrypt token fail")
        if now >= token.expires_at:
            text = f"The token must be updated, expires_at:{iso(token.expires_at)}"
            raise Refused(gateway_error(401, text, "APIGW.0307"))
        return token.project

    def _check_signature(self, call: Call, claim: Claim) -> None:
        if call.now < self._locked_until.get(claim.access, 0.0):
            raise _unauthorised("AK access failed to reach the limit,forbidden")
        secret = self._secret_of(call, claim.access)
        try:
            verify(call, claim, secret)
        except BadSignature as bad:
            self._note_failure(claim.access, call.now)
            raise _unauthorised(str(bad)) from None
        self._failures.pop(claim.access, None)

    def _note_failure(self, access: str, now: float) -> None:
        self._failures[access] += 1
        if self._failures[access] > _MOST_FAILURES:
            self._locked_until[access] = now + _LOCKED_FOR
            del self._failures[access]

    def _secret_of(self, call: Call, access: str) -> str:
        if access == ACCESS_KEY:
            return SECRET_KEY
        key = self._keys.get(access)
        if key is None:
            raise _unauthorised(f"Get secretKey failed,ak:{access},err:ak not exist")
        if call.headers.get("x-security-token") != key.security_token:
            raise _unauthorised("x-security-token does not belong to this ak")
        if call.now >= key.expires_at:
            raise _unauthorised(f"token expires, expires_at:{iso(key.expires_at)}")
        return key.secret


def _check_project(call: Call, project: str | None) -> None:
    asked = call.params["project"]
    named = call.headers.get("x-project-id", asked)
    if asked != PROJECT_ID or named != asked or project != asked:
        # Which code the gateway has for this is a guess.
        raise Refused(gateway_error(403, f"The project is unavailable: {asked}", "APIGW.0310"))


def _unauthorised(text: str) -> Refused:
    return Refused(gateway_error(401, _WRONG + text))
