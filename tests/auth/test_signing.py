"""Signatures: those of the documents, those of the vendor's signer, and the rules by name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import DerivationAKSKSigner, Signer
from hypothesis import given, settings
from hypothesis import strategies as st

from dli_async._auth import signing
from dli_async._auth.signing import sign, sign_derived

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "aksk.json").read_text("utf-8"))
PAIR = {"access_key": "AccessKey", "secret_key": "SecretKey"}
DATE = {"X-Sdk-Date": "20200608T023900Z"}
RESOURCES = "https://service.endpoint.myhuaweicloud.com/resources?size=1"
CREATE = b'{"name":"test","id":1}'


def vendor_sign(
    method: str,
    host: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    body: bytes,
    signer: Any = Signer,
    **derived: str,
) -> SdkRequest:
    request = SdkRequest(
        method=method,
        schema="https",
        host=host,
        resource_path=path,
        query_params=list(query),
        header_params=dict(headers),
        body=body,
    )
    return signer(BasicCredentials("AccessKey", "SecretKey")).sign(request, **derived)


def signature(authorization: str) -> str:
    return authorization.rpartition("Signature=")[2]


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["uri"][-40:])
def test_vectors_of_the_vendors_signer(case: dict[str, Any]) -> None:
    """Each recorded request gets the very `Authorization` that the vendor's signer gave it."""
    query = urlencode([tuple(pair) for pair in case["query"]])
    url = "https://dli.cn-north-4.myhuaweicloud.com" + quote(case["path"]) + f"?{query}"
    headers, body = case["signed_headers"], case["body"].encode()
    given = sign(
        case["method"],
        url,
        headers,
        body,
        access_key=VECTORS["ak"],
        secret_key=VECTORS["sk"],
    )
    assert given == case["authorization"]
    wire_query = case["uri"].partition("?")[2]
    assert signing.canonical_url(url).partition("?")[2] == wire_query


def test_vectors_of_the_vendors_own_tests() -> None:
    """GET and POST of the SDK's test suite, by both algorithms."""
    derived = {**PAIR, "region": "test-region-1", "service": "demo"}
    assert [
        signature(sign("GET", RESOURCES, DATE, b"", **PAIR)),
        signature(sign("POST", RESOURCES, DATE, CREATE, **PAIR)),
        signature(sign_derived("GET", RESOURCES, DATE, b"", **derived)),
        signature(sign_derived("POST", RESOURCES, DATE, CREATE, **derived)),
    ] == [
        "cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842",
        "436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f",
        "f7dfee056692e58dede80fc80cb89bbfabf45552dd7cd8d18a0a13484455b98e",
        "8e2d91eaf9656ec5d6fab27812e2d898a35aaaa5e16ee0a0365c38527ccfb3cf",
    ]


def test_vector_of_the_guide() -> None:
    """The worked example of the signing guide: canonical request and signature."""
    url = (
        "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs"
        "?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0"
    )
    headers = {"Content-Type": "application/json", "X-Sdk-Date": "20191115T033655Z"}
    canonical = signing.canonical_request("GET", url, headers, b"")
    assert hashlib.sha256(canonical.encode()).hexdigest() == (
        "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    )
    secret = "MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"
    given = sign("GET", url, headers, b"", access_key="A", secret_key=secret)
    assert given == (
        "SDK-HMAC-SHA256 Access=A, SignedHeaders=content-type;host;x-sdk-date, "
        "Signature=7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"
    )


def test_query_vector_of_the_sdk() -> None:
    """Sorting, blanks, signs and Chinese in a query come out as the SDK sends them."""
    query = [
        ("limit", "1"),
        ("enable", "true"),
        ("test", "一 (&=?!#%.*)"),
        ("path", "/a/123"),
        *(("multi", one) for one in "132"),
    ]
    expected = (
        "enable=true&limit=1&multi=1&multi=2&multi=3&path=%2Fa%2F123"
        "&test=%E4%B8%80%20%28%26%3D%3F%21%23%25.%2A%29"
    )
    assert signing.canonical_query(query) == expected
    assert signing.canonical_query(urlencode(query)) == expected


NASTY = st.sampled_from("/%+*~ ?#&=;:@!$'(),[]|\\^`{}<>\"aA0-_.\u6570\u636e\xe9\U0001f600\t")
TEXT = st.text(NASTY | st.characters(codec="utf-8"), max_size=12)
PATHS = TEXT.map(lambda text: "/" + text.replace("?", "").replace("#", ""))
NAMES = st.text("abcXYZ019-_", min_size=1, max_size=8).map(lambda name: f"x-{name}")
HEADERS = st.dictionaries(NAMES, TEXT, max_size=4).filter(
    lambda headers: len({name.lower() for name in headers}) == len(headers)
)
CONTENT_TYPES = st.sampled_from(
    ["", "application/json", "application/json;charset=utf8", "application/bson", "text/plain"]
)


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "post", "Delete", "PUT"]),
    path=PATHS,
    query=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    headers=HEADERS,
    content_type=CONTENT_TYPES,
    body=st.binary(max_size=20),
)
def test_equals_the_vendors_signer(
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    content_type: str,
    body: bytes,
) -> None:
    """Random requests get the signature that the vendor's signer gives, by both algorithms, and
    the query it would send."""
    headers = {**headers, **DATE, "Host": "dli.example.com"}
    if content_type:
        headers["Content-Type"] = content_type
    url = f"https://dli.example.com{path}?{urlencode(query)}"
    ours = {**headers, **signing.content_hash_header(content_type)}
    theirs = vendor_sign(method, "dli.example.com", path, query, headers, body)
    assert sign(method, url, ours, body, **PAIR) == theirs.header_params["Authorization"]
    wire = signing.canonical_url(url)
    assert wire.removeprefix("https://dli.example.com") == theirs.uri
    theirs = vendor_sign(
        method,
        "dli.example.com",
        path,
        query,
        headers,
        body,
        DerivationAKSKSigner,
        derived_auth_service_name="dli",
        region_id="cn-north-4",
    )
    derived = sign_derived(method, wire, ours, body, **PAIR, region="cn-north-4")
    assert derived == theirs.header_params["Authorization"]


def test_wire_forms_of_one_request_have_one_signature() -> None:
    """However a client writes the same path and query, the signature is the same."""
    forms = [
        "https://h/a%20b/%E6%95%B0?x=1%202&y=",
        "https://h/a b/数?y&x=1+2",
        "https://user:pw@h:443/a b/%e6%95%b0/?&y=&x=1 2#fragment",
        "HTTPS://h:443/a%20b/数?x=1%20%32&y=",
    ]
    assert len({sign("GET", form, DATE, b"", **PAIR) for form in forms}) == 1


def test_target_of_a_request_line_is_enough() -> None:
    """A server may check what it received: target and Host, even a target that begins with `//`."""
    headers = {**DATE, "Host": "h"}
    for target in ("/a/b?c=d", "//a//b", "/"):
        assert sign("GET", target, headers, b"", **PAIR) == sign(
            "GET", f"https://h{target}", DATE, b"", **PAIR
        )
    assert sign("GET", "https://h", DATE, b"", **PAIR) == sign("GET", "/", headers, b"", **PAIR)


def test_host_is_that_of_the_wire() -> None:
    """A port that is not the scheme's own belongs to the host; names and logins do not."""
    hosts = {
        "http://h:80/": "h",
        "https://h:443/": "h",
        "https://h:80/": "h:80",
        "http://u:p@h:8765/": "h:8765",
        "https://[::1]:443/": "[::1]",
        "ftp://h:21/": "h:21",
    }
    assert {url: signing.signed_headers(url, DATE)["host"] for url in hosts} == hosts


def test_headers_are_sorted_trimmed_and_joined() -> None:
    """Names in lower case and sorted, values trimmed, repeated ones in one line, `_` left out."""
    headers = [("X-B", " 2 "), ("x-a", "1"), ("X-b", "3"), ("x_c", "4"), *DATE.items()]
    assert list(signing.signed_headers("https://h/", headers).items()) == [
        ("host", "h"),
        ("x-a", "1"),
        ("x-b", "2, 3"),
        ("x-sdk-date", DATE["X-Sdk-Date"]),
    ]


def test_header_bytes_that_are_no_utf8_are_signed_as_sent() -> None:
    """A header decoded with surrogates is hashed by the bytes it came from."""
    value = b"\xe9".decode("utf-8", "surrogateescape")
    given = sign("GET", "https://h/", {**DATE, "x-a": value}, b"", **PAIR)
    assert given != sign("GET", "https://h/", {**DATE, "x-a": "é"}, b"", **PAIR)


def test_unsigned_payload_covers_any_body_but_an_empty_one() -> None:
    """With UNSIGNED-PAYLOAD the body does not matter; an empty body keeps its own hash."""
    headers = {**DATE, "Content-Type": "text/plain", **signing.content_hash_header("text/plain")}
    first, second, empty = (
        signing.canonical_request("PUT", "https://h/", headers, body) for body in (b"1", b"2", b"")
    )
    assert first == second
    assert first.endswith("\nUNSIGNED-PAYLOAD")
    assert empty.endswith(hashlib.sha256(b"").hexdigest())
    assert signing.content_hash_header(None) == {}


def test_what_cannot_be_signed_is_an_error() -> None:
    """Without a date or a host there is nothing to sign."""
    with pytest.raises(ValueError, match="X-Sdk-Date"):
        sign("GET", "https://h/", {}, b"", **PAIR)
    with pytest.raises(ValueError, match="Host"):
        sign("GET", "/a", DATE, b"", **PAIR)


def test_standard_hosts() -> None:
    """The vendor's rule for the derived signature: hosts outside its own domains."""
    hosts = {
        "dli.cn-north-4.myhuaweicloud.com": True,
        "iam.myhuaweicloud.com": True,
        "dli.eu-west-101.myhuaweicloud.eu": False,
        "127.0.0.1": False,
    }
    assert {host: signing.is_standard_host(host) for host in hosts} == hosts
