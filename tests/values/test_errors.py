"""The tree of errors: who is whose kind, what each carries, and that they travel."""

from __future__ import annotations

import pickle
import re

import pytest

import dli_async
from dli_async import (
    ApiError,
    ClientClosed,
    ConfigurationError,
    DliError,
    InvalidExport,
    InvalidResponse,
    JobCancelled,
    JobError,
    JobFailed,
    JobStatus,
    JobTimeout,
    NotFound,
    Problem,
    RateLimited,
    RequestNotSent,
    ResponseLost,
    StatusReport,
    SubmitInDoubt,
    TableExport,
)
from dli_async._values import errors as _errors

SPEC = TableExport(database_name="db2", table_name="t2", data_path="obs://home/a")
REPORT = StatusReport(job_id="1", status=JobStatus.FAILED, message="DLI.0999: oops")


def test_the_tree_on_the_page_is_the_tree_in_the_code() -> None:
    """The picture at the top of the module shows each error below its parent."""
    branch: list[type] = []
    shown = set()
    for indent, name in re.findall(r"^( *)\* (\w+)", _errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 2
        kind = getattr(dli_async, name)
        branch = branch[:depth]
        assert not branch or branch[-1] in kind.__bases__
        branch.append(kind)
        shown.add(kind)
    public = {getattr(dli_async, name) for name in dli_async.__all__}
    assert shown == {
        kind for kind in public if isinstance(kind, type) and issubclass(kind, Exception)
    }


def test_a_timed_out_wait_is_a_timeout_and_never_a_failed_job() -> None:
    """`except TimeoutError` catches it, `except JobFailed` does not."""
    assert issubclass(JobTimeout, TimeoutError)
    assert not issubclass(JobTimeout, JobFailed)
    assert issubclass(InvalidExport, ValueError)


def test_the_code_of_a_failed_job_is_on_the_error() -> None:
    """It is found in the message of the report; without one it is empty."""
    assert JobFailed("no", job_id="1", report=REPORT).error_code == "DLI.0999"
    assert JobFailed("no", job_id="1").error_code == ""


def test_an_api_error_without_words_is_still_readable() -> None:
    """The HTTP status is always told."""
    assert str(ApiError("", status_code=503)) == "no message (HTTP 503)"


ERRORS: list[DliError] = [
    ConfigurationError("bad"),
    ClientClosed("closed"),
    InvalidExport([Problem("data_path", "x", "must start with obs://")]),
    RequestNotSent("refused"),
    ResponseLost("reset"),
    InvalidResponse("odd", status_code=200, text="<html>", request_id="r"),
    NotFound("gone", status_code=400, error_code="DLI.0002", request_id="r"),
    RateLimited("slow", status_code=429, retry_after=3.0),
    SubmitInDoubt("doubt", spec=SPEC, found=[REPORT]),
    JobFailed("failed", job_id="1", report=REPORT),
    JobCancelled("cancelled", job_id="1", report=REPORT),
    JobTimeout("late", job_id="1", report=REPORT),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_can_be_sent_to_another_process(error: DliError) -> None:
    """A pickled error has the same words and attributes."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def test_a_pickled_error_leaves_its_job_behind() -> None:
    """A job belongs to a client and its event loop, neither of which can travel."""
    error = JobTimeout("late", job_id="1")
    error.job = object()  # type: ignore[assignment]
    copy: JobError = pickle.loads(pickle.dumps(error))
    assert copy.job is None
    assert copy.job_id == "1"
