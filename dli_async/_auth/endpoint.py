"""Which URL a client talks to, and what else the environment says of a client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from .._values.errors import ConfigurationError
from . import StaticToken
from .regions import dli_endpoint


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


def from_environment(variables: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a client: those that are given, and what the variables say of the rest."""
    given = {key: value for key, value in options.items() if value is not None}
    if "endpoint" not in given and "region" not in given:
        given["endpoint"] = variables.get("DLI_ENDPOINT") or None
    if "region" not in given:
        given["region"] = variables.get("DLI_REGION") or None
    if "project_id" not in given:
        given["project_id"] = variables.get("DLI_PROJECT_ID") or None
    if "auth" not in given and variables.get("DLI_TOKEN"):
        given["auth"] = StaticToken(variables["DLI_TOKEN"])
    if given["region"] and not given.get("endpoint"):
        given["endpoint"] = dli_endpoint(given["region"], variables)
    return given
