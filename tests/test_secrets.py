"""Secrets never show: not in logs, errors, reprs, tokens or the emulator's ledger."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import httpx
import pytest

from dli_async import AkSk, DliClient, DliError, ExportJob, IamToken, StaticToken
from dli_async.emulator import ACCESS_KEY, PROJECT_ID, SECRET_KEY, TOKEN, Emulator

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
    emulator = Emulator(run=0.01, launch=0.0)
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
