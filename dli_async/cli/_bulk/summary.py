"""What a bulk run tells: its plan before, its summary after, and what an interrupt leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from ..._export.errors import JobFailed, SubmitInDoubt
from ..._export.job import ExportJob
from ..._values.spec import dump_spec
from ...bulk import ExportOutcome
from .._shell.failures import Exit, Failure, candidates, resume_with
from .._shell.output import Output, are, cell, counted, fields_text, plain_table
from .plan import Plan
from .stats import End, RunStats, span_text

# The worst comes first. An export in doubt needs a look, one that timed out only more time.
_CODES = (
    (End.FAILED, Exit.JOB_FAILED),
    (End.CANCELLED, Exit.JOB_FAILED),
    (End.LOST, Exit.JOB_FAILED),
    (End.INCOMPLETE, Exit.JOB_FAILED),
    (End.IN_DOUBT, Exit.IN_DOUBT),
    (End.TIMED_OUT, Exit.TIMED_OUT),
)
_OPEN = (End.INCOMPLETE, End.IN_DOUBT, End.TIMED_OUT)
_PLAN_COLUMNS = ("table", "format", "mode", "queue", "data_path", "state")


def show_plan(output: Output, plan: Plan) -> Exit:
    """Prints what would be exported."""
    exports = [
        {**dump_spec(spec), "queue_name": spec.queue_name, "state": plan.known.get(spec.data_path)}
        for spec in plan.specs
    ]
    table = plain_table(*_PLAN_COLUMNS)
    for spec, export in zip(plan.specs, exports, strict=True):
        words = [
            spec.data_type,
            spec.compress or "none",
            "header" if spec.with_column_header else "none",
        ]
        table.add_row(
            spec.label,
            " ".join(word for word in words if word != "none"),
            spec.export_mode,
            cell(spec.queue_name),
            spec.data_path,
            export["state"] or "new",
        )
    again = ", goes on with the run of that day" if plan.resumes else ""
    count = counted(len(exports), "export")
    totals = f"{count}, date {plan.date}{again}; dry run, nothing was submitted"
    document = {"date": plan.date, "resumes": plan.resumes, "exports": exports}
    output.result(document, Group(table, "", totals))
    return Exit.FINISHED


def show_summary(
    output: Output,
    plan: Plan,
    outcomes: Sequence[ExportOutcome],
    stats: RunStats,
    journal: Path | None,
) -> Exit:
    """Prints the summary; returns the exit code."""
    totals = {
        **{end.name.lower(): stats.ends[end] for end in End},
        "resumed": stats.resumed,
        "rows": stats.rows,
        "input_size": stats.size,
        "seconds": round(stats.seconds, 3),
        "date": plan.date,
        "journal": journal,
    }
    documents = [_document(outcome) for outcome in outcomes]
    output.result({**totals, "exports": documents}, _summary(outcomes, stats, journal))
    code = next((code for end, code in _CODES if stats.ends[end]), Exit.FINISHED)
    unhappy = stats.ended - stats.ends[End.FINISHED]
    if unhappy:
        _tell_doubts(output, outcomes, journal)
        words = [*_what_went_wrong(stats, unhappy), *_ways_on(outcomes, stats, journal)]
        output.note(f"dli-async: error: {'; '.join(words)}")
    return code


def _what_went_wrong(stats: RunStats, unhappy: int) -> Iterator[str]:
    total, incomplete = counted(stats.ended, "export"), stats.ends[End.INCOMPLETE]
    if unhappy > incomplete:
        yield f"{unhappy - incomplete:,} of {total} did not finish"
    if incomplete:
        yield f"the files of {incomplete:,} of {total} are not complete, or could not be fetched"


def _tell_doubts(output: Output, outcomes: Sequence[ExportOutcome], journal: Path | None) -> None:
    """A line for each export in doubt, unless the next run with the journal sees to all of it."""
    for outcome in outcomes:
        if not isinstance(outcome.error, SubmitInDoubt):
            continue
        ways = candidates(outcome.error)
        if journal is None and outcome.error.job is not None:
            ways.append(f"look again with: {resume_with(outcome.error.job)}")
        if ways:
            output.note(f"in doubt: {outcome.spec.label}: {'; '.join(ways)}")


def _ways_on(
    outcomes: Sequence[ExportOutcome], stats: RunStats, journal: Path | None
) -> Iterator[str]:
    """How to go on with what did not finish; what is in doubt without a journal has its lines."""
    if journal is None:
        if stats.ends[End.TIMED_OUT]:
            yield "the jobs that timed out run on: dli-async wait JOB_ID"
        return
    open_ends = [str(end) for end in _OPEN if stats.ends[end]]
    if open_ends:
        yield f"the same command line goes on with what is {' or '.join(open_ends)}"
    failed = [outcome for outcome in outcomes if isinstance(outcome.error, JobFailed)]
    if failed:
        attempts = max(outcome.attempts for outcome in failed) + 1
        yield (
            f"--attempts {attempts} would try {counted(len(failed), 'failed job')} again, each in "
            "a fresh folder"
        )


def _summary(
    outcomes: Sequence[ExportOutcome], stats: RunStats, journal: Path | None
) -> RenderableType:
    totals = fields_text(
        {
            "exports": stats.counts(),
            "known before": f"{stats.resumed:,}" if stats.resumed else None,
            "amounts": stats.amounts(),
            "verified": _count(outcome.verified for outcome in outcomes),
            "fetched": _count(outcome.fetched_to is not None for outcome in outcomes),
            "time": f"{span_text(stats.seconds)}, {stats.pace()}",
            "journal": journal,
        }
    )
    unhappy = [outcome for outcome in outcomes if not outcome.ok]
    if not unhappy:
        return totals
    table = plain_table("table", "end", "job_id", "why")
    for outcome in unhappy:
        end = End.of(outcome)
        table.add_row(outcome.spec.label, end, cell(outcome.job_id), cell(outcome.error))
    return Group(table, "", totals)


def _count(done: Iterable[bool]) -> str | None:
    """How many there are, for people; None if none."""
    count = sum(done)
    return f"{count:,}" if count else None


def _document(outcome: ExportOutcome) -> dict[str, Any]:
    result = outcome.result
    return {
        **dump_spec(outcome.spec),
        "data_path": result.data_path if result else outcome.spec.data_path,
        "end": End.of(outcome).name.lower(),
        "job_id": outcome.job_id,
        "row_count": result.row_count if result else None,
        "input_size": result.input_size if result else None,
        "started_at": result.started_at if result else None,
        "duration": result.duration if result else None,
        "attempts": outcome.attempts,
        "resumed": outcome.resumed,
        "verified": outcome.verified,
        "fetched_to": outcome.fetched_to,
        **_why(outcome.error),
    }


def _why(error: Exception | None) -> dict[str, Any]:
    if error is None:
        return {"token": None, "error": None}
    failure = Failure.of(error)
    told = {"type": failure.kind, "message": str(error), **failure.details}
    return {"token": failure.token, "error": told}


def left_behind(output: Output, jobs: Sequence[ExportJob], journal: Path | None) -> str:
    """What a run that stopped early leaves at the service, and how to go on, in one line.

    Without a journal each job gets a line on stderr before.
    """
    if journal is None:
        for job in jobs:
            fate = "runs on" if job.job_id else "may have been accepted"
            output.note(f"{job.spec}: {fate}: {resume_with(job)}")
    under_way = f"{counted(len(jobs), 'export')} {are(len(jobs))} under way"
    count = under_way if jobs else "no export is under way"
    if journal is not None:
        hint = f"resume with the same command line, which goes on with journal {journal}"
    elif jobs:
        those = "it is" if len(jobs) == 1 else "they are"
        hint = f"{those} listed above; the same command line would export all tables again"
    else:
        hint = "there is no journal, so the same command line begins anew"
    return f"{count}; {hint}"


def interrupted(output: Output, jobs: Sequence[ExportJob], journal: Path | None) -> Failure:
    """What an interrupt of a bulk run leaves behind."""
    return Failure(
        code=Exit.INTERRUPTED,
        kind="Interrupted",
        message=f"interrupted; {left_behind(output, jobs, journal)}",
        details={"running": [_left(job) for job in jobs]},
    )


def _left(job: ExportJob) -> dict[str, Any]:
    return {"job_id": job.job_id, "token": job.token, "spec": job.spec}
