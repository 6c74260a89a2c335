"""Regions: the vendor's list, overrides, and helpful refusals."""

from __future__ import annotations

import pytest
from huaweicloudsdkcore.auth import endpoint as vendor_iam
from huaweicloudsdkdli.v1.region.dli_region import DliRegion

from dli_async._auth.regions import REGIONS, dli_endpoint, iam_endpoint, region_of
from dli_async._auth.scope import Scope
from dli_async._values import errors as _errors


def test_dli_endpoints_are_those_of_the_vendor() -> None:
    """Every region of the vendor's SDK is known, with the same address, and no other."""
    theirs = {name: region.endpoints[0] for name, region in DliRegion.static_fields.items()}
    assert {name: dli_endpoint(name, {}) for name in REGIONS} == theirs
    assert list(REGIONS) == sorted(REGIONS)


def test_iam_endpoints_are_those_of_the_vendor() -> None:
    """IAM is where the vendor's SDK looks; Europe's own domain is its own IAM."""
    names = {*REGIONS, "cn-south-2", "cn-north-12", "nowhere-1"} - {"eu-west-101"}
    default = "https://iam.myhuaweicloud.com"
    assert {name: iam_endpoint(name, {}) for name in names} == {
        name: vendor_iam.get_iam_endpoint_by_id(name, default) for name in names
    }
    assert iam_endpoint(None, {}) == default
    assert iam_endpoint("eu-west-101", {}) == "https://iam.eu-west-101.myhuaweicloud.eu"


def test_unknown_region_lists_the_known_ones() -> None:
    """A typo is answered with every known region, and with the way around."""
    with pytest.raises(_errors.ConfigurationError) as caught:
        dli_endpoint("cn-nroth-4", {})
    assert all(name in str(caught.value) for name in REGIONS)
    assert "HUAWEICLOUD_SDK_REGION_DLI_CN_NROTH_4" in str(caught.value)


def test_environment_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's variables name other endpoints, for unknown regions too; the first counts."""
    monkeypatch.setenv("HUAWEICLOUD_SDK_REGION_DLI_MY_PLACE_1", "dli.my.place/, https://b")
    monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", " http://127.0.0.1:8765/ ")
    assert dli_endpoint("my-place-1") == "https://dli.my.place"
    assert iam_endpoint("cn-north-4") == "http://127.0.0.1:8765"


def test_region_of_an_address() -> None:
    """An address of the cloud names its region; others do not."""
    assert region_of("https://dli.eu-west-101.myhuaweicloud.eu/v1") == "eu-west-101"
    assert region_of("https://iam.cn-north-4.myhuaweicloud.com") == "cn-north-4"
    assert region_of("http://127.0.0.1:8765") is None


def test_scope_prefers_what_is_nearest() -> None:
    """Project: given, DLI_PROJECT_ID, the vendor's variable. IAM: the login's, the scope's."""
    vendor = {"HUAWEICLOUD_SDK_PROJECT_ID": "c", "HUAWEICLOUD_SDK_IAM_ENDPOINT": "https://e"}
    ours = {**vendor, "DLI_PROJECT_ID": "b"}
    assert Scope(project_id="a", environ=ours).given_project_id() == "a"
    assert Scope(environ=ours).given_project_id() == "b"
    assert Scope(environ=vendor).given_project_id() == "c"
    assert Scope(environ={}).given_project_id() is None
    scope = Scope(iam_endpoint="https://s", environ=vendor)
    assert (scope.iam("https://l"), scope.iam()) == ("https://l", "https://s")
    assert Scope(environ=vendor).iam() == "https://e"
    assert "DLI" not in repr(Scope(environ=ours))
