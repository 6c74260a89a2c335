"""AWS's signature version 4, as OBS takes it (API page "Authentication of Signature V4")."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from .._auth import Keys
from .._values.errors import ConfigurationError

_ALGORITHM = "AWS4-HMAC-SHA256"
_EMPTY = hashlib.sha256(b"").hexdigest()
_UNSIGNED = "UNSIGNED-PAYLOAD"

LONGEST_LINK = 7 * 24 * 3600
"""Seconds that a link may live at most."""


def quote_key(key: str) -> str:
    """A key as a path has it, which is as it is signed."""
    return quote(key, safe="/-_.~")


def quote_query(query: Sequence[tuple[str, str]]) -> str:
    """A query as it is signed and sent: sorted, percent-encoded."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in pairs)


def sign(
    method: str,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    keys: Keys,
    region: str,
    now: float,
) -> dict[str, str]:
    """The headers to send: those given, and what the signature adds.

    Args:
        path, query: percent-encoded, as they are sent.
        headers: further ones, all of which are signed.
        now: epoch seconds; OBS allows 15 minutes of difference.
    """
    date = _date(now)
    digest = hashlib.sha256(body).hexdigest() if body else _EMPTY
    signed = {name.lower(): value for name, value in headers.items()}
    signed |= {"host": host, "x-amz-content-sha256": digest, "x-amz-date": date}
    if keys.security_token:
        signed["x-amz-security-token"] = keys.security_token
    names = sorted(signed)
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in names)
    canonical = "\n".join((method, path, query, lines, ";".join(names), digest))
    scope = _scope(date, region)
    signature = _signature(canonical, date, scope, keys)
    signed["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return signed


def sign_link(host: str, path: str, *, keys: Keys, region: str, now: float, life: int) -> str:
    """The query that lets whoever has it read an object, with no login of their own.

    It holds the id of the access key and the security token of temporary keys, which sign nothing
    without the secret key.

    Args:
        path: percent-encoded, as it is sent.
        now: epoch seconds, from which on it is good.
        life: seconds, 1 to `LONGEST_LINK`.
    """
    date = _date(now)
    scope = _scope(date, region)
    given = [
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{keys.access_key}/{scope}"),
        ("X-Amz-Date", date),
        ("X-Amz-Expires", str(life)),
        ("X-Amz-SignedHeaders", "host"),
        *([("X-Amz-Security-Token", keys.security_token)] if keys.security_token else []),
    ]
    query = quote_query(given)
    canonical = "\n".join(("GET", path, query, f"host:{host}\n", "host", _UNSIGNED))
    return f"{query}&X-Amz-Signature={_signature(canonical, date, scope, keys)}"


def check_expires(name: str, life: object) -> None:
    """Looks whether OBS takes a life of links.

    Raises:
        ConfigurationError: it is no number of whole seconds, or out of bounds.
    """
    is_whole = isinstance(life, int) and not isinstance(life, bool)
    if not is_whole or life not in range(1, LONGEST_LINK + 1):
        raise ConfigurationError(f"{name}={life!r}: must be whole seconds, 1 to {LONGEST_LINK}")


def _date(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")


def _scope(date: str, region: str) -> str:
    return f"{date[:8]}/{region}/s3/aws4_request"


def _signature(canonical: str, date: str, scope: str, keys: Keys) -> str:
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{date}\n{scope}\n{digest}"
    return _hmac(_signing_key(keys.secret_key, scope), to_sign).hex()


@lru_cache(maxsize=8)
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
