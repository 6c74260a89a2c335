"""The command that shows and checks the login."""

from __future__ import annotations

from ..._client import DliClient
from ..._values.errors import DliError
from .._shell.connection import Connection
from .._shell.failures import Exit, Failure
from .._shell.output import Output, fields_text
from .._shell.run import run


def whoami(output: Output, connection: Connection) -> Exit:
    """Shows as whom and where requests go, and checks it with one cheap call."""

    async def work() -> Exit:
        failure: Failure | None = None
        project_id: str | None = None
        async with connection.client() as client:
            try:
                project_id = await client.project_id()
                await _check_login(client)
            except DliError as error:
                failure = Failure.of(error)
            found = filter(None, (client.login, connection.token_source()))
            shown = {
                "credentials": " from ".join(found),
                "region": client.region,
                "project_id": project_id,
                "endpoint": client.endpoint,
                "accepted": failure is None,
            }
        error_part = {"error": failure.document()["error"]} if failure else {}
        output.result(shown | error_part, fields_text(shown))
        return output.complain(failure) if failure else Exit.FINISHED

    return run(output, work)


async def _check_login(client: DliClient) -> None:
    async for _ in client.databases():
        return
