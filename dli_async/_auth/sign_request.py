"""Signs a request of httpx in place, so that what is signed is what is sent."""

from __future__ import annotations

import time

from . import signing
from .credentials import Keys
from .flows import Request

__all__ = ["sign_request"]

# What proxies and HTTP libraries add or change after the signature is made.
_NOT_SIGNED = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def sign_request(
    request: Request, keys: Keys, now: float, *, derived_region: str | None = None
) -> None:
    """Sign a request as it is at this moment, replacing an earlier signature.

    Args:
        request: its query is brought into the signed form; a date it has is kept unless it was
            signed before.
        keys: those to sign with.
        now: epoch seconds.
        derived_region: signs with a key derived for that region; None means it does not.
    """
    given = dict(request.headers.items())
    added = signing.content_hash_header(given.get("content-type"))
    if keys.security_token:
        added["X-Security-Token"] = keys.security_token
    if signing.DATE_HEADER.lower() not in given or "authorization" in given:
        date = time.strftime(signing.SIGNED_DATE_FORMAT, time.gmtime(now))
        added[signing.DATE_HEADER] = date
    if len(given) < len(request.headers):
        # Two lines on the wire and one in the signature would not be the same text.
        added = given | added
    for name, value in added.items():
        request.headers[name] = value
        given[name.lower()] = value
    _make_canonical(request)
    request.headers["Authorization"] = _authorization(request, given, keys, derived_region)


def _authorization(
    request: Request, given: dict[str, str], keys: Keys, derived_region: str | None
) -> str:
    method, url, body = request.method, str(request.url), request.content
    headers = {name: value for name, value in given.items() if name not in _NOT_SIGNED}
    access_key, secret_key = keys.access_key, keys.secret_key
    if derived_region is None:
        return signing.sign(
            method, url, headers, body, access_key=access_key, secret_key=secret_key
        )
    return signing.sign_derived(
        method,
        url,
        headers,
        body,
        access_key=access_key,
        secret_key=secret_key,
        region=derived_region,
    )


def _make_canonical(request: Request) -> None:
    if b"?" not in request.url.raw_path:
        return
    query = request.url.query.decode("ascii")
    canonical = signing.canonical_query(query)
    if canonical != query or request.url.raw_path.endswith(b"?"):
        request.url = request.url.copy_with(query=canonical.encode() or None)
