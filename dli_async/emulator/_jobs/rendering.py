"""Jobs as the different calls show them; every call has its own selection and spelling."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from .._engine.engine import Column, Exported
from .._protocol.specs import Asked, Spec
from .job import FAILED, FINISHED, LAUNCHING, RUNNING, Job
from .sql_specs import ResultSpec, SqlSpec

_SUB_JOBS = ("listing the table", "runJob at FileFormatWriter.scala:266", "committing the files")
_TASKS = 20


def status(job: Job, now: float, state: str, columns: str) -> dict[str, Any]:
    """The answer of GET .../status (dli_02_0021); `columns` are those of an export's table."""
    return {
        "is_success": True,
        "message": job.message if job.has_ended(now) else "",
        **_common(job, now, state),
        "job_mode": "async",
        "detail": columns or _result_columns(job.spec),
        "user_conf": "",
        "tags": _tags(job.spec),
        **_result_path(job, now),
    }


def row(job: Job, now: float, state: str) -> dict[str, Any]:
    """One row of the list (dli_02_0025)."""
    ended = job.has_ended(now)
    return {
        **_common(job, now, state),
        **_listed(job.spec),
        **_result_path(job, now),
        "end_time": int(job.ended_at * 1000) if ended and job.ended_at is not None else 0,
        "message": job.message if ended else "",
        "detail": "",
        "engine_type": "spark",
        "cpu_cost": "0",
        "output_byte": str(job.exported.bytes_written if job.exported and ended else 0),
    }


def _common(job: Job, now: float, state: str) -> dict[str, Any]:
    exported = job.exported if job.state_at(now) == FINISHED else None
    return {
        "job_id": job.job_id,
        "job_type": job.spec.job_type,
        "queue_name": job.spec.queue_name,
        "owner": job.owner,
        "start_time": job.start_ms,
        "duration": int(job.seconds(now) * 1000),
        "status": state,
        "input_size": exported.input_size if exported else 0,
        "result_count": exported.rows if exported else 0,
        "statement": job.spec.statement,
        **_own_fields(job.spec, exported),
    }


def _own_fields(spec: Asked, exported: Exported | None) -> dict[str, Any]:
    """What only jobs of this type have."""
    if isinstance(spec, Spec):
        # Rows of an export are told in result_count, since input_row_count is for INSERT (guess).
        return {"database_name": spec.database_name, "table_name": spec.table_name}
    if isinstance(spec, SqlSpec) and spec.job_type == "INSERT":
        scanned = spec.plan.input_rows if spec.plan and exported else 0
        return {"input_row_count": scanned, "bad_row_count": 0}
    return {}


def _listed(spec: Asked) -> dict[str, Any]:
    if isinstance(spec, Spec):
        return {"with_column_header": spec.with_column_header}
    if isinstance(spec, ResultSpec):
        return {"with_column_header": spec.body.with_column_header}
    return {"tags": _tags(spec)}


def _tags(spec: Asked) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in spec.tags]


def _result_path(job: Job, now: float) -> dict[str, str]:
    """Where the full result of a query lies, if its queue keeps results in a job bucket."""
    path = job.spec.result_path if isinstance(job.spec, SqlSpec) else ""
    if not path or job.state_at(now) != FINISHED:
        return {}
    return {"result_path": path, "result_format": "csv"}


def _result_columns(spec: Asked) -> str:
    """The columns of a query; an INSERT returns none."""
    if isinstance(spec, SqlSpec) and spec.job_type == "QUERY" and spec.plan:
        return columns_of(spec.plan.columns)
    if isinstance(spec, ResultSpec) and spec.result:
        return columns_of(spec.result.columns)
    return columns_of(())


def detail(job: Job, now: float) -> dict[str, Any]:
    """The answer of GET .../detail (dli_02_0022); it has neither status nor type.

    Where a statement writes to is in the statement only.
    """
    return {
        "is_success": True,
        "message": "",
        "job_id": job.job_id,
        "owner": job.owner,
        "start_time": job.start_ms,
        "duration": int(job.seconds(now) * 1000),
        **_target(job.spec),
        "tags": _tags(job.spec),
    }


def _target(spec: Asked) -> dict[str, Any]:
    if isinstance(spec, Spec):
        return {name: value for name, value in spec.fields().items() if name != "queue_name"}
    if isinstance(spec, ResultSpec):
        body = spec.body
        return {
            "export_mode": body.export_mode,
            "data_path": body.data_path,
            "data_type": body.data_type,
            "with_column_header": body.with_column_header,
            "compress": body.compress,
            "quote_char": body.quote_char,
            "escape_char": body.escape_char,
        }
    return {}


def progress(job: Job, now: float, state: str) -> dict[str, Any]:
    """The answer of GET /v1/.../progress (dli_02_0296).

    0 at the start, 1 at the end, and in between the share of the tasks of the *current* sub-job:
    it falls whenever the next sub-job begins.
    """
    share, current = _share(job, now)
    answer = {"is_success": True, "message": "", "job_id": job.job_id, "status": state}
    if job.started_at is None:
        return {**answer, "progress": 0.0}
    done = [_sub_job(job, number, 1.0) for number in range(current)]
    return {
        **answer,
        "sub_job_id": current,
        "progress": share,
        "sub_jobs": [*done, _sub_job(job, current, share)],
    }


def _share(job: Job, now: float) -> tuple[float, int]:
    last = len(_SUB_JOBS) - 1
    state = job.state_at(now)
    if state == LAUNCHING or job.started_at is None:
        return 0.0, 0
    if state == FINISHED:
        return 1.0, last
    until = now if job.ended_at is None or state == RUNNING else job.ended_at
    lived = (until - job.started_at) / job.run_time if job.run_time > 0 else 0.0
    position = min(lived, 0.999) * len(_SUB_JOBS)
    return int((position % 1) * _TASKS) / _TASKS, int(position)


def _sub_job(job: Job, number: int, share: float) -> dict[str, Any]:
    completed = int(share * _TASKS)
    began = (job.started_at or 0.0) + number * job.run_time / len(_SUB_JOBS)
    failed = job.state == FAILED and share < 1
    return {
        "id": number,
        "name": _SUB_JOBS[number],
        "description": f"job {number} of {job.job_id}",
        "submission_time": _java_text(began),
        "completion_time": _java_text(began + job.run_time / len(_SUB_JOBS)) if share == 1 else "",
        "stage_ids": [number],
        "job_group": job.job_id,
        "status": "SUCCEEDED" if share == 1 else "FAILED" if failed else "RUNNING",
        "num_tasks": _TASKS,
        "num_active_tasks": 0 if share == 1 else 1,
        "num_completed_tasks": completed,
        "num_skipped_tasks": 0,
        "num_failed_tasks": 0,
        "num_killed_tasks": 0,
        "num_completed_indices": completed,
        "num_active_stages": 0 if share == 1 else 1,
        "num_completed_stages": 1 if share == 1 else 0,
        "num_skipped_stages": 0,
        "num_failed_stages": 1 if failed else 0,
        "killed_tasks_summary": {},
    }


def _java_text(moment: float) -> str:
    # Written by Java's Date.toString, as in the page's sample.
    return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(moment))


def columns_of(columns: Iterable[Column]) -> str:
    """The columns as JSON *text*, which is how `detail` carries them."""
    fields = [
        {"name": column.name, "type": column.type, "nullable": column.nullable, "metadata": {}}
        for column in columns
    ]
    return json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False)
