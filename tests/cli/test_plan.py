"""What a bulk run will do: plan files, folders, and the date of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dli_async import ConfigurationError
from dli_async._journal.entries import ExportState, JournalEntry
from dli_async.cli._bulk.plan import check_template, make_plan
from dli_async.cli._bulk.plan_file import Row, read_rows
from dli_async.cli._shell.export_options import FilesOptions

TEMPLATE = "obs://bucket/{date}/{database}/{table}"
TO = {"data_path": TEMPLATE}
THEN = datetime(2026, 1, 30, tzinfo=UTC)


def _rows(*tables: str) -> list[Row]:
    return [
        Row(f"sales.{table}", {"database_name": "sales", "table_name": table}) for table in tables
    ]


def _entry(data_path: str, state: ExportState = ExportState.SUBMITTED) -> JournalEntry:
    fields: dict[str, Any] = dict.fromkeys(JournalEntry.__dataclass_fields__)
    fields |= {"data_path": data_path, "state": state, "spec_json": "{}"}
    return JournalEntry(**fields)


def _paths(
    rows: Sequence[Row], defaults: dict[str, Any] = TO, date: str | None = "2026-01-31"
) -> list[str]:
    return [spec.data_path for spec in make_plan(rows, defaults, date=date).specs]


def _today() -> str:
    return datetime.now(UTC).astimezone().date().isoformat()


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_placeholders_of_a_folder_are_filled_in() -> None:
    """Date, database and table make a folder of its own for each table."""
    assert _paths(_rows("orders", "prices")) == [
        "obs://bucket/2026-01-31/sales/orders",
        "obs://bucket/2026-01-31/sales/prices",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("obs://b/{day}", "no placeholder {day}; there are {date}, {database}, {table}"),
        ("obs://b/{}", "no placeholder {}"),
        ("obs://b/{0}", "no placeholder {0}"),
        ("obs://b/{table.x}", "no placeholder {table.x}"),
        ("obs://b/{date:%Y}", "no placeholder {date:%Y}"),
        ("obs://b/{table!r}", "no placeholder {table!r}"),
        ("obs://b/{table", "the placeholders are {date}"),
        ("obs://b/table}", "the placeholders are {date}"),
    ],
)
def test_unknown_placeholders_are_refused_with_the_known_ones(text: str, words: str) -> None:
    """A misspelt placeholder never becomes the name of a folder."""
    with pytest.raises(ValueError) as error:
        check_template(text)
    assert words in str(error.value)


def test_braces_can_be_doubled() -> None:
    """A folder may have braces in its name."""
    assert _paths(_rows("t"), {"data_path": "obs://b/{{x}}/{table}"}) == ["obs://b/{x}/t"]


FULL = {
    "database_name": "crm",
    "table_name": "calls",
    "data_path": "obs://b/calls",
    "data_type": "json",
    "compress": "bzip2",
    "queue_name": "q1",
    "export_mode": "Overwrite",
    "with_column_header": True,
}
SHORT = {"database_name": "crm", "table_name": "notes"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "plan.yaml",
            "- database_name: crm\n  table_name: calls\n  data_path: obs://b/calls\n"
            "  data_type: json\n  compress: bzip2\n  queue_name: q1\n  export_mode: Overwrite\n"
            "  with_column_header: yes\n\n- {database_name: crm, table_name: notes}\n",
        ),
        ("plan.jsonl", f"{json.dumps(FULL)}\n\n{json.dumps(SHORT)}\n"),
        (
            "plan.csv",
            f"\ufeff{','.join(FULL)}\r\n{','.join(map(str, FULL.values()))}\r\n\r\n"
            "crm,notes,,,,,,\r\n",
        ),
    ],
)
def test_a_plan_file_has_one_export_each_with_all_fields(
    name: str, text: str, tmp_path: Path
) -> None:
    """YAML, CSV and JSON Lines say the same; what they leave out is taken from the options."""
    rows = read_rows(_write(tmp_path, name, text))
    plan = make_plan(rows, {**TO, "data_type": "csv", "compress": "gzip"}, date="2026-01-31")
    assert [spec.body() for spec in plan.specs] == [
        FULL,
        {
            **SHORT,
            "data_path": "obs://bucket/2026-01-31/crm/notes",
            "data_type": "csv",
            "compress": "gzip",
            "export_mode": "ErrorIfExists",
            "with_column_header": False,
        },
    ]


CSV_HEAD = "database_name,table_name,data_path\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("p.txt", "", "p.txt: must end with one of .yaml .yml .csv .jsonl .ndjson"),
        ("p.yaml", "", "p.yaml:1: must be a list of exports"),
        ("p.yaml", "database_name: x", "p.yaml:1: must be a list of exports"),
        ("p.yaml", "- a: 1\n- orders\n", "p.yaml:2: must be an export with its fields"),
        ("p.yaml", "- a: 1\n\n- b: 1\n  b: 2\n", "p.yaml:3: has a field twice"),
        ("p.yaml", "- a: 1\n- [b\n", "p.yaml:3: is not YAML"),
        ("p.yaml", "- a: 1\n- b: \x00\n", "p.yaml:1: is not YAML"),
        ("p.jsonl", '{"a": 1}\n{oops}\n', "p.jsonl:2: is not JSON"),
        ("p.jsonl", "[]", "p.jsonl:1: must be an export with its fields, not []"),
        ("p.csv", "a,a\n1,2\n", "p.csv:1: must name each column once, not a,a"),
        ("p.csv", CSV_HEAD + "crm,calls\n", "p.csv:2: has 2 cells for 3 columns"),
        ("p.csv", CSV_HEAD + 'crm,calls,"obs', "p.csv:2: is not CSV"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_by_file_and_line(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    """What cannot be read is named where it is."""
    with pytest.raises(ConfigurationError) as error:
        read_rows(_write(tmp_path, name, text))
    assert words in str(error.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A plan in another encoding is named, not guessed at."""
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"p\.csv: 'utf-8' codec"):
        read_rows(path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "p.csv",
            CSV_HEAD + 'crm,"a\nb",obs://b/1\n,calls,obs://b/2\n',
            ["p.csv:2: table_name='a\\nb'", "p.csv:4: database_name=None: must be given"],
        ),
        (
            "p.yaml",
            "- database_name: crm\n  table_name: 2024\n  data_path: obs://b/1\n",
            ["p.yaml:1: table_name=2024: "],
        ),
        (
            "p.jsonl",
            '\n{"database_name": "crm", "table_name": "t", "data_path": "obs://b", "rows": 1}',
            ["p.jsonl:2: data_path='obs://b': must name a folder", "rows=1: is not a field of"],
        ),
        (
            "p.csv",
            CSV_HEAD + "crm,calls,obs://b/{day}\n",
            ["p.csv:2: data_path='obs://b/{day}': there is no placeholder {day}"],
        ),
        (
            "p.csv",
            CSV_HEAD + "crm,calls,obs://b/x\ncrm,notes,obs://b/x/\n",
            ["p.csv:3: data_path='obs://b/x': ", "p.csv:2 has this folder too"],
        ),
        (
            "p.csv",
            CSV_HEAD + "crm,calls,obs://b/x/y\ncrm,notes,obs://b/x/\ncrm,t,obs://b/x/y2\n",
            ["p.csv:3: data_path='obs://b/x': ", "p.csv:2 has 'obs://b/x/y', around this folder"],
        ),
        ("p.csv", CSV_HEAD + "crm,calls,\n", ["p.csv:2: data_path=None: must be given"]),
    ],
)
def test_exports_that_break_a_rule_are_refused_by_file_line_and_field(
    name: str, text: str, words: list[str], tmp_path: Path
) -> None:
    """Every error says which line of which file has which field wrong, before anything is sent."""
    rows = read_rows(_write(tmp_path, name, text))
    with pytest.raises(ConfigurationError) as error:
        make_plan(rows, {}, date=None)
    assert all(word in str(error.value) for word in words), error.value


def test_tables_that_would_share_a_folder_are_refused() -> None:
    """A template without the table's name would let exports delete each other's files; of many
    problems some are shown and the others counted."""
    with pytest.raises(ConfigurationError) as error:
        _paths(_rows(*"abcdefgh"), {"data_path": "obs://b/{database}"})
    assert "sales.b: data_path='obs://b/sales': sales.a has this folder too" in str(error.value)
    assert str(error.value).endswith("; and 2 more")


def test_an_empty_plan_is_refused() -> None:
    """A pattern that matches nothing is not a success."""
    with pytest.raises(ConfigurationError, match="nothing to export"):
        _paths([])


def test_the_date_is_today_unless_it_is_given() -> None:
    """Without a journal there is nothing to go on with."""
    plan = make_plan(_rows("t"), TO, date=None)
    assert (plan.date, plan.resumes) == (_today(), False)
    assert _paths(_rows("t"), date="2026-01-01") == ["obs://bucket/2026-01-01/sales/t"]


def test_a_run_that_is_resumed_later_keeps_its_date() -> None:
    """The folders of the journal tell on which day the run began, and all exports go there."""
    entries = [
        _entry("obs://other/2020-01-01/sales/orders"),
        _entry("obs://bucket/2026-01-30/sales/orders", ExportState.FINISHED),
        _entry("obs://other/2020-01-02/sales/orders", ExportState.FINISHED),
    ]
    plan = make_plan(_rows("orders", "prices"), TO, date=None, entries=entries)
    assert (plan.date, plan.resumes, plan.left_alone) == ("2026-01-30", True, 1)
    assert [spec.data_path for spec in plan.specs] == [
        "obs://bucket/2026-01-30/sales/orders",
        "obs://bucket/2026-01-30/sales/prices",
    ]
    assert plan.known == {"obs://bucket/2026-01-30/sales/orders": ExportState.FINISHED}


def test_of_several_runs_in_a_journal_the_latest_goes_on() -> None:
    """With `--date` a journal may hold several."""
    entries = [_entry(f"obs://bucket/2026-01-{day}/sales/t") for day in (29, 30)]
    assert make_plan(_rows("t"), TO, date=None, entries=entries).date == "2026-01-30"


def test_a_date_in_the_name_of_a_table_is_not_the_date_of_the_run() -> None:
    """Only what stands in the place of `{date}` counts."""
    rows = _rows("t_2020-01-01")
    entries = [_entry("obs://b/t_2020-01-01/of/2026-01-30")]
    to = {"data_path": "obs://b/{table}/of/{date}"}
    assert make_plan(rows, to, date=None, entries=entries).date == "2026-01-30"


def test_a_journal_whose_run_is_complete_is_refused_on_another_day() -> None:
    """A nightly run with last night's journal would export nothing and look fine."""
    done = [_entry("obs://bucket/2026-01-30/sales/t", ExportState.FINISHED)]
    with pytest.raises(ConfigurationError, match="the run of 2026-01-30, which is complete"):
        make_plan(_rows("t"), TO, date=None, entries=done)
    assert make_plan(_rows("t"), TO, date="2026-01-30", entries=done).specs


@pytest.mark.parametrize(
    ("known", "is_done"),
    [
        ({}, False),
        ({"verified_at": THEN}, False),
        ({"verified_at": THEN, "fetched_at": THEN, "fetched_to": "/else/t"}, False),
        ({"verified_at": THEN, "fetched_to": "/out/t"}, False),
        ({"verified_at": THEN, "fetched_at": THEN, "fetched_to": "/out/t"}, True),
    ],
)
def test_a_run_is_complete_when_its_files_are_as_they_are_wanted(
    known: dict[str, Any], is_done: bool
) -> None:
    """What was exported last night may still be verified and fetched today."""
    entry = replace(_entry("obs://bucket/2026-01-30/sales/t", ExportState.FINISHED), **known)
    landed = FilesOptions(verify=True, fetch=Path("/out"))
    if is_done:
        with pytest.raises(ConfigurationError, match="which is complete"):
            make_plan(_rows("t"), TO, date=None, entries=[entry], landed=landed)
    else:
        plan = make_plan(_rows("t"), TO, date=None, entries=[entry], landed=landed)
        assert (plan.date, plan.resumes) == ("2026-01-30", True)


def test_a_run_that_is_complete_may_be_repeated_on_its_day() -> None:
    """The same command line changes nothing then."""
    done = [_entry(f"obs://bucket/{_today()}/sales/t", ExportState.FINISHED)]
    assert make_plan(_rows("t"), TO, date=None, entries=done).resumes


def test_without_a_date_in_the_folder_the_journal_is_not_asked_for_one() -> None:
    """Folders that do not change from day to day have no date."""
    entries = [_entry("obs://b/2026-01-30", ExportState.FINISHED)]
    plan = make_plan(
        _rows("2026-01-30"), {"data_path": "obs://b/{table}"}, date=None, entries=entries
    )
    assert (plan.date, plan.resumes) == (_today(), False)
