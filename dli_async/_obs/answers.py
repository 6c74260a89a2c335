"""What OBS says: lists, results of deletes and errors, in XML of any namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree import ElementTree

from .._http.raw import RawAnswer
from .._values.errors import (
    ApiError,
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerError,
)
from .._values.files import PartFile

_BY_CODE: dict[str, type[ApiError]] = {
    "AccessDenied": PermissionDenied,
    "ExpiredToken": AuthenticationError,
    "InvalidAccessKeyId": AuthenticationError,
    "InvalidSecurity": AuthenticationError,
    "RequestTimeTooSkewed": AuthenticationError,
    "SignatureDoesNotMatch": AuthenticationError,
    "RequestTimeout": ServerError,
    "SlowDown": RateLimited,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    408: ServerError,
    429: RateLimited,
}
# New temporary keys may help against these, and against no others.
_STALE_KEYS = frozenset({"ExpiredToken", "InvalidAccessKeyId", "InvalidSecurity"})


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; `next` is the token of the one after it, or None."""

    objects: list[PartFile]
    folders: list[str]
    next: str | None


def read_page(bucket: str, content: bytes) -> Page:
    """The page in an answer whose keys are percent-encoded.

    Raises:
        ValueError, ParseError, KeyError: it is no list.
    """
    root = ElementTree.fromstring(content)
    if _local(root) != "ListBucketResult":
        raise ValueError(f"a list was asked for, and {_local(root)} came")
    objects, folders, token = [], [], None
    for node in root:
        name = _local(node)
        if name == "Contents":
            fields = {_local(child): child.text or "" for child in node}
            objects.append(_part(bucket, fields))
        elif name == "CommonPrefixes":
            folders += [unquote(child.text or "") for child in node if _local(child) == "Prefix"]
        elif name == "NextContinuationToken":
            token = node.text or None
    return Page(objects, folders, token)


def read_failed_deletes(content: bytes) -> Iterator[str]:
    """What a delete of many could not delete, in words."""
    for node in ElementTree.fromstring(content):
        if _local(node) == "Error":
            fields = {_local(child): child.text or "" for child in node}
            yield f"{fields.get('Key')}: {fields.get('Code')}"


def delete_body(keys: list[str]) -> bytes:
    """The document that asks for deleting many."""
    root = ElementTree.Element("Delete")
    ElementTree.SubElement(root, "Quiet").text = "true"
    for key in keys:
        ElementTree.SubElement(ElementTree.SubElement(root, "Object"), "Key").text = key
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def unreadable(answer: RawAnswer, error: Exception) -> InvalidResponse:
    """The error for an answer that cannot be understood."""
    return InvalidResponse(
        f"OBS: HTTP {answer.status_code}, and no document that can be read: {error}",
        status_code=answer.status_code,
        text=answer.content[:500].decode("utf-8", "replace"),
        request_id=_request_id(answer),
    )


def refusal(answer: RawAnswer, about: str) -> ApiError:
    """The error for an answer of 300 and above; a HEAD has no words."""
    code, message = _words(answer.content)
    status = answer.status_code
    by_status = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    hint = "; the bucket is in another region: give obs_endpoint" if status == 301 else ""
    wait = answer.headers.get("retry-after", "")
    return _BY_CODE.get(code, by_status)(
        f"{about}: {message or code or 'refused'}{hint}",
        status_code=status,
        error_code=code,
        request_id=_request_id(answer),
        retry_after=float(wait) if wait.isdecimal() else None,
    )


def are_keys_stale(error: ApiError) -> bool:
    """Whether new temporary keys may help; a HEAD does not tell why it was refused."""
    return error.error_code in _STALE_KEYS or (error.status_code == 403 and not error.error_code)


def _part(bucket: str, fields: dict[str, str]) -> PartFile:
    return PartFile.of(
        bucket,
        unquote(fields["Key"]),
        int(fields["Size"]),
        fields.get("ETag", "").strip('"'),
        fields.get("LastModified", ""),
    )


def _words(content: bytes) -> tuple[str, str]:
    try:
        fields = {_local(node): node.text or "" for node in ElementTree.fromstring(content)}
    except ElementTree.ParseError:
        return "", ""
    return fields.get("Code", ""), fields.get("Message", "")


def _request_id(answer: RawAnswer) -> str | None:
    return answer.headers.get("x-amz-request-id") or answer.headers.get("x-obs-request-id")


def _local(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]
