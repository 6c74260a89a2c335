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
    headers = request.headers
    if keys.security_token:
        headers["X-Security-Token"] = keys.security_token
    if signing.DATE_HEADER not in headers or "Authorization" in headers:
        date = time.strftime(signing.SIGNED_DATE_FORMAT, time.gmtime(now))
        headers[signing.DATE_HEADER] = date
    headers.update(signing.content_hash_header(headers.get("Content-Type")))
    _make_canonical(request)
    headers["Authorization"] = _authorization(request, keys, derived_region)


def _authorization(request: Request, keys: Keys, derived_region: str | None) -> str:
    method, url, body = request.method, str(request.url), request.content
    headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_SIGNED]
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
    query = request.url.query.decode("ascii")
    canonical = signing.canonical_query(query)
    if canonical != query or request.url.raw_path.endswith(b"?"):
        request.url = request.url.copy_with(query=canonical.encode() or None)
    for name in request.headers:
        if len(request.headers.get_list(name)) > 1:
            # Two lines on the wire and one in the signature would not be the same text.
            request.headers[name] = request.headers[name]
