"""What the emulator says: JSON answers, and the shapes in which the cloud words a refusal.

Three services answer in their own way (the gateway, DLI behind it, IAM beside it), and a client
has to tell them apart; so has this file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

DLI_CODES: Mapping[str, tuple[int, str]] = {
    "DLI.0001": (400, "Parameter check error"),
    "DLI.0002": (400, "The object does not exist"),
    "DLI.0003": (400, "No permission"),
    "DLI.0004": (400, "SQL syntax error"),
    "DLI.0005": (400, "SQL semantics error"),
    "DLI.0006": (400, "The object already exists"),
    "DLI.0007": (400, "The operation is not supported"),
    "DLI.0008": (400, "Metadata error"),
    "DLI.0009": (400, "System limit"),
    "DLI.0011": (400, "No permission on the file"),
    "DLI.0012": (400, "The resource is unavailable"),
    "DLI.0013": (401, "User authentication failed"),
    "DLI.0014": (401, "Service authentication failed"),
    "DLI.0015": (400, "The token cannot be parsed"),
    "DLI.0016": (400, "Wrong identity or role"),
    "DLI.0018": (400, "Data conversion failed"),
    "DLI.0019": (400, "Task timeout"),
    "DLI.0023": (404, "A related resource was not found"),
    "DLI.0100": (400, "The result has expired"),
    "DLI.0999": (400, "Server-side error"),
    "DLI.1028": (400, "The quota is insufficient"),
}
"""The documented codes with their HTTP status (dli_02_0056)."""

GATEWAY_CODES: Mapping[int, str] = {
    400: "APIGW.0602",
    401: "APIGW.0301",
    403: "APIGW.0302",
    404: "APIGW.0101",
    405: "APIGW.0501",
    413: "APIGW.0201",
    429: "APIGW.0308",
    500: "APIGW.0601",
    502: "APIGW.0202",
    503: "APIGW.0613",
    504: "APIGW.0203",
}
"""The gateway's code that goes with an HTTP status (devg-apisign, api-sign-errorcode)."""


@dataclass(slots=True)
class Answer:
    """One HTTP answer: JSON `content`, or `raw` bytes of another `media` type."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    media: str = "application/json;charset=utf-8"

    def body(self) -> bytes:
        """The bytes that go on the wire."""
        if self.raw is None:
            text = json.dumps(self.content, ensure_ascii=False, separators=(",", ":"))
            self.raw = text.encode()
        return self.raw


class Refused(Exception):
    """Ends the handling of a call with the answer it carries."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.content)
        self.answer = answer


def dli_error(code: str, text: str = "", status: int | None = None) -> Answer:
    """A refusal by DLI itself; the status is the documented one unless given."""
    documented, meaning = DLI_CODES[code]
    return Answer({"error_code": code, "error_msg": text or meaning}, status or documented)


def gateway_error(status: int, text: str, code: str | None = None) -> Answer:
    """A refusal by the gateway, before DLI was reached; the request id is filled in on sending."""
    code = code or GATEWAY_CODES.get(status, "APIGW.0602")
    return Answer({"error_msg": text, "error_code": code, "request_id": ""}, status)


def iam_error(status: int, text: str) -> Answer:
    """A refusal by IAM, in its own format."""
    title = HTTPStatus(status).phrase
    return Answer({"error": {"code": status, "message": text, "title": title}}, status)


def html_page(status: int) -> Answer:
    """What a proxy in front of the cloud says, to people rather than to programs."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    page = (
        f"<html><head><title>{status} {phrase}</title></head><body><h1>{phrase}</h1></body></html>"
    )
    return Answer(status=status, raw=page.encode(), media="text/html")


def throttled(limit: str = "limit:200,time:1 minute") -> Answer:
    """The gateway's 429; no Retry-After, since nobody has seen it send one."""
    text = f"The throttling threshold has been reached: policy user over ratelimit,{limit}"
    return gateway_error(429, text)
