"""Export, status, wait, cancel and jobs, with what they print and their exit codes."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from dli_async import JobRow, JobStatus, RequestNotSent, SubmitInDoubt, TableExport
from dli_async.cli._exports import jobs as _jobs
from dli_async.cli._shell.failures import Failure

from .conftest import Cli, Server, error_line

LOST = {"route": "export-table", "when": "after", "kind": "reset"}
BLIND = {"route": "list-jobs", "kind": "list-refused"}


def _submitted(server: Server, number: int = 1) -> str:
    """The id of a job, submitted without waiting."""
    result = Cli(server)("export", f"db1.t{number}", f"obs://b/t{number}", "--no-wait")
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def _spec(server: Server) -> Any:
    [job] = server.ledger()["jobs"]
    return job["spec"]


def test_export_waits_and_tells_the_result(quick: Server) -> None:
    """A finished export exits with 0 and tells rows, bytes and times in one document."""
    document = Cli(quick).json("export", "db1.t1", "obs://bucket/t1")
    assert document["status"] == "FINISHED"
    assert (document["database_name"], document["table_name"]) == ("db1", "t1")
    assert document["row_count"] > 0
    assert datetime.fromisoformat(document["started_at"]).tzinfo
    assert document["duration"] >= 0
    assert document["job_id"] == quick.ledger()["jobs"][0]["job_id"]


def test_export_for_people_tells_progress_on_stderr(quick: Server) -> None:
    """Without --json stdout has the result as lines, and stderr the states on the way."""
    result = Cli(quick)("export", "db1.t1", "obs://bucket/t1")
    assert result.exit_code == 0
    assert "data_path:     obs://bucket/t1" in result.stdout.splitlines()
    assert result.stderr.endswith(": FINISHED\n")


def test_export_sends_every_option(quick: Server) -> None:
    """All options reach the service under the names of the API; words in any case."""
    Cli(quick).json(
        *("export", "db1.t1", "obs://bucket/t1", "--data-type", "JSON", "--compress", "Gzip"),
        *("--mode", "overwrite", "--header", "--queue", "queue1", "--no-wait"),
    )
    assert _spec(quick) == {
        "data_path": "obs://bucket/t1",
        "data_type": "json",
        "database_name": "db1",
        "table_name": "t1",
        "compress": "gzip",
        "queue_name": "queue1",
        "export_mode": "Overwrite",
        "with_column_header": True,
    }


def test_no_wait_prints_nothing_but_the_id(endless: Server) -> None:
    """The output of --no-wait can be given to other commands as it is."""
    job_id = _submitted(endless)
    assert job_id == endless.ledger()["jobs"][0]["job_id"]


def test_no_wait_json_has_id_and_token(endless: Server) -> None:
    """With --json the token is told too, and `wait` and `status` take it for an id."""
    cli = Cli(endless)
    document = cli.json("export", "db1.t1", "obs://bucket/t1", "--no-wait")
    assert cli.json("status", document["token"])["job_id"] == document["job_id"]


def test_a_failed_export_exits_with_1(quick: Server) -> None:
    """A job that fails is told with its reason and its DLI code."""
    quick.fail({"route": "*", "kind": "fail:DLI.0999"})
    document = Cli(quick).json("export", "db1.t1", "obs://bucket/t1", code=1)
    assert document["status"] == "FAILED"
    assert document["job_id"]
    assert document["error"]["type"] == "JobFailed"
    assert document["error"]["error_code"] == "DLI.0999"


def test_status_of_a_failed_job_exits_with_1(quick: Server) -> None:
    """`status` and `wait` say by their exit code that a job failed."""
    quick.fail({"route": "*", "kind": "fail:DLI.0999"})
    cli, job_id = Cli(quick), _submitted(quick)
    cli.json("wait", job_id, code=1)
    assert cli.json("status", job_id, code=1)["status"] == "FAILED"


def test_status_of_a_running_job_exits_with_0(endless: Server) -> None:
    """One look at a running job tells its state, also as lines."""
    cli, job_id = Cli(endless), _submitted(endless)
    assert cli.json("status", job_id)["status"] == "RUNNING"
    result = cli("status", job_id)
    assert result.exit_code == 0
    assert "RUNNING" in result.stdout


def test_status_tells_the_state_once_and_the_folder(endless: Server) -> None:
    """The folder is that of the token, or what the service tells, or left out."""
    cli = Cli(endless)
    document = cli.json("export", "db1.t1", "obs://bucket/t1", "--no-wait")
    lines = cli("status", document["job_id"]).stdout.split()
    assert lines.count("RUNNING") == 1
    assert lines[lines.index("data_path:") + 1] == "obs://bucket/t1"
    endless.fail({"route": "detail", "kind": "status:403"})
    assert cli.json("status", document["token"])["data_path"] == "obs://bucket/t1"
    assert cli.json("status", document["job_id"])["data_path"] is None
    endless.fail({"route": "*", "kind": "unknown-status"})
    assert "raw_status:" in cli("status", document["job_id"]).stdout


def test_a_failed_job_without_a_reason_says_so() -> None:
    """In a list and alone; what did not fail has no such words, and a schema is not for people."""
    report = {"job_id": "j", "message": ""}
    failed = JobRow(**report, status=JobStatus.FAILED)
    assert _jobs._with_reason(failed).message == "no reason given"
    assert _jobs._shown(dict(failed))["message"] == "no reason given"
    finished = JobRow(**report, status=JobStatus.FINISHED)
    assert _jobs._with_reason(finished).message is None
    told = failed.model_copy(update={"message": "DLI.0999", "detail": "{...}"})
    assert _jobs._with_reason(told).message == _jobs._shown(dict(told))["message"] == "DLI.0999"
    assert "detail" not in _jobs._shown(dict(told))


def test_wait_resumes_a_job_by_its_id(quick: Server) -> None:
    """`wait` needs nothing but the id."""
    document = Cli(quick).json("wait", _submitted(quick))
    assert (document["status"], document["table_name"]) == ("FINISHED", "t1")


@pytest.mark.parametrize("command", ["wait", "export"])
def test_a_wait_that_is_over_exits_with_3_and_says_how_to_go_on(
    command: str, endless: Server
) -> None:
    """On timeout the job runs on, and one line has its id and the command that resumes."""
    given = [_submitted(endless)] if command == "wait" else ["db1.t1", "obs://bucket/t1"]
    result = Cli(endless)(command, *given, "--timeout", "0.2")
    [job] = endless.ledger()["jobs"]
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-1].endswith(f"resume with: dli-async wait {job['job_id']}")
    assert job["state"] == "RUNNING"


def test_a_timeout_tells_id_and_token_in_json(endless: Server) -> None:
    """Scripts find what they need to resume in the document."""
    document = Cli(endless).json("wait", _submitted(endless), "--timeout", "0.1", code=3)
    assert document["job_id"] in document["token"]
    assert document["error"]["type"] == "JobTimeout"
    assert document["error"]["exit_code"] == 3


def test_on_timeout_cancel_cancels_the_job(endless: Server) -> None:
    """With --on-timeout cancel the job ends, and nobody is told to resume it."""
    args = ("--timeout", "0.3", "--on-timeout", "cancel")
    result = Cli(endless)("export", "db1.t1", "obs://bucket/t1", *args)
    assert result.exit_code == 3
    assert "resume" not in result.stderr
    assert endless.ledger()["jobs"][0]["state"] == "CANCELLED"


def test_cancel_confirms_the_end(endless: Server) -> None:
    """`cancel` exits with 0 when the service says CANCELLED, and waiting for it with 1."""
    cli, job_id = Cli(endless), _submitted(endless)
    document = cli.json("cancel", job_id)
    assert document == {"job_id": job_id, "outcome": "cancelled", "status": "CANCELLED"}
    result = cli("wait", job_id)
    assert result.exit_code == 1
    assert "CANCELLED" in result.stderr


def test_cancel_of_an_ended_job_says_so(quick: Server) -> None:
    """A job that had ended is not called cancelled."""
    cli, job_id = Cli(quick), _submitted(quick)
    cli.json("wait", job_id)
    assert cli.json("cancel", job_id)["outcome"] == "already ended"


def test_a_cancel_that_is_not_confirmed_exits_with_3(endless: Server) -> None:
    """When the service takes too long to cancel, the outcome says so."""
    job_id = _submitted(endless)
    endless.fail({"route": "*", "kind": "slow-cancel:1000"})
    document = Cli(endless).json("cancel", job_id, "--timeout", "0.2", code=3)
    assert document["outcome"] == "not confirmed"


def test_a_submit_in_doubt_exits_with_5_and_its_token_resumes(quick: Server) -> None:
    """If the answer is lost and looking is impossible the token is printed; `wait` adopts the job
    that it made, and nothing is submitted twice."""
    quick.fail(LOST, BLIND)
    cli = Cli(quick)
    result = cli("export", "db1.t1", "obs://bucket/t1")
    assert result.exit_code == 5
    line = result.stderr.splitlines()[-1]
    *_, token = shlex.split(line[line.index("dli-async wait") :])
    quick.fail()
    document = cli.json("wait", token)
    [job] = quick.ledger()["jobs"]
    assert document["job_id"] == job["job_id"]


def test_doubt_in_json_has_the_token(quick: Server) -> None:
    """The document of a submit in doubt has the token and what was found."""
    quick.fail(LOST, BLIND)
    document = Cli(quick).json("export", "db1.t1", "obs://bucket/t1", "--no-wait", code=5)
    assert (document["job_id"], document["error"]["found"]) == (None, [])
    assert "departure" in document["token"]


def test_several_jobs_that_could_be_the_export_are_named(endless: Server) -> None:
    """`wait TOKEN` that finds two says which, and how to go on with one; so does the document."""
    endless.fail(LOST, BLIND)
    cli = Cli(endless)
    args = ("export", "db1.t1", "obs://bucket/t1", "--mode", "overwrite", "--no-wait")
    token = cli.json(*args, code=5)["token"]
    endless.fail()
    cli(*args)
    ids = {job["job_id"] for job in endless.ledger()["jobs"]}
    result = cli("wait", token)
    assert result.exit_code == 5
    advice = "dli-async status JOB_ID tells of each, dli-async wait JOB_ID waits for the right one"
    orders = [f"it may be job {one} or {two}: {advice}" for one, two in permutations(ids)]
    assert any(order in error_line(result) for order in orders)
    assert set(cli.json("wait", token, code=5)["error"]["found"]) == ids


def test_of_many_candidates_a_line_names_the_first() -> None:
    """The line stays one that can be read."""
    rows = [JobRow(job_id=f"j{n}", status=JobStatus.RUNNING) for n in range(8)]
    spec = TableExport(database_name="d", table_name="t", data_path="obs://b/t")
    failure = Failure.of(SubmitInDoubt("in doubt", spec=spec, found=rows))
    assert "it may be job j0 or j1 or j2 or j3 or j4 or 3 more: " in failure.message
    assert failure.details["found"] == [f"j{n}" for n in range(8)]


def test_a_spec_that_breaks_a_rule_exits_with_2(quick: Server) -> None:
    """Nothing is sent for an export that breaks a rule, which is named."""
    result = Cli(quick)("export", "db1.t1", "obs://bucket")
    assert result.exit_code == 2
    assert "data_path='obs://bucket'" in error_line(result)
    assert quick.ledger()["jobs"] == []


def test_precheck_names_what_is_missing(quick: Server) -> None:
    """--precheck finds a missing table before anything is submitted."""
    result = Cli(quick)("export", "db1.nothing", "obs://bucket/t", "--precheck")
    assert result.exit_code == 2
    assert "no such table" in error_line(result)


def test_a_bad_token_exits_with_2(quick: Server) -> None:
    """Text that looks like a token and is none is refused before anything is sent."""
    result = Cli(quick)("wait", "{nonsense")
    assert result.exit_code == 2
    assert "ExportJob.token" in error_line(result)


def test_a_refusal_of_the_service_exits_with_4(quick: Server) -> None:
    """An error of the service is one line with its code and request id, and so is the document."""
    cli = Cli(quick)
    result = cli("export", "db1.nothing", "obs://bucket/t")
    assert result.exit_code == 4
    assert "DLI.0002" in error_line(result)
    document = cli.json("status", "no-such-job", code=4)
    assert document["error"]["status_code"] == 400
    assert document["error"]["request_id"]


def test_errors_of_login_and_network_name_what_to_set(endless: Server) -> None:
    """The line says which variables and options lead to the service."""
    endless.fail({"route": "*", "kind": "status:401"})
    line = error_line(Cli(endless)("jobs"))
    assert line.endswith(
        "; log in with DLI_TOKEN, or with HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"
    )
    failure = Failure.of(RequestNotSent("cannot connect"))
    assert failure.message == (
        "cannot connect; the endpoint is that of --endpoint, DLI_ENDPOINT, --region or DLI_REGION"
    )


def test_losing_the_login_in_mid_wait_says_how_to_resume(endless: Server) -> None:
    """When a wait ends for another reason than the job, the job may still run."""
    job_id = _submitted(endless)
    endless.fail({"route": "status", "kind": "status:403"})
    result = Cli(endless)("wait", job_id)
    assert result.exit_code == 4
    assert error_line(result).endswith(f"resume with: dli-async wait {job_id}")


def test_jobs_are_listed_newest_first_and_filtered(endless: Server) -> None:
    """Filters go to the service; --limit ends the list."""
    cli = Cli(endless)
    ids = [_submitted(endless, number) for number in (1, 2, 3)]
    cli.json("cancel", ids[0])
    assert {row["job_id"] for row in cli.json("jobs")} == set(ids)
    assert [row["job_id"] for row in cli.json("jobs", "--status", "cancelled")] == ids[:1]
    assert len(cli.json("jobs", "--limit", "2")) == 2
    assert cli.json("jobs", "--queue", "queue2") == []
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert cli.json("jobs", "--since", later) == []
    assert len(cli.json("jobs", "--until", later, "--owner", "emulator")) == 3


def test_a_moment_without_a_zone_is_local_time(endless: Server) -> None:
    """`--since` takes a plain date."""
    _submitted(endless)
    assert len(Cli(endless).json("jobs", "--since", "2020-01-31")) == 1


def test_jobs_for_people_are_a_table_that_is_never_cut(endless: Server) -> None:
    """A piped table has whole ids, a header, and no blanks at the end of its lines."""
    job_id = _submitted(endless)
    lines = Cli(endless)("jobs").stdout.splitlines()
    assert lines[0].startswith("job_id")
    assert lines[1].startswith(job_id)
    assert all(line == line.rstrip() for line in lines)
