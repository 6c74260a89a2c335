"""ListObjects, old and new: pages of keys and of common prefixes."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .._protocol.answers import Answer
from .answers import Refused, document, element
from .objects import Object, Objects

_MOST_KEYS = 1_000
_KNOWN = frozenset(
    {
        *("list-type", "prefix", "delimiter", "max-keys", "encoding-type", "marker"),
        *("start-after", "continuation-token", "fetch-owner"),
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arguments of a list; `after` is where the page begins, `limit` how long it is."""

    is_new: bool
    prefix: str
    delimiter: str
    after: str
    limit: int
    is_encoded: bool
    given: Mapping[str, str]

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Wanted:
        """Reads a query.

        Raises:
            Refused: it holds something that is wrong or not emulated.
        """
        unknown = [name for name in given if name not in _KNOWN]
        if unknown:
            raise Refused("NotImplemented", f"not emulated: parameter {unknown[0]!r} of a list")
        is_new = given.get("list-type") == "2"
        start = given.get("start-after", "") if is_new else given.get("marker", "")
        token = given.get("continuation-token") if is_new else None
        return cls(
            is_new=is_new,
            prefix=given.get("prefix", ""),
            delimiter=given.get("delimiter", ""),
            after=start if token is None else _read_token(token),
            limit=_limit(given.get("max-keys", "")),
            is_encoded=given.get("encoding-type") == "url",
            given=given,
        )

    def text(self, key: str) -> str:
        """A key as the answer spells it."""
        return quote(key, safe="/") if self.is_encoded else key


def list_objects(
    objects: Objects,
    bucket: str,
    wanted: Wanted,
    *,
    limit: int | None,
    hidden: Callable[[str], bool],
    etag: Callable[[str], str],
) -> Answer:
    """One page.

    Args:
        limit: fewer keys on a page than were asked for.
        hidden: keys that the list does not tell.
        etag: what is told of an ETag.
    """
    folder = objects.bucket(bucket)
    most = wanted.limit if limit is None else min(limit, wanted.limit)
    items: list[tuple[str, bool]] = []
    is_truncated = False
    for item in _items(objects, bucket, wanted, hidden):
        if len(items) >= most:
            is_truncated = most > 0
            break
        items.append(item)
    found = [objects.listed(folder, key) for key, is_prefix in items if not is_prefix]
    last = items[-1][0] if is_truncated else ""
    return document(
        "ListBucketResult",
        [
            *_head(bucket, wanted, len(items), last),
            *(_contents(item, wanted, etag) for item in found if item is not None),
            *(
                f"<CommonPrefixes>{element('Prefix', wanted.text(key))}</CommonPrefixes>"
                for key, is_prefix in items
                if is_prefix
            ),
        ],
    )


def _items(
    objects: Objects, bucket: str, wanted: Wanted, hidden: Callable[[str], bool]
) -> Iterator[tuple[str, bool]]:
    """Keys and common prefixes, the latter marked, in order."""
    seen = ""
    for key in objects.keys(bucket, wanted.prefix, wanted.after):
        if hidden(key):
            continue
        common = _common_prefix(key, wanted)
        if not common:
            yield key, False
        elif common not in (seen, wanted.after):
            seen = common
            yield common, True


def _common_prefix(key: str, wanted: Wanted) -> str:
    if not wanted.delimiter:
        return ""
    at = key.find(wanted.delimiter, len(wanted.prefix))
    return "" if at < 0 else key[: at + len(wanted.delimiter)]


def _head(bucket: str, wanted: Wanted, count: int, last: str) -> Iterator[str]:
    yield element("Name", bucket)
    yield element("Prefix", wanted.text(wanted.prefix))
    yield element("MaxKeys", str(wanted.limit))
    yield element("IsTruncated", "true" if last else "false")
    if wanted.delimiter:
        yield element("Delimiter", wanted.text(wanted.delimiter))
    if wanted.is_encoded:
        yield element("EncodingType", "url")
    if not wanted.is_new:
        yield element("Marker", wanted.text(wanted.after))
        if last:
            yield element("NextMarker", wanted.text(last))
        return
    yield element("KeyCount", str(count))
    for name, tag in (("start-after", "StartAfter"), ("continuation-token", "ContinuationToken")):
        if name in wanted.given:
            yield element(tag, wanted.given[name])
    if last:
        yield element("NextContinuationToken", urlsafe_b64encode(last.encode()).decode())


def _contents(item: Object, wanted: Wanted, etag: Callable[[str], str]) -> str:
    fields = [
        ("Key", wanted.text(item.key)),
        ("LastModified", item.moment),
        ("ETag", f'"{etag(item.etag)}"'),
        ("Size", str(item.size)),
        ("StorageClass", "STANDARD"),
    ]
    return f"<Contents>{''.join(element(*field) for field in fields)}</Contents>"


def _read_token(token: str) -> str:
    try:
        return urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        raise Refused("InvalidArgument", "The continuation token provided is incorrect") from None


def _limit(text: str) -> int:
    if not text:
        return _MOST_KEYS
    if not text.isdecimal():
        raise Refused("InvalidArgument", f"max-keys is a number, not {text!r}")
    return min(int(text), _MOST_KEYS)
