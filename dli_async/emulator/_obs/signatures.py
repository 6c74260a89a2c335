"""Checks who calls OBS: AWS's signature version 4, in headers or in a link, and OBS's own.

The computation starts from the bytes that arrived. What is signed beyond AWS's rules: the vendor's
SDK sends `Date` in place of `x-amz-date` and `region` as the name of the region, and both pass.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, quote, unquote

from .._protocol.callers import TemporaryKey
from .._protocol.calls import Call
from .address import Address
from .answers import Refused

_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = "%Y%m%dT%H%M%SZ"
_WINDOW = 15 * 60.0
_LONGEST_LINK = 7 * 24 * 3600
_UNSIGNED = "UNSIGNED-PAYLOAD"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} +Credential=([^,\s]+)[,\s]+SignedHeaders=([^,\s]+)[,\s]+Signature=([0-9a-f]+)"
)
_OWN = re.compile(r"(AWS|OBS) ([^:\s]+):(\S+)")
_TOKENS = ("x-amz-security-token", "x-obs-security-token")
# What the older signature covers of a query (API page "Authentication of Signature in a Header").
_SUB_RESOURCES = frozenset(
    {
        *("acl", "apiversion", "delete", "location", "policy", "quota", "response-content-type"),
        *("response-content-disposition", "storageinfo", "uploads", "versioning", "versions"),
        *("x-amz-security-token", "x-obs-security-token"),
    }
)

FindKey = Callable[[str], TemporaryKey | None]


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a caller claims: the key, what was signed with it, and the signature.

    `query` is what of it is signed, `payload` the hash of the body or a word in its place.
    """

    credential: str
    signed: tuple[str, ...]
    signature: str
    date: str
    payload: str
    query: tuple[tuple[str, str], ...]
    token: str

    @property
    def access(self) -> str:
        return self.credential.partition("/")[0]

    @property
    def scope(self) -> str:
        return self.credential.partition("/")[2]


def check(call: Call, address: Address, find_key: FindKey) -> None:
    """Lets a caller in, or not.

    Raises:
        Refused: with the code of OBS.
    """
    query = _pairs(call.query)
    text = call.headers.get("authorization", "")
    if match := _OWN.fullmatch(text.strip()):
        _check_own(call, address, match, find_key)
    elif "Signature" in dict(query):
        _check_own_link(call, address, dict(query), find_key)
    elif "X-Amz-Signature" in dict(query):
        claim = _claim_of_link(dict(query), query)
        _check_link_life(claim.date, dict(query).get("X-Amz-Expires", ""), call.now)
        _check_v4(call, claim, find_key)
    elif match := _AUTHORIZATION.fullmatch(text.strip()):
        _check_clock(_date_of(call.headers), call.now)
        _check_payload(call)
        _check_v4(call, _claim_of_headers(call, match, query), find_key)
    else:
        raise Refused("AccessDenied")


def _claim_of_headers(
    call: Call, match: re.Match[str], query: tuple[tuple[str, str], ...]
) -> _Claim:
    credential, names, signature = match.groups()
    return _Claim(
        credential,
        tuple(names.split(";")),
        signature,
        datetime.fromtimestamp(_date_of(call.headers), UTC).strftime(_DATE),
        call.headers.get("x-amz-content-sha256", _UNSIGNED),
        query,
        _token_of(call.headers),
    )


def _claim_of_link(given: Mapping[str, str], query: tuple[tuple[str, str], ...]) -> _Claim:
    try:
        return _Claim(
            given["X-Amz-Credential"],
            tuple(given["X-Amz-SignedHeaders"].split(";")),
            given["X-Amz-Signature"],
            given["X-Amz-Date"],
            _UNSIGNED,
            tuple(pair for pair in query if pair[0] != "X-Amz-Signature"),
            given.get("X-Amz-Security-Token", ""),
        )
    except KeyError as missing:
        raise Refused("AccessDenied", f"{missing.args[0]} is missing") from None


def _check_v4(call: Call, claim: _Claim, find_key: FindKey) -> None:
    key = _key(claim.access, claim.token, find_key, call.now)
    if "host" not in claim.signed:
        raise Refused("AccessDenied", "host must be signed")
    canonical = _canonical(call, claim)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{claim.date}\n{claim.scope}\n{digest}"
    signing = f"AWS4{key.secret}".encode()
    for part in claim.scope.split("/"):
        signing = _hmac(signing, part, "sha256")
    if not hmac.compare_digest(_hmac(signing, to_sign, "sha256").hex(), claim.signature):
        raise Refused("SignatureDoesNotMatch")


def _canonical(call: Call, claim: _Claim) -> str:
    headers = [f"{name}:{' '.join(call.headers.get(name, '').split())}\n" for name in claim.signed]
    query = sorted((_quoted(name), _quoted(value)) for name, value in claim.query)
    return "\n".join(
        (
            call.method,
            quote(unquote(call.path), safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            "".join(headers),
            ";".join(claim.signed),
            claim.payload,
        )
    )


def _key(access: str, token: str, find_key: FindKey, now: float) -> TemporaryKey:
    key = find_key(access)
    if key is None:
        raise Refused("InvalidAccessKeyId")
    if token != key.security_token:
        raise Refused("InvalidSecurity")
    if now >= key.expires_at:
        raise Refused("ExpiredToken")
    return key


def _check_payload(call: Call) -> None:
    told = call.headers.get("x-amz-content-sha256", _UNSIGNED)
    if re.fullmatch("[0-9a-f]{64}", told) and told != hashlib.sha256(call.body).hexdigest():
        raise Refused("XAmzContentSHA256Mismatch")


def _check_link_life(date: str, seconds: str, now: float) -> None:
    if not seconds.isdecimal() or not 1 <= int(seconds) <= _LONGEST_LINK:
        raise Refused("AccessDenied", f"X-Amz-Expires is 1 to {_LONGEST_LINK} seconds")
    begun = _moment(date)
    if begun - now > _WINDOW or now >= begun + int(seconds):
        raise Refused("AccessDenied", "Request has expired")


def _check_clock(moment: float, now: float) -> None:
    if abs(now - moment) > _WINDOW:
        raise Refused("RequestTimeTooSkewed")


def _date_of(headers: Mapping[str, str]) -> float:
    text = headers.get("x-amz-date") or headers.get("x-obs-date") or headers.get("date", "")
    return _moment(text)


def _moment(text: str) -> float:
    try:
        if "," in text:
            return parsedate_to_datetime(text).timestamp()
        return datetime.strptime(f"{text}+0000", f"{_DATE}%z").timestamp()
    except ValueError:
        raise Refused("AccessDenied", "a request is signed with its date") from None


def _check_own(call: Call, address: Address, match: re.Match[str], find_key: FindKey) -> None:
    kind, access, signature = match.groups()
    _check_clock(_date_of(call.headers), call.now)
    prefix = "x-amz-" if kind == "AWS" else "x-obs-"
    date = "" if f"{prefix}date" in call.headers else call.headers.get("date", "")
    key = _key(access, _token_of(call.headers), find_key, call.now)
    _compare(_own_text(call, address, prefix, date), signature, key)


def _check_own_link(
    call: Call, address: Address, given: Mapping[str, str], find_key: FindKey
) -> None:
    expires = given.get("Expires", "")
    if not expires.isdecimal() or call.now >= int(expires):
        raise Refused("AccessDenied", "Request has expired")
    prefix = "x-amz-" if "AWSAccessKeyId" in given else "x-obs-"
    access = given.get("AWSAccessKeyId") or given.get("AccessKeyId", "")
    token = next((given[name] for name in _TOKENS if name in given), "")
    key = _key(access, token, find_key, call.now)
    _compare(_own_text(call, address, prefix, expires), given["Signature"], key)


def _own_text(call: Call, address: Address, prefix: str, date: str) -> str:
    headers = call.headers
    own = sorted(name for name in headers if name.startswith(prefix))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in own)
    resource = f"/{address.bucket}{call.path}" if address.in_host else call.path
    given = sorted(pair for pair in _pairs(call.query) if pair[0].lower() in _SUB_RESOURCES)
    asked = "&".join(f"{name}={value}" if value else name for name, value in given)
    first = (call.method, headers.get("content-md5", ""), headers.get("content-type", ""), date)
    return "\n".join((*first, f"{lines}{resource}{'?' if asked else ''}{asked}"))


def _compare(text: str, signature: str, key: TemporaryKey) -> None:
    expected = base64.b64encode(_hmac(key.secret.encode(), text, "sha1")).decode()
    if not hmac.compare_digest(expected, signature):
        raise Refused("SignatureDoesNotMatch")


def _token_of(headers: Mapping[str, str]) -> str:
    return next((headers[name] for name in _TOKENS if name in headers), "")


def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    # A plus is a plus here: forms may write blanks so, signatures do not.
    return tuple(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")


def _hmac(key: bytes, text: str, digest: str) -> bytes:
    return hmac.digest(key, text.encode(), digest)
