"""Request signatures of Huawei Cloud: SDK-HMAC-SHA256, and V11-HMAC-SHA256 with a derived key.

Pure functions over what goes on the wire: no I/O, no clock, no state. The rules are those of the
API signing guide (`api-sign-algorithm-001` and following) as the vendor's SDK applies them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qsl, quote, unquote

__all__ = [
    "ALGORITHM",
    "CONTENT_HASH_HEADER",
    "DATE_HEADER",
    "DERIVED_ALGORITHM",
    "SIGNED_DATE_FORMAT",
    "Headers",
    "canonical_query",
    "canonical_request",
    "canonical_url",
    "content_hash_header",
    "is_standard_host",
    "percent_encode",
    "sign",
    "sign_derived",
    "signed_headers",
]

ALGORITHM = "SDK-HMAC-SHA256"
DERIVED_ALGORITHM = "V11-HMAC-SHA256"
SIGNED_DATE_FORMAT = "%Y%m%dT%H%M%SZ"
"""The `strftime` format of `X-Sdk-Date`, always in UTC."""

DATE_HEADER = "X-Sdk-Date"
CONTENT_HASH_HEADER = "X-Sdk-Content-Sha256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

Headers = Mapping[str, str] | Sequence[tuple[str, str]]

_SIGNED_CONTENT_TYPES = ("application/json", "application/bson")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
_STANDARD_HOST = re.compile(
    r"[a-z][a-z0-9-]+(\.[a-z]{2,}-[a-z]+-\d{1,2})?\.(my)?(huaweicloud|myhwclouds).(com|cn)"
)


def sign(
    method: str,
    url: str,
    headers: Headers,
    body: bytes,
    *,
    access_key: str,
    secret_key: str,
) -> str:
    """Return the value of `Authorization` for a request, by SDK-HMAC-SHA256.

    Args:
        method: HTTP method, in any case.
        url: what goes on the wire: an absolute URL or the target of a request line.
        headers: every one is signed but names with `_`. `X-Sdk-Date` must be among them; `Host`
            is taken from `url` where it is missing. See `content_hash_header` for bodies that
            are not JSON.
        body: the bytes of the body; `b""` for none.
        access_key: the AK, which the answer names.
        secret_key: the SK, which stays here.

    Raises:
        ValueError: `X-Sdk-Date` is missing, or neither `headers` nor `url` names the host.
    """
    signed = signed_headers(url, headers)
    text = _canonical(method, url, signed, body)
    to_sign = f"{ALGORITHM}\n{signed['x-sdk-date']}\n{_sha256(_to_bytes(text))}"
    names = ";".join(signed)
    signature = _hmac_hex(secret_key.encode(), to_sign)
    return f"{ALGORITHM} Access={access_key}, SignedHeaders={names}, Signature={signature}"


def sign_derived(
    method: str,
    url: str,
    headers: Headers,
    body: bytes,
    *,
    access_key: str,
    secret_key: str,
    region: str,
    service: str = "dli",
) -> str:
    """Return the value of `Authorization` by V11-HMAC-SHA256: the key holds for one day, region
    and service. Only hosts outside the standard domains ask for it (see `is_standard_host`).

    Args and errors are those of `sign`; `region` such as `cn-north-4`.
    """
    signed = signed_headers(url, headers)
    text = _canonical(method, url, signed, body)
    date = signed["x-sdk-date"]
    info = f"{date[:8]}/{region}/{service}"
    to_sign = f"{DERIVED_ALGORITHM}\n{date}\n{info}\n{_sha256(_to_bytes(text))}"
    names = ";".join(signed)
    signature = _hmac_hex(_derived_key(access_key, secret_key, info), to_sign)
    scope = f"{access_key}/{info}"
    return f"{DERIVED_ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}"


def canonical_request(method: str, url: str, headers: Headers, body: bytes) -> str:
    """Return the text whose hash is signed: six parts, one below the other.

    The gateway prints its own, with `|` for the line ends, when a signature does not fit.
    """
    return _canonical(method, url, signed_headers(url, headers), body)


def signed_headers(url: str, headers: Headers) -> dict[str, str]:
    """Return the headers that get signed, names in lower case and sorted, values trimmed.

    A repeated name counts once, its values joined with `, ` as HTTP defines it.
    """
    signed: dict[str, str] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        key = name.lower()
        if "_" not in key:
            signed[key] = f"{signed[key]}, {value.strip()}" if key in signed else value.strip()
    if "x-sdk-date" not in signed:
        raise ValueError(f"a request is signed with its date: {DATE_HEADER} is missing")
    if "host" not in signed:
        signed["host"] = _host(url)
    return dict(sorted(signed.items()))


def content_hash_header(content_type: str | None) -> dict[str, str]:
    """Return the header that a body of this type must carry before it is signed; mostly none.

    The bytes of a body are signed only when it is JSON or BSON; others (uploads) announce that
    they are not.
    """
    if not content_type or content_type.startswith(_SIGNED_CONTENT_TYPES):
        return {}
    return {CONTENT_HASH_HEADER: UNSIGNED_PAYLOAD}


def canonical_query(query: str | Iterable[tuple[str, str]]) -> str:
    """Return a query as it is signed and must be sent: sorted, `%20` for a blank, `k=` kept.

    Args:
        query: pairs of plain text, or a query string as a URL has it (`+` means a blank).
    """
    pairs = parse_qsl(query, keep_blank_values=True) if isinstance(query, str) else query
    return "&".join(f"{percent_encode(k)}={percent_encode(v)}" for k, v in sorted(pairs))


def canonical_url(url: str) -> str:
    """Return `url` with its query in canonical form: send this, and what is sent is what is signed.

    The path stays as it is, for a server decodes it before it checks; a fragment is dropped.
    """
    before, mark, query = url.partition("#")[0].partition("?")
    canonical = canonical_query(query)
    return f"{before}?{canonical}" if mark and canonical else before


def percent_encode(text: str) -> str:
    """Return `text` with everything but letters, digits and `-_.~` in percent form (UTF-8)."""
    return quote(text, safe="~")


def is_standard_host(host: str) -> bool:
    """Tell whether a host is of the domains that take SDK-HMAC-SHA256.

    The vendor's own default rule for using the derived signature is the contrary of this.
    """
    return _STANDARD_HOST.match(host) is not None


def _canonical(method: str, url: str, signed: Mapping[str, str], body: bytes) -> str:
    path, query = _split_target(url)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    payload = (body and signed.get(CONTENT_HASH_HEADER.lower())) or _sha256(body)
    return "\n".join(
        (
            method.upper(),
            _canonical_path(path),
            canonical_query(query),
            lines,
            ";".join(signed),
            payload,
        )
    )


def _canonical_path(path: str) -> str:
    encoded = quote(unquote(path), safe="/~")
    return encoded if encoded.endswith("/") else f"{encoded}/"


def _split_target(url: str) -> tuple[str, str]:
    """Split by hand: `urlsplit` would take a target that begins with `//` for a host."""
    path, _, query = _after_authority(url)[1].partition("#")[0].partition("?")
    return path, query


def _after_authority(url: str) -> tuple[str, str]:
    match = _AUTHORITY.match(url)
    return (match[1], url[match.end() :]) if match else ("", url)


def _host(url: str) -> str:
    authority = _after_authority(url)[0].rpartition("@")[2]
    if not authority:
        raise ValueError("a request is signed with its host: Host is missing, and the URL has none")
    return authority.removesuffix(_DEFAULT_PORTS.get(url.partition(":")[0].lower(), ":"))


def _derived_key(access_key: str, secret_key: str, info: str) -> bytes:
    extracted = hmac.digest(access_key.encode(), secret_key.encode(), "sha256")
    # One block of HKDF's second step is the whole key, and its hex text is what signs.
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256").hex().encode()


def _hmac_hex(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _to_bytes(text: str) -> bytes:
    """Encode so that header bytes that are no UTF-8 are signed as they are sent."""
    return text.encode("utf-8", "surrogateescape")
