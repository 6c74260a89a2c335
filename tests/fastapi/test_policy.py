"""What a policy lets through, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from dli_async import ConfigurationError, InvalidExport, TableExport
from dli_async.fastapi import ExportPolicy, PolicyViolation


def spec(**changes: Any) -> TableExport:
    fields = {"database_name": "sales", "table_name": "orders", "data_path": "obs://b/team/x"}
    return TableExport(**(fields | changes))


def refused_by(policy: ExportPolicy, **changes: Any) -> str:
    with pytest.raises(PolicyViolation) as caught:
        policy.check(spec(**changes))
    assert f"rule {caught.value.rule}" in str(caught.value)
    return caught.value.rule


TEAM = ExportPolicy(data_paths=["obs://b/team/"])


@pytest.mark.parametrize(
    "path",
    [
        "obs://b/team/x",
        "obs://b/team/x/y",
        "s3a://b/team/x",
        "OBS://b/team/x",
        "obs://b/team/数据/2026",
        "obs://b/team/50%off",
    ],
)
def test_what_is_below_a_folder_is_allowed(path: str) -> None:
    """A rule allows everything below its folder, whichever scheme names it."""
    TEAM.check(spec(data_path=path))


@pytest.mark.parametrize(
    "path",
    [
        "obs://b/team",  # the folder of all: Overwrite would delete it
        "obs://b/team/",
        "obs://b/team2",
        "obs://b/teamx/y",
        "obs://b/tea",
        "obs://b/Team/x",
        "obs://B/team/x",
        "obs://b2/team/x",
        "s3a://c/team/x",
        "obs://b/other/team/x",
        "obs://b/tеam/x",  # a Cyrillic letter
        "obs://b/ｔeam/x",  # a full-width one
        "obs://b/team\u200b/x",
        "obs://b/te%61m/x",
        "obs://b/team/%2e%2e/secret",
        "obs://b/team/%252e%252e/secret",
        "obs://b/team/..%2fsecret".replace("..", "%2E."),
        "obs://b/team/x%2f..%2fsecret".replace("..", "%2e%2e"),
        "obs://b/team/．．/secret",
        "obs://b/team/x／y",
        "obs://b/team/‥/secret",
        "obs://b/team/a\u202eb",
        "obs://b/team/a\ufeffb",
    ],
)
def test_no_trick_of_spelling_passes_a_folder_rule(path: str) -> None:
    """Neighbours, other cases, look-alikes, encodings and invisible letters are refused."""
    assert refused_by(TEAM, data_path=path) == "data_paths"


@pytest.mark.parametrize(
    "path",
    [
        "obs://b/team/../x",
        "obs://b//team/x",
        "obs://b/team//x",
        "obs://b/./team",
        "obs://b/team/x\\..\\y",
    ],
)
def test_paths_that_walk_are_no_exports_at_all(path: str) -> None:
    """Dots, empty segments and backslashes never reach a policy."""
    with pytest.raises(InvalidExport):
        spec(data_path=path)


def test_a_rule_may_name_a_whole_bucket_or_everything() -> None:
    """`obs://bucket` allows all of that bucket and no other; `*` allows all buckets."""
    policy = ExportPolicy(data_paths=["obs://b", "s3a://c/"])
    policy.check(spec(data_path="obs://b/x"))
    policy.check(spec(data_path="obs://c/x"))
    assert refused_by(policy, data_path="obs://b2/x") == "data_paths"
    ExportPolicy(data_paths=["*"]).check(spec(data_path="obs://any/x"))


@pytest.mark.parametrize(
    ("database", "table", "allowed"),
    [
        ("sales", "orders", True),
        ("SALES", "Orders", True),
        ("hr", "public_pay", True),
        ("hr", "pay", False),
        ("hr", "xpublic_pay", False),
        ("sales2", "orders", False),
        ("saleſ", "orders", False),
        ("sales", "orderK", True),
        ("ſales", "orders", False),
    ],
)
def test_tables_are_compared_in_ascii_case_only(database: str, table: str, allowed: bool) -> None:
    """Names match in any ASCII case, `*` stands for any letters, and look-alikes do not match."""
    policy = ExportPolicy(tables=["sales.*", "hr.public_*"])
    if allowed:
        policy.check(spec(database_name=database, table_name=table))
    else:
        assert refused_by(policy, database_name=database, table_name=table) == "tables"


def test_letters_of_a_rule_are_no_patterns() -> None:
    """Apart from `*`, every letter of a rule stands for itself."""
    assert refused_by(ExportPolicy(tables=["sales.or.ers"])) == "tables"
    ExportPolicy(tables=["*"]).check(spec())


def test_queues_are_named_and_default_stands_for_none() -> None:
    """An export without a queue needs `default` to be allowed."""
    policy = ExportPolicy(queues=["Fast"])
    policy.check(spec(queue_name="fast"))
    assert refused_by(policy) == "queues"
    assert refused_by(policy, queue_name="slow") == "queues"
    ExportPolicy(queues=["default"]).check(spec())
    ExportPolicy(queues=["*"]).check(spec(queue_name="any"))


def test_an_empty_rule_allows_nothing() -> None:
    """An empty list is a rule that nothing meets."""
    assert refused_by(ExportPolicy(data_paths=[])) == "data_paths"
    assert refused_by(ExportPolicy(tables=[])) == "tables"
    assert refused_by(ExportPolicy(queues=[])) == "queues"


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({}, "allow_all"),
        ({"max_active": 3}, "allow_all"),
        ({"data_paths": "obs://b/x"}, "must be a list"),
        ({"data_paths": ["http://b/x"]}, "must start with obs://"),
        ({"data_paths": ["obs://b/../x"]}, "`..`"),
        ({"data_paths": [""]}, "not empty"),
        ({"data_paths": ["obs://"]}, "must"),
        ({"tables": ["orders"]}, "database.table"),
        ({"tables": [3]}, "texts"),
        ({"queues": ["q"], "max_active": 0}, "max_active"),
        ({"queues": ["q"], "admins": "root"}, "admins"),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused(rules: dict[str, Any], words: str) -> None:
    """A mistake in a policy is told when it is made, not when somebody slips through."""
    with pytest.raises(ConfigurationError, match=words.replace("(", r"\(").replace("..", r"\.\.")):
        ExportPolicy(**rules)


def test_everything_is_open_only_by_its_name() -> None:
    """`allow_all` allows every export, and still keeps callers apart unless told otherwise."""
    policy = ExportPolicy.allow_all()
    policy.check(spec(data_path="obs://any/where", queue_name="q"))
    assert not policy.sees_all("alice")
    assert ExportPolicy.allow_all(shared=True).sees_all("alice")
    assert ExportPolicy.allow_all(admins=["ops"]).sees_all("ops")
    assert not ExportPolicy.allow_all(admins=["ops"]).sees_all("alice")


def test_export_modes_may_be_ruled_out() -> None:
    """A policy may keep callers from deleting what lies in a folder."""
    policy = ExportPolicy(data_paths=["obs://b/team"], export_modes=["errorifexists"])
    policy.check(spec())
    assert refused_by(policy, export_mode="Overwrite") == "export_modes"
    ExportPolicy(data_paths=["obs://b/team"]).check(spec(export_mode="Overwrite"))
    assert refused_by(ExportPolicy.allow_all(export_modes=[])) == "export_modes"
    with pytest.raises(ConfigurationError, match="export_modes: 'Append' is none of"):
        ExportPolicy.allow_all(export_modes=["Append"])
