"""obstore, boto3 and the vendor's own SDK as clients of the emulator's OBS."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio.from_thread
import boto3
import obstore
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from obs import ObsClient
from obstore.store import S3Store

from dli_async.emulator import ACCESS_KEY, SECRET_KEY, Emulator, NullEngine
from dli_async.emulator.server import running

# Both libraries leave sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

BUCKET = "lake"
ODD = [f"exp/odd/{name}" for name in ("a b.csv", "100%.csv", "a+b.csv", "数据.csv", "a%20b")]
RUNS = [f"exp/run1/part-{n}.csv" for n in range(3)] + ["exp/run10/part-0.csv"]
CONTENT = bytes(range(256)) * 40


def fill(root: Path) -> None:
    for key in [*ODD, *RUNS]:
        path = root / BUCKET / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENT)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    root = tmp_path_factory.mktemp("obs")
    fill(root)
    return Emulator(obs_dir=root, engine=NullEngine({}))


@pytest.fixture(scope="module")
def server(emulator: Emulator) -> Iterator[str]:
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(emulator)) as url,
    ):
        yield url
    emulator.close()


@pytest.fixture
def url(emulator: Emulator, server: str) -> str:
    """The server, as if it had just been started."""
    fill(Path(str(emulator.obs_dir)))
    emulator.faults.clear()
    emulator.ledger.clear()
    return server


def store(url: str, **options: Any) -> S3Store:
    given: dict[str, Any] = {
        "endpoint": url,
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "region": "cn-north-4",
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
    }
    return S3Store(BUCKET, **(given | options))


def through_proxy(url: str) -> S3Store:
    """A store that knows the real host's name and goes there by way of the emulator."""
    return store(
        url,
        endpoint=f"http://{BUCKET}.obs.cn-north-4.myhuaweicloud.com",
        virtual_hosted_style_request=True,
        client_options={"allow_http": True, "proxy_url": url},
    )


def s3(url: str, **options: Any) -> Any:
    config = Config(
        s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **options.pop("config", {})
    )
    given = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    return boto3.client(
        "s3", endpoint_url=url, region_name="cn-north-4", config=config, **(given | options)
    )


@pytest.fixture(params=["v4", "v2", "obs"])
def vendor(request: pytest.FixtureRequest, url: str) -> Iterator[ObsClient]:
    """The vendor's SDK, with each of its kinds of signature."""
    client = ObsClient(
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
        server=url,
        signature=request.param,
        path_style=True,
        is_signature_negotiation=False,
    )
    yield client
    client.close()


def keys_of(pages: Any) -> list[str]:
    return [item["path"] for page in pages for item in page]


@pytest.mark.parametrize("connect", [store, through_proxy], ids=["path-style", "absolute-form"])
def test_obstore_lists_and_reads(url: str, connect: Any) -> None:
    """Path style, and virtual-host style with absolute-form targets."""
    judge = connect(url)

    assert sorted(keys_of(judge.list("exp/odd"))) == sorted(ODD)
    assert keys_of(judge.list("exp/run1")) == RUNS[:3]
    for key in ODD:
        assert judge.head(key)["size"] == len(CONTENT)
        assert bytes(judge.get(key).bytes()) == CONTENT
    assert bytes(judge.get_range(RUNS[0], start=10, length=5)) == CONTENT[10:15]


def test_obstore_sees_pages_folders_and_conditions(emulator: Emulator, url: str) -> None:
    """Pages of one, common prefixes, and an If-Match that does not hold."""
    emulator.faults.set([{"route": "obs-list", "kind": "page-size:1"}])
    judge = store(url)

    assert keys_of(judge.list("exp/run1")) == RUNS[:3]
    assert emulator.ledger.requests["obs-list"] == 3
    assert judge.list_with_delimiter("exp")["common_prefixes"] == [
        "exp/odd",
        "exp/run1",
        "exp/run10",
    ]
    with pytest.raises(obstore.exceptions.PreconditionError):
        judge.get(RUNS[0], options={"if_match": '"other"'})


def test_obstore_goes_on_after_a_truncated_body_and_a_slow_down(
    emulator: Emulator, url: str
) -> None:
    """It asks for the rest by Range, and again where it is told to slow down."""
    emulator.faults.set(
        [
            {"route": "obs-get", "kind": "slow-down", "nth": 1},
            {"route": "obs-get", "kind": "truncate", "when": "after", "nth": 1},
        ]
    )

    assert bytes(store(url).get(RUNS[0]).bytes()) == CONTENT
    assert emulator.ledger.faults == {"slow-down": 1, "truncate": 1}


def test_obstore_deletes(emulator: Emulator, url: str) -> None:
    """Several at once; the folder that nothing lies in any more is gone too."""
    judge = store(url)

    judge.delete(RUNS[:3])

    assert keys_of(judge.list("exp/run1")) == []
    assert keys_of(judge.list("exp/run10")) == RUNS[3:]
    assert emulator.obs_dir is not None
    assert not (emulator.obs_dir / BUCKET / "exp" / "run1").exists()


def test_boto3_lists_both_ways_and_reads(url: str) -> None:
    """Pages by token and by marker, keys encoded in the answer, ranges, conditions."""
    judge = s3(url)

    for call in ("list_objects_v2", "list_objects"):
        pages = judge.get_paginator(call).paginate(
            Bucket=BUCKET, Prefix="exp/", PaginationConfig={"PageSize": 2}
        )
        found = [item["Key"] for page in pages for item in page["Contents"]]
        assert found == sorted([*ODD, *RUNS], key=str.encode)
    after = judge.list_objects_v2(Bucket=BUCKET, Prefix="exp/run", StartAfter=RUNS[1])
    assert [item["Key"] for item in after["Contents"]] == RUNS[2:]
    tree = judge.list_objects_v2(Bucket=BUCKET, Prefix="exp/", Delimiter="/")
    assert [item["Prefix"] for item in tree["CommonPrefixes"]] == [
        *("exp/odd/", "exp/run1/", "exp/run10/")
    ]
    for key in ODD:
        etag = judge.head_object(Bucket=BUCKET, Key=key)["ETag"]
        part = judge.get_object(Bucket=BUCKET, Key=key, Range="bytes=-3", IfMatch=etag)
        assert part["Body"].read() == CONTENT[-3:]
        assert part["ContentRange"] == f"bytes 10237-10239/{len(CONTENT)}"


@pytest.mark.parametrize(
    ("code", "options", "wanted"),
    [
        ("NoSuchKey", {}, {"Key": "exp/missing"}),
        ("NoSuchBucket", {}, {"Key": "x", "Bucket": "elsewhere"}),
        ("InvalidRange", {}, {"Key": RUNS[0], "Range": "bytes=999999-"}),
        ("PreconditionFailed", {}, {"Key": RUNS[0], "IfMatch": '"other"'}),
        ("InvalidAccessKeyId", {"aws_access_key_id": "somebody"}, {"Key": RUNS[0]}),
        ("SignatureDoesNotMatch", {"aws_secret_access_key": "guess"}, {"Key": RUNS[0]}),
        ("InvalidSecurity", {"aws_session_token": "made-up"}, {"Key": RUNS[0]}),
    ],
)
def test_boto3_reads_the_codes(
    url: str, code: str, options: dict[str, str], wanted: dict[str, str]
) -> None:
    """Each refusal has OBS's code in OBS's document."""
    with pytest.raises(ClientError) as refused:
        s3(url, **options).get_object(**({"Bucket": BUCKET} | wanted))
    assert refused.value.response["Error"]["Code"] == code


def test_boto3_deletes_one_and_many(url: str) -> None:
    """Also what is not there, as S3 does."""
    judge = s3(url)

    judge.delete_object(Bucket=BUCKET, Key=RUNS[0])
    told = judge.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": RUNS[1]}, {"Key": "exp/missing"}]}
    )

    assert {item["Key"] for item in told["Deleted"]} == {RUNS[1], "exp/missing"}
    left = judge.list_objects_v2(Bucket=BUCKET, Prefix="exp/run1/")
    assert [item["Key"] for item in left["Contents"]] == [RUNS[2]]


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_links_that_are_signed_before_open_without_a_login(url: str, version: str) -> None:
    """boto3 signs in both ways; a link whose end is changed opens nothing."""
    link = s3(url, config={"signature_version": version}).generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": ODD[0]}, ExpiresIn=60
    )

    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == CONTENT
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(link.replace("a%20b.csv", "a%2Bb.csv"), timeout=10)


def test_the_vendors_sdk_lists_reads_and_deletes(vendor: Any) -> None:
    """Pages, odd keys, ranges, heads, codes and deletes, with each kind of signature."""
    first = vendor.listObjects(BUCKET, prefix="exp/", max_keys=5)
    assert first.status < 300, first.errorCode
    assert first.body.is_truncated
    more = vendor.listObjects(BUCKET, prefix="exp/", marker=first.body.next_marker)
    found = [item.key for page in (first, more) for item in page.body.contents]
    assert found == sorted([*ODD, *RUNS], key=str.encode)
    for key in ODD:
        whole = vendor.getObject(BUCKET, key, loadStreamInMemory=True)
        assert whole.status < 300, (key, whole.errorCode)
        assert bytes(whole.body.buffer) == CONTENT
    assert vendor.getObjectMetadata(BUCKET, ODD[0]).body.contentLength == len(CONTENT)
    assert vendor.getObject(BUCKET, "exp/missing").errorCode == "NoSuchKey"
    assert vendor.deleteObject(BUCKET, RUNS[0]).status == 204
    assert vendor.headBucket(BUCKET).status == 200


def test_the_vendors_sdk_signs_links(vendor: Any) -> None:
    """They open as they are."""
    link = vendor.createSignedUrl("GET", BUCKET, ODD[0], expires=60).signedUrl

    with urllib.request.urlopen(link, timeout=10) as answer:
        assert answer.read() == CONTENT
