"""Tables and whoami, where settings come from, and what trouble looks like."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest

from dli_async import DliClient, RetryPolicy
from dli_async.emulator import ACCESS_KEY, PROJECT_ID, SECRET_KEY, TOKEN

from .conftest import Cli, Server, error_line

KEYS = {"HUAWEICLOUD_SDK_AK": ACCESS_KEY, "HUAWEICLOUD_SDK_SK": SECRET_KEY}


def test_tables_of_all_databases(quick: Server) -> None:
    """Without a database every table of every database is a row with both names."""
    rows = Cli(quick).json("tables")
    assert len(rows) == 100
    assert {row["database_name"] for row in rows} == {"db1", "db2"}
    assert all(row["table_name"] for row in rows)


def test_tables_of_one_database_with_detail(quick: Server) -> None:
    """A database, a keyword and --detail go to the service."""
    rows = Cli(quick).json("tables", "db1", "--keyword", "t50", "--detail")
    assert [(row["database_name"], row["table_name"]) for row in rows] == [("db1", "t50")]
    assert rows[0]["table_size"] > 0


@pytest.mark.parametrize("options", [[], ["--detail"]])
def test_tables_for_people(options: list[str], quick: Server) -> None:
    """The table has a header and a line for each table."""
    lines = Cli(quick)("tables", "db2", *options).stdout.splitlines()
    assert lines[0].startswith("database_name")
    assert len(lines) == 51


def test_a_missing_database_exits_with_4(quick: Server) -> None:
    """The service's own words come through."""
    result = Cli(quick)("tables", "nowhere")
    assert result.exit_code == 4
    assert "nowhere" in error_line(result)


def test_whoami_with_a_token(quick: Server) -> None:
    """The source, project and endpoint are told, and that the service takes the login."""
    assert Cli(quick).json("whoami") == {
        "credentials": "a fixed token from DLI_TOKEN",
        "region": None,
        "project_id": PROJECT_ID,
        "endpoint": quick.url,
        "accepted": True,
    }


def test_whoami_with_keys_of_the_environment(quick: Server) -> None:
    """Without a token the vendor's variables are used; the secret key is never shown."""
    cli = Cli(quick)
    del cli.environ["DLI_TOKEN"]
    result = cli("whoami", env=KEYS)
    assert result.exit_code == 0, result.output
    assert "environment (HUAWEICLOUD_SDK_AK" in result.stdout
    assert SECRET_KEY not in result.output
    assert ACCESS_KEY not in result.output


def test_whoami_tells_who_was_refused(quick: Server) -> None:
    """A refused login exits with 4, and still tells which one it was, without showing it."""
    cli = Cli(quick)
    document = cli.json("whoami", "--token", "no-such-token", code=4)
    assert document["credentials"] == "a fixed token from --token"
    assert document["accepted"] is False
    assert document["error"]["status_code"] == 401
    result = cli("whoami", "--token", "no-such-token")
    assert "accepted:    no" in result.stdout
    assert "no-such-token" not in result.output


def test_options_win_over_the_environment(quick: Server) -> None:
    """Each option replaces its variable."""
    options = ("--endpoint", quick.url, "--project-id", PROJECT_ID, "--token", TOKEN)
    env = {"DLI_ENDPOINT": "http://127.0.0.1:1", "DLI_PROJECT_ID": "x", "DLI_TOKEN": "y"}
    result = Cli()("whoami", *options, "--json", env=env)
    assert result.exit_code == 0, result.output


def test_a_region_wins_over_the_endpoint_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """--region names the endpoint, even if DLI_ENDPOINT names another one."""
    seen: list[str] = []

    async def look(client: DliClient) -> str:
        seen.append(client.endpoint)
        raise OSError("enough")

    monkeypatch.setattr(DliClient, "project_id", look)
    result = Cli()(
        *("whoami", "--region", "cn-north-4", "--token", "t"),
        env={"DLI_ENDPOINT": "http://127.0.0.1:1"},
    )
    assert result.exit_code == 4
    assert seen == ["https://dli.cn-north-4.myhuaweicloud.com"]


def test_no_endpoint_is_a_matter_of_usage() -> None:
    """Without endpoint and region the options and variables that are missing are named."""
    result = Cli()("tables")
    assert result.exit_code == 2
    assert "--endpoint or --region" in error_line(result)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--region", "atlantis"], "unknown region 'atlantis'"),
        (["--endpoint", "not a url"], "must be a URL"),
        (["--endpoint", "http://127.0.0.1:1", "--token", ""], "token is empty"),
    ],
)
def test_wrong_settings_exit_with_2(options: list[str], words: str) -> None:
    """A setting that cannot work is named, in one line."""
    result = Cli()("jobs", *options)
    assert result.exit_code == 2
    assert words in error_line(result)


def test_a_service_that_is_not_there_exits_with_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is refused is one line, and a document with --json."""
    monkeypatch.setattr("dli_async._client.RetryPolicy", partial(RetryPolicy, attempts=1))
    options = ("--endpoint", "http://127.0.0.1:1", "--project-id", PROJECT_ID, "--token", "t")
    result = Cli()("jobs", *options)
    assert result.exit_code == 4
    assert "127.0.0.1" in error_line(result)


def test_an_unexpected_error_is_one_line_too(
    quick: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody thought of exits with 4 and names itself; -vv shows where it came from."""

    def explode(client: DliClient) -> Any:
        raise LookupError("what\nnow \x1b[31m?")

    monkeypatch.setattr(DliClient, "databases", explode)
    result = Cli(quick)("tables")
    assert result.exit_code == 4
    assert error_line(result).startswith("dli-async: error: unexpected LookupError: what now ")
    assert "\x1b" not in result.stderr
    assert "Traceback" in Cli(quick)("-vv", "tables").stderr


def test_verbose_logs_requests_without_secrets(quick: Server) -> None:
    """-vv shows each request on stderr; stdout stays as it is, and the next run is quiet."""
    result = Cli(quick)("-vv", "tables", "db1", "--json")
    assert "GET /v1.0/" in result.stderr
    assert TOKEN not in result.output
    assert Cli(quick)("tables", "db1", "--json").stderr == ""
    assert not logging.getLogger("dli_async").handlers
