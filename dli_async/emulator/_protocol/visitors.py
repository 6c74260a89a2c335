"""Who may call at all: programs on this machine, and no page of a browser that came from elsewhere.

A page of any site can make its visitor's browser send requests to a loopback port, and a name of
its own that resolves to 127.0.0.1 lets it read the answers too. Browsers say where a request comes
from, and under which name it was sent; that is what is looked at here, on every route.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from .answers import Refused, gateway_error
from .calls import Call

ENDPOINT_HOST = "emulator.invalid"
"""The name of the in-process client's endpoint, which no network can resolve (RFC 6761)."""

_NAME = re.compile(r"[0-9a-z_.:-]+")
_HOW = "Emulator(allowed_hosts=[...]) and `dli-async emulator --allowed-host` name more"


class Visitors:
    """Tells who may call.

    Args:
        allowed_hosts: names that are answered to beside loopback and what was bound; `*.name`
            stands for the names below one, `*` for all.
    """

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed = tuple(host.lower().rstrip(".") for host in allowed_hosts)

    def admit(self, call: Call) -> None:
        """Lets a call in, or not.

        Raises:
            Refused: 403, with the reason.
        """
        if reason := self._objection(call):
            raise Refused(gateway_error(403, reason))

    def _objection(self, call: Call) -> str | None:
        host = call.headers.get("host")
        if call.bound is not None and host is not None and not self.knows(host, call.bound):
            return f"Host {host!r} is neither loopback nor the address that is served; {_HOW}"
        origin = call.headers.get("origin")
        if origin is not None and not _is_at_home(origin, host):
            return f"Origin {origin!r} is foreign: pages of other sites may not call the emulator"
        if call.headers.get("sec-fetch-site", "").lower() == "cross-site":
            return "Sec-Fetch-Site: cross-site: pages of other sites may not call the emulator"
        return None

    def knows(self, host: str, bound: Collection[str] = ()) -> bool:
        """Whether a Host, with or without a port, is one to answer to.

        This is the whole rule: what is served under further names has to be said here.

        Args:
            bound: names and addresses under which the server was reached.
        """
        name = host_name(host)
        if name is None:
            return False
        return (
            name == ENDPOINT_HOST
            or is_loopback(name)
            or name in bound
            or any(_matches(name, pattern) for pattern in self._allowed)
        )


def host_name(host: str) -> str | None:
    """The name in a Host or an authority, in lower case and without port; None if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return None
    name = parts.hostname or ""
    if parts.netloc != host or "@" in host or not _NAME.fullmatch(name):
        return None
    return name.rstrip(".")


def is_loopback(name: str) -> bool:
    """Whether a name or an address stays on this machine; names below `localhost` do."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _matches(name: str, pattern: str) -> bool:
    return pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _is_at_home(origin: str, host: str | None) -> bool:
    """Whether an Origin is a page of this machine, or of the name that is asked for."""
    scheme, separator, authority = origin.partition("://")
    name = host_name(authority) if separator and scheme in ("http", "https") else None
    if name is None:
        return False
    return is_loopback(name) or (host is not None and name == host_name(host))
