"""Answers a call for OBS: who calls, which object, and what faults make of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from .._fronts.delivery import Delivery, stand_in
from .._jobs.ledger import Ledger, Request
from .._protocol.answers import Answer
from .._protocol.answers import Refused as NotAdmitted
from .._protocol.bodies import read_body
from .._protocol.calls import Call
from .._protocol.visitors import Visitors
from ..faults import Fault, Faults
from .address import Address, address_of, straighten
from .answers import BY_STATUS, Refused, document, element, refusal
from .listing import Wanted, list_objects
from .objects import Object, Objects
from .signatures import FindKey, check

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MOST_DELETED = 1_000
_ROUTES = {"GET": "obs-get", "HEAD": "obs-head", "DELETE": "obs-delete", "POST": "obs-delete"}

Serve = Callable[[Call], Awaitable[Delivery]]
OffLoop = Callable[[Callable[[], Answer]], Awaitable[Answer]]


class ObsFront:
    """OBS beside the other services, on the same port.

    Args:
        others: serves what is not for OBS.
        find_key: the key of an access key id, if there is one.
        advance: plays what is due, so that files of finished jobs are there.
        off_loop: runs what reads files.
        visitors: who may call at all; not asked under OBS's own names, which a proxy passes on.
    """

    def __init__(
        self,
        root: Path | None,
        others: Serve,
        *,
        clock: Callable[[], float],
        find_key: FindKey,
        faults: Faults,
        ledger: Ledger,
        advance: Callable[[], None],
        off_loop: OffLoop,
        visitors: Visitors,
    ) -> None:
        self._objects = Objects(root)
        self._others = others
        self._clock = clock
        self._find_key = find_key
        self._faults = faults
        self._ledger = ledger
        self._advance = advance
        self._off_loop = off_loop
        self._visitors = visitors
        self._served = 0

    async def serve(self, call: Call) -> Delivery:
        """Answers a call, be it for OBS or for the other services."""
        straighten(call)
        address = address_of(call)
        if address is None:
            return await self._others(call)
        call.now = self._clock()
        self._served += 1
        call.request_id = f"{self._served:032X}"
        call.route = _route_of(call, address)
        call.subject = (address.key, address.key.rpartition("/")[2])
        self._ledger.arrived(Request(call.now, call.route, call.request_id, None))
        try:
            delivery = await self._at_the_door(call, address)
            return _sealed(delivery or await self._serve_faulted(call, address), call)
        finally:
            self._ledger.left()

    async def _at_the_door(self, call: Call, address: Address) -> Delivery | None:
        """Looks at who calls, and only then reads what is sent; the answer of a call that ends."""
        try:
            if not address.is_public:
                self._visitors.admit(call)
            if call.pieces is not None:
                call.body = await read_body(call.headers.get("content-length"), call.pieces)
        except NotAdmitted as refused:
            return Delivery(refused.answer)
        return None

    async def _serve_faulted(self, call: Call, address: Address) -> Delivery:
        fault = self._faults.answer(call, "before")
        spread = 0.0
        if fault is not None and fault.word.kind == "slow-headers":
            await call.pause(fault.word.number)
        elif fault is not None and fault.word.kind == "slow-body":
            spread = fault.word.number
        elif fault is not None:
            return _stand_in(fault, None, call)
        self._advance()
        answer = await self._off_loop(lambda: self._answer(call, address))
        fault = self._faults.answer(call, "after")
        if fault is not None and fault.word.kind == "slow-headers":
            await call.pause(fault.word.number)
        elif fault is not None:
            return _stand_in(fault, answer, call)
        return Delivery(answer, spread=spread)

    def _answer(self, call: Call, address: Address) -> Answer:
        try:
            if address.refused:
                raise Refused("VirtualHostDomainRequired")
            check(call, address, self._find_key)
            return self._handle(call, address)
        except Refused as refused:
            return refusal(refused.code, call.path, call.request_id, refused.text)

    def _handle(self, call: Call, address: Address) -> Answer:
        given = dict(parse_qsl(call.query.replace("+", "%2B"), keep_blank_values=True))
        given = {name: value for name, value in given.items() if not _is_login(name)}
        if address.key and call.method in ("GET", "HEAD"):
            return self._read(call, address)
        if address.key and call.method == "DELETE":
            self._objects.delete(address.bucket, address.key)
            return Answer(status=204, raw=b"")
        if not address.key and call.method == "POST" and "delete" in given:
            return self._delete_many(call, address.bucket)
        if not address.bucket or address.key or call.method not in ("GET", "HEAD"):
            raise Refused("MethodNotAllowed")
        if call.method == "HEAD":
            self._objects.bucket(address.bucket)
            return Answer(raw=b"")
        return self._list(call, address.bucket, given)

    def _list(self, call: Call, bucket: str, given: Mapping[str, str]) -> Answer:
        page = self._faults.state("page-size", call)
        hiding = self._faults.state("hidden-object", call, whole=True)
        return list_objects(
            self._objects,
            bucket,
            Wanted.read(given),
            limit=int(page.word.number) if page else None,
            hidden=lambda key: hiding is not None and hiding.concerns(_names(key)),
            etag=self._etags(call),
        )

    def _read(self, call: Call, address: Address) -> Answer:
        found = self._objects.get(address.bucket, address.key)
        etag = self._etags(call)(found.etag)
        if not _matches(call.headers.get("if-match"), etag):
            raise Refused("PreconditionFailed")
        headers = {
            "ETag": f'"{etag}"',
            "Last-Modified": formatdate(found.modified, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        if call.method == "HEAD":
            headers["Content-Length"] = str(found.size)
            return Answer(raw=b"", headers=headers, media="application/octet-stream")
        return self._body(call, found, headers)

    def _body(self, call: Call, found: Object, headers: dict[str, str]) -> Answer:
        wanted = _range(call.headers.get("range", ""), found.size)
        if wanted is not None and self._faults.state("ignored-range", call):
            wanted = None
        first, last = wanted or (0, found.size - 1)
        with found.path.open("rb") as file:
            file.seek(first)
            body = file.read(last - first + 1)
        if body and self._faults.state("wrong-length", call):
            body = body[:-1]
        if wanted is not None:
            headers["Content-Range"] = f"bytes {first}-{last}/{found.size}"
        status = 200 if wanted is None else 206
        return Answer(status=status, raw=body, headers=headers, media="application/octet-stream")

    def _etags(self, call: Call) -> Callable[[str], str]:
        # As of an object that was written in parts.
        if self._faults.state("etag-not-md5", call):
            return lambda etag: f"{etag}-2"
        return lambda etag: etag

    def _delete_many(self, call: Call, bucket: str) -> Answer:
        keys, quiet = _read_deletes(call.body)
        self._objects.bucket(bucket)
        for key in keys:
            self._objects.delete(bucket, key)
        told = [] if quiet else [f"<Deleted>{element('Key', key)}</Deleted>" for key in keys]
        return document("DeleteResult", told)


def _route_of(call: Call, address: Address) -> str:
    if not address.key and call.method in ("GET", "HEAD"):
        return "obs-list"
    return _ROUTES.get(call.method, "obs-get")


def _names(key: str) -> tuple[str, str]:
    return key, key.rpartition("/")[2]


def _is_login(name: str) -> bool:
    return name.startswith("X-Amz-") or name in ("Signature", "Expires", *_LINK)


_LINK = ("AccessKeyId", "AWSAccessKeyId", "x-obs-security-token", "x-amz-security-token")


def _matches(wanted: str | None, etag: str) -> bool:
    tags = [tag.strip().strip('"') for tag in (wanted or "*").split(",")]
    return "*" in tags or etag in tags


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The first and the last byte that are asked for; None is all.

    Raises:
        Refused: it lies behind the end.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size - 1) if int(last) and size else _beyond()
    if int(first) >= size or (last and int(last) < int(first)):
        return _beyond()
    return int(first), min(int(last), size - 1) if last else size - 1


def _beyond() -> tuple[int, int]:
    raise Refused("InvalidRange")


def _read_deletes(body: bytes) -> tuple[list[str], bool]:
    try:
        tree = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        raise Refused("MalformedXML") from None
    keys = [node.text or "" for node in tree.iter() if node.tag.rpartition("}")[2] == "Key"]
    quiet = [node.text for node in tree.iter() if node.tag.rpartition("}")[2] == "Quiet"]
    if not 1 <= len(keys) <= _MOST_DELETED:
        raise Refused("MalformedXML", f"a request deletes 1 to {_MOST_DELETED} objects")
    return keys, quiet == ["true"]


def _stand_in(fault: Fault, answer: Answer | None, call: Call) -> Delivery:
    """What the client gets in place of the answer, in OBS's own words where it is an error."""
    word = fault.word
    codes = {"slow-down": "SlowDown", "throttle": "SlowDown", "expired-token": "ExpiredToken"}
    if word.kind in codes:
        return Delivery(refusal(codes[word.kind], call.path, call.request_id))
    if word.kind == "status" and word.form != "html":
        status = int(word.number)
        code = BY_STATUS.get(status, "InternalError")
        return Delivery(refusal(code, call.path, call.request_id, status=status))
    return stand_in(fault, answer, call.now)


def _sealed(delivery: Delivery, call: Call) -> Delivery:
    answer = delivery.answer
    if call.method == "HEAD" and answer.status >= 400:
        answer.raw = b""
    headers = {
        "content-type": answer.media,
        "content-length": str(len(answer.body())),
        "date": formatdate(call.now, usegmt=True),
        "server": "OBS",
        "x-amz-request-id": call.request_id,
        "x-amz-id-2": "emulator",
    }
    headers.update({name.lower(): value for name, value in answer.headers.items()})
    delivery.headers = tuple(headers.items())
    return delivery
