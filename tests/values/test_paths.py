"""Which OBS folders are accepted, in which form they are kept, and which rule refuses the rest."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dli_async._values.paths import FORBIDDEN, PATTERN, normalise_path, same_path

ORDINARY = st.text(
    st.characters(
        blacklist_categories=("Cc", "Cs", "Zl", "Zp"), blacklist_characters=f"/,.{FORBIDDEN}"
    ),
    min_size=1,
    max_size=12,
)
BUCKETS = st.text(string.ascii_lowercase + string.digits + "-", min_size=3, max_size=20)
FOLDERS = st.lists(ORDINARY, min_size=1, max_size=5).map("/".join)


@given(scheme=st.sampled_from(["obs", "s3a", "OBS", "S3a"]), bucket=BUCKETS, folders=FOLDERS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_below_a_bucket_is_kept_as_obs_without_a_trailing_slash(
    scheme: str, bucket: str, folders: str, slash: str
) -> None:
    """Whatever the scheme and the trailing slash, one folder has one form."""
    assert normalise_path(f"{scheme}://{bucket}/{folders}{slash}") == f"obs://{bucket}/{folders}"


@given(bucket=BUCKETS, folders=FOLDERS)
def test_the_kept_form_is_kept_again(bucket: str, folders: str) -> None:
    """Reading a path that was read before changes nothing."""
    path = normalise_path(f"s3a://{bucket}/{folders}/")
    assert normalise_path(path) == path


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("obs://bucket", "folder below a bucket"),
        ("obs://bucket/", "folder below a bucket"),
        ("obs://", "folder below a bucket"),
        ("obs:///a", "must name a bucket"),
        ("obs://./a", "must name a bucket"),
        ("obs://buc*ket/a", "must name a bucket"),
        ("s3://bucket/a", "must start with obs://"),
        ("hdfs://bucket/a", "must start with obs://"),
        ("bucket/a", "must start with obs://"),
        ("/bucket/a", "must start with obs://"),
        ("", "must start with obs://"),
        (" obs://bucket/a", "must start with obs://"),
        ("obs:/bucket/a", "must start with obs://"),
        ("obs://bucket/a,b", "comma"),
        ("obs://buc,ket/a", "comma"),
        ("obs://bucket/a\n", "control characters"),
        ("obs://bucket/a\x00b", "control characters"),
        ("obs://bucket/\x7f", "control characters"),
        ("obs://bucket/a\u2028b", "line breaks"),
        ("obs://bucket/\ud800", "surrogates"),
        ("obs://bucket//a", "empty"),
        ("obs://bucket/a//b", "empty"),
        ("obs://bucket/a//", "empty"),
        ("obs://bucket/./a", "`..` segment"),
        ("obs://bucket/a/../b", "`..` segment"),
        ("obs://bucket/..", "`..` segment"),
        ("obs://bucket/.a", "start or end with a dot"),
        ("obs://bucket/a./b", "start or end with a dot"),
        ("obs://bucket/a/...", "start or end with a dot"),
        ("obs://x.12abc/a", "last dot"),
        ("obs://x.12/a", "last dot"),
        ("obs://a.b.1/a", "last dot"),
        *((f"obs://bucket/a{char}b", "must not hold any of") for char in FORBIDDEN),
    ],
)
def test_a_broken_rule_is_named(path: str, rule: str) -> None:
    """Every rule of the service is checked here, and the message says which one is broken."""
    with pytest.raises(ValueError) as caught:
        normalise_path(path)
    assert rule in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "obs://bucket/a.b/c",
        "obs://x1.abc/a",
        "obs://x.1.abc/a",
        "obs://12345/a",
        "obs://bucket/导出/2026",
        "obs://bucket/a b",
        "obs://bucket/dt=2026-01-01",
        "obs://bucket/%2e%2e",
    ],
)
def test_what_no_rule_forbids_is_accepted_as_it_stands(path: str) -> None:
    """Dots inside a name, digits elsewhere in a bucket, blanks and other scripts are fine."""
    assert normalise_path(path) == path


@given(st.text(max_size=60))
@example("obs://a/b:")
def test_any_text_is_a_path_or_a_refusal(text: str) -> None:
    """No text makes the check itself fail, and what it returns obeys the rules."""
    try:
        path = normalise_path(text)
    except ValueError:
        return
    bucket, *folders = path.removeprefix("obs://").split("/")
    assert bucket
    assert folders
    assert not any(name in ("", ".", "..") for name in folders)
    assert not set(path.removeprefix("obs:")) & set(FORBIDDEN + ",")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("obs://b/a", "s3a://b/a/", True),
        ("OBS://b/a", "obs://b/a", True),
        ("obs://b/a", "obs://b/A", False),
        ("obs://b/a", "obs://b/a/b", False),
        ("obs://b/a", "hdfs://b/a", False),
        ("/a", "/b", False),
        ("obs://b/a", "", False),
    ],
)
def test_two_spellings_of_one_folder_are_the_same(one: str, other: str, same: bool) -> None:
    """Scheme and trailing slash do not tell folders apart; everything else does."""
    assert same_path(one, other) is same


def _accepts(text: str) -> bool:
    try:
        normalise_path(text)
    except ValueError:
        return False
    return True


@given(
    st.sampled_from(["obs://", "s3a://", "OBS://", "s3://", ""]),
    st.text(alphabet="ab.1²/, :\\\x85\u2028数-_ ", max_size=12),
)
def test_the_pattern_of_the_schema_says_the_same_as_the_rules(scheme: str, rest: str) -> None:
    """What OpenAPI promises is what is accepted, no more and no less."""
    assert bool(re.fullmatch(PATTERN, scheme + rest)) == _accepts(scheme + rest)
