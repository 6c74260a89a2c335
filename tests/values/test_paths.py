"""Which OBS folders are accepted, in which form they are kept, and which rule refuses the rest."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dli_async._values import paths
from dli_async._values.paths import (
    FORBIDDEN,
    PATTERN,
    FolderSet,
    normalise_path,
    overlap,
    same_path,
)

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


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("obs://b/q", "obs://b/q", True),
        ("obs://b/q", "s3a://b/q/", True),
        ("obs://b/q", "obs://b/q/child", True),
        ("obs://b/q", "obs://b/q/child/deep", True),
        ("obs://b/run1", "obs://b/run10", False),
        ("obs://b/q", "obs://b/q-attempt-2", False),
        ("obs://b/q", "obs://b/Q/child", False),
        ("obs://b/q", "obs://c/q/child", False),
        ("obs://b/q_x", "obs://b/qax/child", False),
    ],
)
def test_folders_overlap_if_one_lies_in_the_other(one: str, other: str, both: bool) -> None:
    """Segment by segment and letter by letter, whichever is asked first."""
    assert overlap(one, other) is overlap(other, one) is both


@given(
    st.lists(st.lists(st.sampled_from(["a", "a0", "A", "a_"]), min_size=1, max_size=4), max_size=12)
)
def test_a_set_of_folders_keeps_out_what_overlaps(paths: list[list[str]]) -> None:
    """It says the same as comparing each folder with all before it."""
    folders = FolderSet()
    kept: list[str] = []
    for path in paths:
        folder = "obs://b/" + "/".join(path)
        other = folders.add(folder)
        expected = [known for known in kept if overlap(known, folder)]
        assert (other in expected) if expected else (other is None)
        if other is None:
            kept.append(folder)


def test_a_set_of_a_hundred_thousand_folders_is_not_compared_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Adding one costs as many steps as it is deep."""
    steps = 0
    above = paths.folders_above

    def counted(folder: str) -> list[str]:
        nonlocal steps
        found = above(folder)
        steps += 1 + len(found)
        return found

    monkeypatch.setattr(paths, "folders_above", counted)
    folders = FolderSet()
    assert all(folders.add(f"obs://b/run/{n}") is None for n in range(100_000))
    assert steps == 200_000
    assert folders.add("obs://b/run") is not None


def test_a_folder_is_no_longer_than_a_key_of_obs() -> None:
    """Bytes of UTF-8 count."""
    assert normalise_path("obs://b/" + "x" * 1016)
    for folder in ("x" * 1017, "é" * 509, "a/" * 100_000):
        with pytest.raises(ValueError, match="1,024 bytes"):
            normalise_path(f"obs://b/{folder}")
