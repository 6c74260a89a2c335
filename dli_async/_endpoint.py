"""Which URL a client talks to."""

from __future__ import annotations

from urllib.parse import urlsplit

from ._auth.regions import dli_endpoint
from ._errors import ConfigurationError


def find_endpoint(endpoint: str | None, region: str | None) -> str:
    """The base URL for the two options of a client, without a trailing slash.

    Raises:
        ConfigurationError: neither is given, the region is unknown, or the URL is not one.
    """
    if endpoint is None and region is None:
        raise ConfigurationError(
            "no endpoint: give endpoint=... or region=..., or set DLI_ENDPOINT or DLI_REGION and "
            "use DliClient.from_env()"
        )
    if endpoint is None:
        return dli_endpoint(str(region))
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ConfigurationError(
            f"endpoint={endpoint!r}: must be a URL such as https://dli.cn-north-4.myhuaweicloud.com"
        )
    if parts.username or parts.password:
        raise ConfigurationError("endpoint: must not hold a user or a password; use auth")
    return endpoint.rstrip("/")
