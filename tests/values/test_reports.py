"""Specs are read strictly, answers leniently, and both keep their names on the wire."""

from __future__ import annotations

import json
import logging
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from dli_async import (
    Compress,
    DataType,
    DliError,
    ExportMode,
    ExportResult,
    InvalidExport,
    JobRow,
    JobStatus,
    StatusReport,
    TableExport,
)
from dli_async._values.parsing import find_code

GIVEN: dict[str, Any] = {
    "database_name": "db2",
    "table_name": "t2",
    "data_path": "obs://home/data1/DLI/test",
}


def spec(**changes: Any) -> TableExport:
    return TableExport(**(GIVEN | changes))


def test_a_spec_sends_the_documented_names_and_defaults() -> None:
    """All fields but a queue of None are sent, in the spelling of the page."""
    assert spec().body() == GIVEN | {
        "data_type": "csv",
        "compress": "none",
        "export_mode": "ErrorIfExists",
        "with_column_header": False,
    }


def test_the_sample_of_the_page_is_sent_as_printed() -> None:
    """The request of the official page goes through unchanged, but for the boolean in quotes."""
    sample = GIVEN | {
        "data_type": "json",
        "compress": "gzip",
        "with_column_header": "true",
        "queue_name": "queue2",
        "export_mode": "Overwrite",
    }
    assert TableExport.model_validate(sample).body() == sample | {"with_column_header": True}


@pytest.mark.parametrize(
    ("field", "member"),
    [
        *(("data_type", member) for member in DataType),
        *(("compress", member) for member in Compress),
        *(("export_mode", member) for member in ExportMode),
    ],
)
@given(data=st.data())
def test_words_are_accepted_in_any_case_and_sent_as_documented(
    field: str, member: Any, data: st.DataObject
) -> None:
    """`ERRORIFEXISTS` and `errorifexists` are both sent as `ErrorIfExists`."""
    upper = data.draw(st.lists(st.booleans(), min_size=len(member), max_size=len(member)))
    word = "".join(c.upper() if up else c.lower() for c, up in zip(member, upper, strict=True))
    assert spec(**{field: word}).body()[field] == member.value


BROKEN: list[tuple[dict[str, Any], str, Any, str]] = [
    ({"data_path": "obs://bucket"}, "data_path", "obs://bucket", "folder below a bucket"),
    ({"data_path": 7}, "data_path", 7, "valid string"),
    ({"database_name": ""}, "database_name", "", "must not be empty"),
    ({"table_name": " t"}, "table_name", " t", "blank"),
    ({"table_name": "a\nb"}, "table_name", "a\nb", "control characters"),
    ({"table_name": "t" * 129}, "table_name", "t" * 129, "longer than 128"),
    ({"queue_name": ""}, "queue_name", "", "must not be empty"),
    ({"data_type": "parquet"}, "data_type", "parquet", "'csv' or 'json'"),
    ({"compress": None}, "compress", None, "'none', 'gzip', 'bzip2' or 'deflate'"),
    ({"export_mode": "append"}, "export_mode", "append", "'ErrorIfExists' or 'Overwrite'"),
    ({"with_column_header": "perhaps"}, "with_column_header", "perhaps", "boolean"),
    ({"qeue_name": "q"}, "qeue_name", "q", "queue_name"),
]


@pytest.mark.parametrize("read", [lambda fields: TableExport(**fields), TableExport.model_validate])
@pytest.mark.parametrize(("changes", "field", "value", "rule"), BROKEN)
def test_a_broken_rule_names_field_value_and_rule(
    read: Any, changes: dict[str, Any], field: str, value: Any, rule: str
) -> None:
    """The constructor and `model_validate` raise the same error, which says what is wrong."""
    with pytest.raises(InvalidExport) as caught:
        read(GIVEN | changes)
    assert (caught.value.field, caught.value.value) == (field, value)
    assert rule in caught.value.rule
    assert field in str(caught.value)
    assert isinstance(caught.value, (DliError, ValueError))


def test_all_broken_rules_are_told_at_once() -> None:
    """A spec with three faults is mended in one go."""
    with pytest.raises(InvalidExport) as caught:
        TableExport.model_validate({"data_path": "x", "compress": "zip", "table_name": "t"})
    problems = {problem.field: problem for problem in caught.value.problems}
    assert list(problems) == ["database_name", "data_path", "compress"]
    assert problems["database_name"].rule == "must be given"


def test_what_is_no_mapping_is_refused_in_the_same_way() -> None:
    """Text in place of an object, and JSON that is none, are `InvalidExport` too."""
    with pytest.raises(InvalidExport, match="spec="):
        TableExport.model_validate("db.table")
    with pytest.raises(InvalidExport, match="JSON"):
        TableExport.model_validate_json("{")
    assert TableExport.model_validate_json(json.dumps(GIVEN)) == spec()


def test_as_a_fastapi_body_a_broken_rule_is_a_422() -> None:
    """The web framework sees pydantic's own error, so that its client learns the field."""
    app = FastAPI()

    @app.post("/")
    async def export(body: TableExport) -> TableExport:
        return body

    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://web") as web:
                return await web.request(method, path, **options)

        return anyio.run(exchange)

    refused = ask("POST", "/", json=GIVEN | {"data_path": "obs://bucket"})
    assert refused.status_code == 422
    [problem] = refused.json()["detail"]
    assert problem["loc"] == ["body", "data_path"]
    assert "folder below a bucket" in problem["msg"]
    accepted = ask("POST", "/", json=GIVEN | {"data_type": "CSV"})
    assert accepted.status_code == 200
    assert accepted.json()["data_type"] == "csv"
    assert ask("GET", "/openapi.json").status_code == 200


def test_inside_another_model_a_spec_breaks_like_any_field() -> None:
    """A model of the user's own that holds a spec gets a `ValidationError` with the full path."""

    class Request(BaseModel):
        spec: TableExport

    with pytest.raises(ValidationError, match=r"spec\.data_path"):
        Request.model_validate({"spec": GIVEN | {"data_path": "x"}})


def test_specs_are_values() -> None:
    """Equal specs are one key of a dict; they cannot be changed, and they can be pickled."""
    one, other = (
        spec(data_type="JSON"),
        spec(data_type=DataType.JSON, data_path="s3a://home/data1/DLI/test/"),
    )
    assert {one: 1}[other] == 1
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(ValidationError):
        one.table_name = "other"  # type: ignore[misc]
    assert str(one) == "db2.t2 to obs://home/data1/DLI/test"


def test_a_changed_copy_is_checked_like_a_new_spec() -> None:
    """`model_copy` cannot make a spec that the constructor refuses."""
    assert spec().model_copy(update={"table_name": "t3"}).table_name == "t3"
    assert spec().model_copy() == spec()
    with pytest.raises(InvalidExport, match="data_path"):
        spec().model_copy(update={"data_path": "nowhere"})


def test_a_folder_called_like_a_file_is_accepted_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`.../b.csv` becomes a folder of that name, which few people want."""
    with caplog.at_level(logging.WARNING, "dli_async.submit"):
        assert spec(data_path="obs://bucket/a/b.CSV.gz").data_path == "obs://bucket/a/b.CSV.gz"
    assert "looks like a file" in caplog.text


def test_a_spec_knows_its_route() -> None:
    """Where a spec is posted is the spec's business, so that another kind may go elsewhere."""
    assert TableExport.route == "/v1.0/{project_id}/jobs/export-table"


# What the service says.

SAMPLE: dict[str, Any] = {
    "is_success": True,
    "message": "",
    "job_id": "208b08d4-0dc2-4dd7-8879-ddd4c020d7aa",
    "job_type": "EXPORT",
    "job_mode": "async",
    "queue_name": "default",
    "owner": "test",
    "start_time": 1502349803729,
    "duration": 2617,
    "status": "FINISHED",
    "input_row_count": 8,
    "bad_row_count": 0,
    "input_size": 60,
    "result_count": 8,
    "database_name": "dbtest",
    "table_name": "tbtest",
    "detail": '{"type":"struct","fields":[]}',
    "statement": "",
}


def test_the_sample_report_is_read_with_types() -> None:
    """Milliseconds become a moment in UTC and a timedelta; sizes and counts are ints."""
    report = StatusReport.model_validate(SAMPLE)
    assert report.status is JobStatus.FINISHED
    assert report.is_terminal
    assert report.start_time == datetime(2017, 8, 10, 7, 23, 23, 729000, UTC)
    assert report.duration == timedelta(seconds=2.617)
    assert (report.input_size, report.result_count, report.error_code) == (60, 8, None)


def test_a_report_needs_no_more_than_id_and_status() -> None:
    """Everything else may be missing, and is None then."""
    report = StatusReport(job_id="1", status=JobStatus.RUNNING)
    assert report.raw_status == "RUNNING"
    rest = report.model_dump(exclude={"job_id", "status", "raw_status"})
    assert set(rest.values()) == {None}


@pytest.mark.parametrize("missing", ["job_id", "status"])
def test_a_report_without_id_or_status_is_none(missing: str) -> None:
    """What these two say cannot be guessed."""
    with pytest.raises(ValidationError, match=missing):
        StatusReport.model_validate({k: v for k, v in SAMPLE.items() if k != missing})


OPTIONAL = sorted(set(SAMPLE) - {"job_id", "status", "is_success"})


@pytest.mark.parametrize("field", OPTIONAL)
@given(
    junk=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    )
)
def test_an_optional_field_of_the_wrong_type_costs_only_itself(field: str, junk: Any) -> None:
    """Whatever stands in one optional field, the others are read."""
    report = StatusReport.model_validate(SAMPLE | {field: junk})
    assert report.status is JobStatus.FINISHED
    others = set(OPTIONAL) - {field}
    expected = StatusReport.model_validate(SAMPLE)
    assert report.model_dump(include=others) == expected.model_dump(include=others)


def test_unknown_fields_are_ignored_and_numbers_in_text_understood() -> None:
    """Later versions may say more, and gateways quote numbers."""
    report = StatusReport.model_validate(
        SAMPLE | {"novelty": {}, "result_count": "8", "duration": "2617", "job_id": 17, "owner": 9}
    )
    assert (report.result_count, report.job_id, report.owner) == (8, "17", "9")
    assert report.duration == timedelta(seconds=2.617)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((status.value, status) for status in JobStatus),
        ("finished", JobStatus.FINISHED),
        ("FINISH", JobStatus.FINISHED),
        (" Finish ", JobStatus.FINISHED),
        ("COMPUTED", JobStatus.UNKNOWN),
        ("CANCELED", JobStatus.UNKNOWN),
        ("", JobStatus.UNKNOWN),
        (None, JobStatus.UNKNOWN),
        (3, JobStatus.UNKNOWN),
    ],
)
def test_a_status_word_is_known_or_unknown_and_never_an_error(word: Any, status: JobStatus) -> None:
    """`FINISH` is FINISHED; a word of no document is UNKNOWN, kept as it came, and not an end."""
    report = StatusReport.model_validate(SAMPLE | {"status": word})
    assert report.status is status
    assert report.raw_status == str(word or "")
    ends = {JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELLED}
    assert report.is_terminal is (status in ends)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"error_code":"DLI.0999"}', "DLI.0999"),
        ({"error_code": "DLI.0999"}, "DLI.0999"),
        ('{"error_code":"DLI.0999"', "DLI.0999"),
        ("DLI.0002: FileNotFoundException: getFileStatus on obs://a: status [404]", "DLI.0002"),
        ("Please contact DLI service. DLI.0999: SparkException: Job aborted", "DLI.0999"),
        ("DLI.12004: job does not exist", "DLI.12004"),
        ("path obs://a/b already exists", None),
        ("", None),
        (None, None),
    ],
)
def test_the_code_of_a_failure_is_found_wherever_it_hides(message: Any, code: str | None) -> None:
    """JSON in a text, bare JSON, broken JSON and free text all give their DLI code."""
    assert StatusReport.model_validate(SAMPLE | {"message": message}).error_code == code


@given(st.text(), st.integers(0, 99999), st.text(alphabet='abc{}":, \n'))
def test_a_code_is_found_in_any_surroundings(before: str, number: int, after: str) -> None:
    """Four or five digits after `DLI.` are a code."""
    code = f"DLI.{number:04d}"
    assert (find_code(before + code + after) or "").startswith("DLI.")


def test_a_report_survives_a_round_trip_through_json() -> None:
    """What a service of the user's own stored or served can be read again."""
    row = JobRow.model_validate(
        SAMPLE | {"tags": [{"key": "a", "value": "b"}], "end_time": 1502349806346}
    )
    assert JobRow.model_validate_json(row.model_dump_json()) == row
    assert pickle.loads(pickle.dumps(row)) == row


def test_moments_are_always_aware() -> None:
    """A time without a zone is UTC, and one that nobody set (0) is None."""
    report = StatusReport.model_validate(SAMPLE | {"start_time": "2026-01-01T00:00:00"})
    assert report.start_time == datetime(2026, 1, 1, tzinfo=UTC)
    assert StatusReport.model_validate(SAMPLE | {"start_time": 0}).start_time is None


def test_a_result_says_what_report_and_spec_say() -> None:
    """Rows, bytes, times and folder of a finished export, in one value."""
    report = StatusReport.model_validate(SAMPLE)
    result = ExportResult.of(report, spec())
    assert (result.row_count, result.input_size, result.queue_name) == (8, 60, "default")
    assert (result.data_path, result.status) == (spec().data_path, JobStatus.FINISHED)
    attached = ExportResult.of(
        StatusReport(job_id="1", status=JobStatus.FINISHED, input_row_count=3), None
    )
    assert (attached.row_count, attached.data_path, attached.queue_name) == (3, None, None)
    assert TypeAdapter(ExportResult).dump_python(result, mode="json")["duration"] == "PT2.617S"
