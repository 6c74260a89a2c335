"""Details, progress, and rows of jobs, tables and queues: read leniently, like reports."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dli_async import (
    DatabaseRow,
    JobDetail,
    JobProgress,
    JobRow,
    QueueRow,
    TableDescription,
    TableRow,
)

SAMPLE: dict[str, Any] = {"job_id": "1", "status": "FINISHED"}


def test_string_booleans_are_understood_in_rows() -> None:
    """`"true"` is as good as true, and a word that is neither is None."""
    for given_flag, flag in [("true", True), ("FALSE", False), (True, True), ("maybe", None)]:
        row = JobRow.model_validate(SAMPLE | {"with_column_header": given_flag})
        assert row.with_column_header is flag


def test_the_other_answers_are_read_leniently_too() -> None:
    """Details, progress, tables and queues read their samples, and live without options."""
    assert (
        JobDetail.model_validate({"job_id": "1", "data_path": "obs://a/b"}).data_path == "obs://a/b"
    )
    progress = JobProgress.model_validate(
        {
            "job_id": "1",
            "status": "RUNNING",
            "progress": "0.5",
            "sub_jobs": [{"id": 1, "num_tasks": 2}],
        }
    )
    assert progress.progress == 0.5
    assert progress.sub_jobs is not None
    assert progress.sub_jobs[0].num_tasks == 2
    assert JobProgress.model_validate({"job_id": "1", "sub_jobs": "none"}).sub_jobs is None
    table = TableRow.model_validate({"database_name": "d", "table_name": "t", "table_size": "big"})
    assert table.table_size is None
    described = TableDescription.model_validate(
        {"database_name": "d", "table_name": "t", "columns": [{"column_name": "c", "type": "int"}]}
    )
    assert described.columns[0].type == "int"


@pytest.mark.parametrize(
    "row",
    [
        {"queue_name": "q", "queue_type": "sql", "cu_count": 16, "charging_mode": 1},
        {"queueName": "q", "queueType": "sql", "cuCount": 16, "chargingMode": 1},
    ],
)
def test_a_queue_is_read_in_either_spelling(row: dict[str, Any]) -> None:
    """The list writes snake_case, the single queue camelCase."""
    queue = QueueRow.model_validate(row)
    assert (queue.queue_name, queue.queue_type, queue.cu_count, queue.charging_mode) == (
        "q",
        "sql",
        16,
        1,
    )


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (JobRow, ["job_id", "status"]),
        (JobDetail, ["job_id"]),
        (JobProgress, ["job_id"]),
        (DatabaseRow, ["database_name"]),
        (TableRow, ["database_name", "table_name"]),
        (TableDescription, ["database_name", "table_name"]),
        (QueueRow, ["queue_name"]),
    ],
)
def test_a_row_needs_its_name_and_no_more(model: Any, fields: list[str]) -> None:
    """What the row is about must be there; everything else may be missing."""
    row = dict.fromkeys(fields, "RUNNING")
    assert model.model_validate(row | {"novelty": 1})
    for missing in fields:
        with pytest.raises(ValidationError, match=missing):
            model.model_validate({name: value for name, value in row.items() if name != missing})


def test_the_share_done_never_falls() -> None:
    """The service's own number starts anew with each sub-job; this one only grows."""
    seen = [(0, None), (0, 0.0), (0, 0.5), (0, 1.0), (1, 0.0), (1, 0.9), (2, 0.1), (2, 7.0)]
    shares = [
        JobProgress(job_id="1", sub_job_id=sub_job, progress=progress).share_done
        for sub_job, progress in seen
    ]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
