"""OBS over the client's own transport: list, read, delete, each signed anew on every try."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from typing import TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import anyio
import anyio.to_thread

from .._auth import Keys, ScopedAuth
from .._http.raw import Raw, RawAnswer
from .._values.errors import ApiError, RateLimited, ResponseLost
from .._values.files import FileChanged, FilesError, PartFile
from .._values.policies import RetryPolicy, is_transient
from . import answers
from .answers import Page
from .parts import Folder
from .signing import quote_key, quote_query, sign, sign_link

T = TypeVar("T")
Query = Sequence[tuple[str, str]]

_PAGE = 1_000
_LONGEST_DOCUMENT = 8 * 1024 * 1024
_LONGEST_ERROR = 64 * 1024
# What is larger is parsed off the event loop.
_SMALL = 32 * 1024
# So many links are signed on the event loop; some 20 us each.
_FEW = 50


@dataclass(frozen=True, slots=True)
class Address:
    """Where OBS answers.

    Attributes:
        endpoint: base URL without a bucket.
        path_style: whether buckets are in the path; the service takes them before its host only.
        region: part of every signature.
    """

    endpoint: str
    path_style: bool
    region: str

    def of(self, bucket: str, key: str) -> tuple[str, str, str]:
        """Scheme, host and path of an object, or of the bucket with an empty key."""
        parts = urlsplit(self.endpoint)
        path = f"{parts.path}/{quote_key(key)}"
        if self.path_style:
            return parts.scheme, parts.netloc, f"{parts.path}/{quote_key(bucket)}/{quote_key(key)}"
        return parts.scheme, f"{bucket}.{parts.netloc}", path


class ObjectStore:
    """Reads and deletes objects.

    Args:
        raw: carries the exchanges.
        login: gives the keys to sign with.
        retry: how exchanges are repeated; all of these may be.
    """

    def __init__(
        self,
        raw: Raw,
        login: ScopedAuth,
        address: Address,
        retry: RetryPolicy,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._raw = raw
        self._login = login
        self._address = address
        self._retry = retry
        self._now = now

    async def page(
        self, folder: Folder, *, delimiter: str = "", token: str = "", limit: int = _PAGE
    ) -> Page:
        """One page of a list of what begins with a prefix; `token` is from the page before."""
        query = [
            ("list-type", "2"),
            ("prefix", folder.prefix),
            ("max-keys", str(limit)),
            ("encoding-type", "url"),
            *([("delimiter", delimiter)] if delimiter else []),
            *([("continuation-token", token)] if token else []),
        ]
        return await self._list(folder.bucket, query)

    async def pages(self, folder: Folder, *, delimiter: str = "") -> AsyncGenerator[Page]:
        """All pages."""
        token: str | None = ""
        while token is not None:
            page = await self.page(folder, delimiter=delimiter, token=token)
            yield page
            token = page.next

    async def read(self, part: PartFile, start: int, length: int) -> bytes:
        """The bytes of an object from `start` on, all of them from the version that was listed.

        Raises:
            FileChanged: it was replaced or removed.
        """
        if part.size == 0:
            return b""
        return await self._repeated(
            partial(self._read, part, start, min(length, part.size - start))
        )

    async def links(self, parts: Sequence[PartFile], life: int) -> list[str]:
        """Addresses that open objects without a login, for `life` seconds; OBS is not asked."""
        keys = await self._login.keys()
        now = self._now()

        def links() -> list[str]:
            return [self._link(part, keys, now, life) for part in parts]

        return links() if len(parts) <= _FEW else await anyio.to_thread.run_sync(links)

    def _link(self, part: PartFile, keys: Keys, now: float, life: int) -> str:
        scheme, host, path = self._address.of(part.bucket, part.key)
        region = self._address.region
        query = sign_link(host, path, keys=keys, region=region, now=now, life=life)
        return f"{scheme}://{host}{path}?{query}"

    async def delete(self, bucket: str, keys: list[str]) -> None:
        """Deletes up to 1,000 objects.

        Raises:
            FilesError: some could not be deleted.
        """
        body = answers.delete_body(keys)
        headers = {"content-md5": b64encode(md5(body).digest()).decode()}
        call = partial(self._call, "POST", bucket, "", [("delete", "")], headers, body)
        answer = await self._repeated(call)
        failed = list(answers.read_failed_deletes(answer.content)) if answer.content else []
        if failed:
            raise FilesError(f"{len(failed)} objects were not deleted: {'; '.join(failed[:3])}")

    async def _list(self, bucket: str, query: Query) -> Page:
        answer = await self._repeated(partial(self._call, "GET", bucket, "", query, {}, b""))
        read = partial(answers.read_page, bucket, answer.content)
        try:
            is_small = len(answer.content) < _SMALL
            return read() if is_small else await anyio.to_thread.run_sync(read)
        except (ParseError, KeyError, ValueError) as error:
            raise answers.unreadable(answer, error) from None

    async def _read(self, part: PartFile, start: int, length: int) -> bytes:
        last = start + length - 1
        is_whole = length == part.size
        headers = {"if-match": f'"{part.etag}"'}
        if not is_whole:
            headers["range"] = f"bytes={start}-{last}"
        try:
            answer = await self._call("GET", part.bucket, part.key, [], headers, b"", length)
        except ApiError as error:
            if error.status_code not in (404, 412):
                raise
            what = "removed" if error.status_code == 404 else "replaced"
            raise FileChanged(f"{part.name} was {what} after it was listed") from error
        wanted = f"bytes {start}-{last}/{part.size}"
        is_right = answer.status_code == 200 if is_whole else _is_part(answer, wanted)
        if not is_right or len(answer.content) != length:
            got = f"HTTP {answer.status_code} with {len(answer.content)} bytes"
            raise ResponseLost(f"{part.name}: {got} in answer to {wanted}")
        return answer.content

    async def _call(
        self,
        method: str,
        bucket: str,
        key: str,
        query: Query,
        headers: dict[str, str],
        body: bytes,
        limit: int = _LONGEST_DOCUMENT,
    ) -> RawAnswer:
        """One try, and one more with new keys where temporary ones were refused."""
        for has_new_keys in (False, True):
            keys = await self._login.keys()
            started = anyio.current_time()
            scheme, host, path = self._address.of(bucket, key)
            asked = quote_query(query)
            signed = sign(
                method,
                host,
                path,
                asked,
                headers,
                body,
                keys=keys,
                region=self._address.region,
                now=self._now(),
            )
            url = f"{scheme}://{host}{path}{'?' if asked else ''}{asked}"
            signed["accept-encoding"] = "identity"
            answer = await self._raw.exchange(method, url, signed, body, max(limit, _LONGEST_ERROR))
            if answer.status_code < 300:
                return answer
            error = answers.refusal(answer, f"obs://{bucket}/{key}")
            if not keys.security_token or has_new_keys or not answers.are_keys_stale(error):
                break
            self._login.discard_keys(keys)
        if isinstance(error, RateLimited):
            self._raw.throttle.slow_down(started)
        raise error

    async def _repeated(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._retry.run(call, is_transient)


def _is_part(answer: RawAnswer, wanted: str) -> bool:
    """Whether an answer is the range that was asked for: OBS may send all instead."""
    return answer.status_code == 206 and answer.headers.get("content-range") == wanted
