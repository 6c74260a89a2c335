"""Which calls are for OBS, and which bucket and key they mean.

One port serves DLI, IAM and OBS. A host of OBS decides; on this machine's own names, which all
share, the kind of the signature does, which no other service takes.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from .._protocol.calls import Call

_SERVICE = re.compile(r"(?:(?P<bucket>.+)\.)?obs\.[a-z0-9-]+\.myhuaweicloud\.(?:com|eu)")
_LOCAL = re.compile(r"(?P<bucket>.+)\.localhost")
_SCHEMES = ("AWS4-HMAC-SHA256 ", "AWS ", "OBS ")
_SIGNED_QUERY = ("X-Amz-Signature", "Signature", "AccessKeyId", "AWSAccessKeyId")


class Address(NamedTuple):
    """What a call is about; `""` for no bucket (the service) or no key (the bucket).

    `in_host` is virtual-host style; `is_public` is a host of OBS itself, and `refused` path style
    there, which the service does not take.
    """

    bucket: str
    key: str
    in_host: bool = False
    refused: bool = False
    is_public: bool = False


def straighten(call: Call) -> None:
    """Makes a target in absolute form, as proxies get it, one that is a path."""
    if call.path.startswith(("http://", "https://")):
        parts = urlsplit(call.path)
        call.path, call.headers["host"] = parts.path or "/", parts.netloc


def address_of(call: Call) -> Address | None:
    """The address of a call that is for OBS; None for the other services."""
    host = call.headers.get("host", "").rpartition("@")[2]
    host = host.lower() if host.endswith("]") else re.sub(r":\d+$", "", host).lower()
    if match := _SERVICE.fullmatch(host):
        if match["bucket"]:
            return Address(match["bucket"], unquote(call.path[1:]), in_host=True, is_public=True)
        return Address(*_split(call.path), refused=call.path != "/", is_public=True)
    if not _is_signed_for_obs(call):
        return None
    if match := _LOCAL.fullmatch(host):
        return Address(match["bucket"], unquote(call.path[1:]), in_host=True)
    return Address(*_split(call.path))


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path[1:].partition("/")
    return unquote(bucket), unquote(key)


def _is_signed_for_obs(call: Call) -> bool:
    if call.headers.get("authorization", "").startswith(_SCHEMES):
        return True
    names = {name for name, _ in parse_qsl(call.query, keep_blank_values=True)}
    return not names.isdisjoint(_SIGNED_QUERY)
