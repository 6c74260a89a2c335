"""Verifies AK/SK signatures over the bytes that arrived.

The computation is the emulator's own and starts from the raw path and query, not from what a
client believes it has sent: who sends something else than he signed is refused, as at the gateway
(api-sign-algorithm-001 and the following pages).
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from .calls import Call

__all__ = ["BadSignature", "Claim", "canonical_request", "expected_signature", "verify"]

PLAIN = "SDK-HMAC-SHA256"
DERIVED = "V11-HMAC-SHA256"
WINDOW = 15 * 60.0
"""How far, in seconds, X-Sdk-Date may be from the gateway's clock."""

_AUTHORIZATION = re.compile(
    rf"(?:({PLAIN}) Access=([^,\s]+)|({DERIVED}) Credential=([^,/\s]+)/([^,\s]+))"
    r", ?SignedHeaders=([^,\s]+), ?Signature=([0-9a-f]+)"
)
_DATE = "%Y%m%dT%H%M%SZ"
_UNSIGNED = "UNSIGNED-PAYLOAD"


class BadSignature(Exception):
    """A signature that does not hold; the text is what the gateway says about it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Authorization header claims; `info` is only in the derived form."""

    algorithm: str
    access: str
    signed_headers: tuple[str, ...]
    signature: str
    info: str = ""

    @classmethod
    def read(cls, text: str) -> Claim | None:
        """Takes a header apart; None if it is no signature."""
        match = _AUTHORIZATION.fullmatch(text.strip())
        if match is None:
            return None
        plain, access, derived, derived_access, info, names, signature = match.groups(default="")
        headers = tuple(names.split(";"))
        return cls(plain or derived, access or derived_access, headers, signature, info)


def verify(call: Call, claim: Claim, secret: str) -> None:
    """Holds a claim against the call.

    Raises:
        BadSignature: saying what is wrong.
    """
    date = call.headers.get("x-sdk-date", "")
    if not {"host", "x-sdk-date"} <= set(claim.signed_headers):
        raise BadSignature("host and x-sdk-date must be signed")
    if "x-security-token" in call.headers and "x-security-token" not in claim.signed_headers:
        raise BadSignature("x-security-token must be signed")
    if abs(call.now - _moment(date)) > WINDOW:
        raise BadSignature("calc ak sk signature fail: signature expired")
    canonical = canonical_request(call, claim.signed_headers)
    expected = expected_signature(claim, secret, date, canonical)
    if not hmac.compare_digest(expected, claim.signature):
        shown = canonical.replace("\n", "|")
        raise BadSignature(f"verify aksk signature fail, canonicalRequest:{shown}")


def canonical_request(call: Call, signed_headers: tuple[str, ...]) -> str:
    """The text whose hash was signed, computed from what arrived."""
    lines = [f"{name}:{call.headers.get(name, '').strip()}\n" for name in signed_headers]
    return "\n".join(
        (
            call.method.upper(),
            _canonical_path(call.path),
            _canonical_query(call.query),
            "".join(lines),
            ";".join(signed_headers),
            _payload_hash(call.body, call.headers),
        )
    )


def expected_signature(claim: Claim, secret: str, date: str, canonical: str) -> str:
    """The signature that the owner of the secret would have made."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    if claim.algorithm == PLAIN:
        return _hmac(secret.encode(), f"{PLAIN}\n{date}\n{digest}").hex()
    key = _derived_key(claim.access, secret, claim.info)
    return _hmac(key.encode(), f"{DERIVED}\n{date}\n{claim.info}\n{digest}").hex()


def _derived_key(access: str, secret: str, info: str) -> str:
    # HKDF with one block of output; the key is the *text* of its hexadecimal digits.
    extracted = _hmac(access.encode(), secret)
    return _hmac(extracted, info + "\x01").hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _moment(date: str) -> float:
    try:
        return calendar.timegm(time.strptime(date, _DATE))
    except ValueError:
        raise BadSignature(f"x-sdk-date is not of the form {_DATE}") from None


def _canonical_path(path: str) -> str:
    # Only the canonical form ends in a slash; the path on the wire keeps its own end.
    encoded = quote(unquote(path), safe="/~")
    return encoded if encoded.endswith("/") else encoded + "/"


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    # A plus is a plus here: forms may write blanks so, signatures do not.
    pairs = [part.partition("=") for part in query.split("&")]
    decoded = sorted((unquote(name), unquote(value)) for name, _, value in pairs)
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in decoded)


def _payload_hash(body: bytes, headers: Mapping[str, str]) -> str:
    if body and headers.get("x-sdk-content-sha256") == _UNSIGNED:
        return _UNSIGNED
    return hashlib.sha256(body).hexdigest()
