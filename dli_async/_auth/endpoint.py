"""Which URL a client talks to, and what else the environment says of a client."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from .._values.errors import ConfigurationError
from . import StaticToken
from .regions import dli_endpoint, obs_endpoint


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


def check_auth(auth: object) -> None:
    """Refuses what is no login.

    Raises:
        ConfigurationError: naming its type.
    """
    if auth is not None and not isinstance(auth, httpx.Auth):
        raise ConfigurationError(
            f"auth of type {type(auth).__name__}: must be an httpx.Auth, such as AkSk(...)"
        )


def local_endpoint(endpoint: str) -> str | None:
    """The URL if it leads to an emulator, which is all services in one; else None."""
    return endpoint if _is_local(endpoint) else None


def _is_local(endpoint: str) -> bool:
    """Whether a URL leads to this machine, or nowhere at all, as in process."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".invalid"))


def find_obs(
    given: str | None, path_style: bool | None, dli: str, region: str | None
) -> tuple[str, bool] | None:
    """The URL of OBS and whether buckets are in its paths; None where nothing tells it.

    Args:
        given: the user's own; its region's by default, or the emulator itself.
        path_style: None means: in paths at an address without a name, else before the host.
        dli: the endpoint of DLI.

    Raises:
        ConfigurationError: the given URL is not one.
    """
    url = find_endpoint(given, None) if given else None
    if url is None and _is_local(dli):
        url = dli
    if url is None and region:
        url = obs_endpoint(region)
    if url is None:
        return None
    return url, (_is_local(url) or _is_address(url)) if path_style is None else path_style


def _is_address(url: str) -> bool:
    try:
        return bool(ip_address(urlsplit(url).hostname or ""))
    except ValueError:
        return False


def from_environment(variables: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a client: those that are given, and what the variables say of the rest."""
    given = {key: value for key, value in options.items() if value is not None}
    if "endpoint" not in given and "region" not in given:
        given["endpoint"] = variables.get("DLI_ENDPOINT") or None
    if "region" not in given:
        given["region"] = variables.get("DLI_REGION") or None
    if "project_id" not in given:
        given["project_id"] = variables.get("DLI_PROJECT_ID") or None
    if "obs_endpoint" not in given:
        given["obs_endpoint"] = variables.get("OBS_ENDPOINT") or None
    if "auth" not in given and variables.get("DLI_TOKEN"):
        given["auth"] = StaticToken(variables["DLI_TOKEN"])
    if "table_exports" not in given and variables.get("DLI_TABLE_EXPORTS"):
        given["table_exports"] = variables["DLI_TABLE_EXPORTS"]
    if given["region"] and not given.get("endpoint"):
        given["endpoint"] = dli_endpoint(given["region"], variables)
    return given
