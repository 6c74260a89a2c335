"""Jobs as the different calls show them; every call has its own selection and spelling."""

from __future__ import annotations

import json
import time
from typing import Any

from .._engine.engine import Table
from .job import FAILED, FINISHED, LAUNCHING, RUNNING, Job

_SUB_JOBS = ("listing the table", "runJob at FileFormatWriter.scala:266", "committing the files")
_TASKS = 20


def status(job: Job, now: float, state: str, columns: str) -> dict[str, Any]:
    """The answer of GET .../status (dli_02_0021)."""
    return {
        "is_success": True,
        "message": job.message if job.has_ended(now) else "",
        **_common(job, now, state),
        "job_mode": "async",
        "detail": columns,
        "user_conf": "",
        "tags": [],
    }


def row(job: Job, now: float, state: str) -> dict[str, Any]:
    """One row of the list (dli_02_0025)."""
    ended = job.has_ended(now)
    return {
        **_common(job, now, state),
        "with_column_header": job.spec.with_column_header,
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
        "job_type": "EXPORT",
        "queue_name": job.spec.queue_name,
        "owner": job.owner,
        "start_time": job.start_ms,
        "duration": int(job.seconds(now) * 1000),
        "status": state,
        # input_row_count belongs to INSERT jobs only, so rows are told in result_count (guess).
        "input_size": exported.input_size if exported else 0,
        "result_count": exported.rows if exported else 0,
        "database_name": job.spec.database_name,
        "table_name": job.spec.table_name,
        # An export is no SQL, so there is nothing to quote (guess).
        "statement": "",
    }


def detail(job: Job, now: float) -> dict[str, Any]:
    """The answer of GET .../detail (dli_02_0022); it has neither status nor type."""
    spec = job.spec
    return {
        "is_success": True,
        "message": "",
        "job_id": job.job_id,
        "owner": job.owner,
        "start_time": job.start_ms,
        "duration": int(job.seconds(now) * 1000),
        "export_mode": spec.export_mode,
        "data_path": spec.data_path,
        "data_type": spec.data_type,
        "database_name": spec.database_name,
        "table_name": spec.table_name,
        "with_column_header": spec.with_column_header,
        "compress": spec.compress,
        "tags": [],
    }


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


def columns_of(table: Table) -> str:
    """The columns as JSON *text*, which is how `detail` carries them."""
    fields = [
        {"name": column.name, "type": column.type, "nullable": column.nullable, "metadata": {}}
        for column in table.columns
    ]
    return json.dumps({"type": "struct", "fields": fields}, ensure_ascii=False)
