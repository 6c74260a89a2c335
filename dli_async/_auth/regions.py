"""Regions and where their services answer: DLI, and IAM for tokens and project ids.

The lists are those of the vendor's SDK (`dli_region.py`, `core/auth/endpoint.py`); the page
"Regions and Endpoints" has the same addresses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from .._values.errors import ConfigurationError

__all__ = ["REGIONS", "dli_endpoint", "iam_endpoint", "obs_endpoint", "region_of"]

REGIONS: tuple[str, ...] = (
    "ae-ad-1",
    "af-north-1",
    "af-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "cn-east-2",
    "cn-east-3",
    "cn-east-4",
    "cn-east-5",
    "cn-north-1",
    "cn-north-2",
    "cn-north-4",
    "cn-north-9",
    "cn-south-1",
    "cn-southwest-2",
    "eu-west-0",
    "eu-west-101",
    "la-north-2",
    "la-south-2",
    "me-east-1",
    "my-kualalumpur-1",
    "na-mexico-1",
    "ru-moscow-1",
    "ru-northwest-2",
    "sa-brazil-1",
    "tr-west-1",
)
"""The regions where DLI is known to run, sorted."""

GLOBAL_IAM = "https://iam.myhuaweicloud.com"

# Regions of DLI for which no IAM address of their own is published; the global one serves them.
_WITHOUT_IAM = frozenset({"af-north-1", "ru-northwest-2"})
_IAM_ONLY = frozenset({"cn-north-12", "cn-south-2"})
_DOMAINS = {"eu-west-101": "myhuaweicloud.eu"}
_REGION_IN_HOST = re.compile(r"://[a-z][a-z0-9-]*\.([a-z]{2,}-[a-z]+-\d{1,3})\.myhuaweicloud\.")


def dli_endpoint(region: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the URL of DLI in a region, without a slash at its end.

    Args:
        region: such as `cn-north-4`.
        environ: where `HUAWEICLOUD_SDK_REGION_DLI_CN_NORTH_4` may name another one (the first of
            several, separated by commas); None means `os.environ`.

    Raises:
        ConfigurationError: the region is neither known nor named by the environment.
    """
    name = f"HUAWEICLOUD_SDK_REGION_DLI_{region.replace('-', '_').upper()}"
    override = _variables(environ).get(name, "").split(",")[0]
    if override.strip():
        return _as_url(override)
    if region not in REGIONS:
        raise ConfigurationError(
            f"unknown region {region!r}; known ones: {', '.join(REGIONS)}. "
            f"Give an endpoint, or set {name}, for another one"
        )
    return f"https://dli.{region}.{_domain(region)}"


def iam_endpoint(region: str | None, environ: Mapping[str, str] | None = None) -> str:
    """Return the URL of IAM: `HUAWEICLOUD_SDK_IAM_ENDPOINT`, the region's own, or the global one.

    Args:
        region: such as `cn-north-4`; None means the global one.
        environ: None means `os.environ`.
    """
    override = _variables(environ).get("HUAWEICLOUD_SDK_IAM_ENDPOINT", "")
    if override.strip():
        return _as_url(override)
    if region in _IAM_ONLY or (region in REGIONS and region not in _WITHOUT_IAM):
        return f"https://iam.{region}.{_domain(region)}"
    return GLOBAL_IAM


def obs_endpoint(region: str) -> str:
    """Return the URL of OBS in a region; buckets are names before its host."""
    return f"https://obs.{region}.{_domain(region)}"


def region_of(url: str) -> str | None:
    """Return the region that an address of Huawei Cloud names, or None."""
    match = _REGION_IN_HOST.search(url)
    return match[1] if match else None


def _domain(region: str | None) -> str:
    return _DOMAINS.get(region or "", "myhuaweicloud.com")


def _as_url(endpoint: str) -> str:
    endpoint = endpoint.strip().rstrip("/")
    return endpoint if "://" in endpoint else f"https://{endpoint}"


def _variables(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ
