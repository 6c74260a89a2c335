"""What OBS says: XML documents, and the shape in which it words a refusal."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from .._protocol.answers import Answer

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_NAMESPACE = "http://obs.myhwclouds.com/doc/2015-06-30/"

CODES = {
    "AccessDenied": (403, "Access Denied"),
    "ExpiredToken": (403, "The provided security token has expired."),
    "InternalError": (500, "We encountered an internal error. Please try again."),
    "InvalidAccessKeyId": (403, "The AWS Access Key Id you provided does not exist."),
    "InvalidArgument": (400, "Invalid Argument"),
    "InvalidRange": (416, "The requested range cannot be satisfied."),
    "InvalidSecurity": (403, "The provided security credentials are not valid."),
    "MalformedXML": (400, "The XML you provided was not well-formed."),
    "MethodNotAllowed": (405, "The specified method is not allowed against this resource."),
    "NoSuchBucket": (404, "The specified bucket does not exist."),
    "NoSuchKey": (404, "The specified key does not exist."),
    "NotImplemented": (501, "The emulator does not implement this."),
    "PreconditionFailed": (412, "At least one of the pre-conditions you specified did not hold."),
    "RequestTimeTooSkewed": (403, "The difference between the request time and now is too large."),
    "ServiceUnavailable": (503, "Please reduce your request rate."),
    "SignatureDoesNotMatch": (403, "The request signature we calculated does not match yours."),
    "SlowDown": (503, "Please reduce your request rate."),
    "VirtualHostDomainRequired": (403, "Virtual host domain is required when access a bucket."),
    "XAmzContentSHA256Mismatch": (400, "x-amz-content-sha256 does not match the body."),
}
"""The codes in use, with their HTTP status and the service's words."""

BY_STATUS = {403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError", 503: "ServiceUnavailable"}


class Refused(Exception):
    """Ends the handling of a call with an error of OBS."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.text = text


def refusal(code: str, resource: str, request_id: str, text: str = "", status: int = 0) -> Answer:
    """An error document; the status is the documented one unless given."""
    documented, words = CODES[code]
    fields = [
        ("Code", code),
        ("Message", text or words),
        ("Resource", resource),
        ("RequestId", request_id),
        ("HostId", "emulator"),
    ]
    body = "".join(element(name, value) for name, value in fields)
    return xml(f"<Error>{body}</Error>", status or documented)


def document(name: str, children: Iterable[str]) -> Answer:
    """A document of OBS's namespace."""
    return xml(f'<{name} xmlns="{_NAMESPACE}">{"".join(children)}</{name}>')


def element(name: str, text: str) -> str:
    """One element that holds text."""
    return f"<{name}>{escape(text)}</{name}>" if text else f"<{name}/>"


def xml(text: str, status: int = 200) -> Answer:
    """An answer that is XML."""
    return Answer(status=status, raw=(_HEAD + text).encode(), media="application/xml")
