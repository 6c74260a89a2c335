"""Secrets never show: not in logs, errors, reprs, tokens or the emulator's ledger."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import httpx
import pytest

from dli_async import AkSk, DliClient, DliError, ExportJob, IamToken, StaticToken
from dli_async.emulator import ACCESS_KEY, PROJECT_ID, SECRET_KEY, TOKEN, Emulator, NullEngine
from dli_async.emulator.server import running

from .conftest import REAL
from .support import spec

pytestmark = pytest.mark.anyio

WRONG = "wrong-secret-0123456789"
SESSION = "session-token-0123456789abcdef"


def logins() -> list[tuple[httpx.Auth, list[str]]]:
    """Every login, good and bad, with what must never show."""
    return [
        (StaticToken(TOKEN), [TOKEN]),
        (StaticToken(WRONG), [WRONG]),
        (AkSk(ACCESS_KEY, SECRET_KEY), [SECRET_KEY]),
        (AkSk(ACCESS_KEY, WRONG), [WRONG]),
        (AkSk("nobody", WRONG, security_token=SESSION), [WRONG, SESSION]),
        (IamToken("emulator", "emulator", "emulator"), []),
        (IamToken("emulator", WRONG, "emulator"), [WRONG]),
    ]


@pytest.mark.parametrize("which", range(len(logins())))
async def test_no_output_of_a_whole_journey_holds_a_secret(
    which: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Logs at DEBUG, errors with their causes, reprs, tokens, events and the ledger are clean."""
    auth, secrets = logins()[which]
    caplog.set_level(logging.DEBUG)
    said: list[Any] = []
    emulator = Emulator(engine=NullEngine({"sales": ["orders"]}), launch=0.0, run=0.0)
    emulator.faults.set(
        [
            {"route": "export-table", "when": "after", "kind": "reset", "nth": 1},
            {"route": "status", "kind": "status:502:html", "nth": 1},
        ]
    )
    async with emulator:
        client = DliClient(
            endpoint="https://dli.cn-north-4.myhuaweicloud.com",
            project_id=PROJECT_ID,
            auth=auth,
            transport=emulator.transport(),
            on_event=said.append,
        )
        async with client:
            job = ExportJob(client, spec(database_name="sales", table_name="orders"))
            try:
                said.append(await job)
            except DliError as error:
                said += [error, "".join(traceback.format_exception(error)), vars(error)]
            said += [client, auth, job, job.token, client.login, client.detached]
        ledger = json.dumps(emulator.ledger.as_dict())
    everything = "\n".join([*map(repr, said), *map(str, said), caplog.text, ledger])
    issued = [value for value in everything.split() if value.startswith("X-Subject-Token")]
    assert issued == []
    for secret in secrets:
        assert secret not in everything


@pytest.mark.parametrize("anyio_backend", REAL, indirect=True)
async def test_no_log_of_the_libraries_below_holds_a_token(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At DEBUG, over real HTTP, the token that IAM gave stands in no header that is logged."""
    caplog.set_level(logging.DEBUG)
    emulator = Emulator(engine=NullEngine({"db2": ["t2"]}), launch=0.0, run=0.01)
    async with running(emulator) as url:
        monkeypatch.setenv("HUAWEICLOUD_SDK_IAM_ENDPOINT", url)
        auth = IamToken("emulator", "emulator", "emulator")
        async with DliClient(endpoint=url, project_id=PROJECT_ID, auth=auth) as client:
            await client.export(spec())
    assert emulator.ledger.requests["iam-token"] == 1
    assert "subject-token" not in caplog.text.lower()
    assert "x-auth-token" not in caplog.text.lower()
