"""The stream of a bulk run's outcomes, and what opens and closes it."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from typing import Self

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream

from .._export.context import HasContext
from .._journal.journal import Journal
from .._journal.records import Records
from .._values.errors import ConfigurationError
from ._landing import HasContextAndFiles, Landing
from ._outcomes import ExportOutcome, OnEvent
from ._queues import Queues
from ._run import Run, Specs


class Outcomes:
    """The outcomes of a run, in order of completion; iterate over it once."""

    def __init__(self, run: Run, receive: MemoryObjectReceiveStream[ExportOutcome]) -> None:
        self._run = run
        self._receive = receive

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ExportOutcome:
        try:
            return await self._receive.receive()
        except anyio.EndOfStream:
            self._run.raise_failure()
            raise StopAsyncIteration from None
        except anyio.ClosedResourceError:
            raise ConfigurationError("outcomes must be read inside their `async with`") from None


@asynccontextmanager
async def export_many(
    client: HasContextAndFiles,
    specs: Specs,
    *,
    max_running: int = 32,
    max_running_per_queue: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    on_event: OnEvent | None = None,
    attempts: int = 1,
    timeout: float | None = None,
    verify: bool = False,
    fetch: str | os.PathLike[str] | None = None,
) -> AsyncGenerator[Outcomes]:
    """Runs many exports and gives their outcomes as they end.

    Two specs with the same `data_path`, or one within the other, would delete each other's files:
    the second one ends with `InvalidExport` and is not submitted. If outcomes are not read, at
    most `max_running` of them are kept, and then no more exports are started.

    Args:
        specs: an iterable or async iterable; it is read as exports are started.
        max_running: exports that are submitted and awaited at a time (default 32).
        max_running_per_queue: the same for each queue; None (default) for no limit of its own.
            Exports of other queues pass those that wait, up to a thousand of them.
        journal: a file that makes the run resumable; it is made if need be. Exports that it knows
            to have finished, or to have used up their attempts, are not sent again: their outcomes
            come from it, with `resumed=True`. Jobs that run are awaited, a submit of unknown fate
            is looked for, and what was never accepted is submitted. Exports that it knows and
            that are not among `specs` are left alone. None (default) keeps nothing.
        on_event: called with each `BulkEvent`; its errors are logged.
        attempts: jobs per export (default 1). After `JobFailed` the next one goes to a fresh
            folder beside the first, `<data_path>-attempt-2` and so on, since the failed one may
            have left files. With a journal, earlier runs count.
        timeout: seconds for each attempt, from its turn to its end; None (default) waits for ever.
            An export that takes longer ends with `JobTimeout`; its job is left alone.
        verify: whether to check the files of each export that has finished (default False); see
            `files.verify`. An export whose files are not complete ends with its result and a
            `VerificationFailed`, and is not sent again.
        fetch: a folder below which the files of each export come into one of its own, named by its
            data_path below the bucket; None (default) leaves them on OBS. Of two exports that
            would share one, the second ends with `InvalidExport`. What is not complete is not
            fetched. An export keeps its place in the run until its files are there, and `timeout`
            does not bound that. With a journal the next run checks and fetches what this one did
            not, or what did not go well, be it that OBS was out of reach; it does not export again.

    Raises:
        ConfigurationError: an argument breaks a rule, or nothing tells where OBS is.
        JournalError: the journal cannot be used, is locked by another run, or can no longer be
            written; then the run ends, as nothing may be submitted without a record.
        ClientClosed: the client is not open, or was closed during the run.
        AuthenticationError: the login was refused, which ends the run.
    """
    _check_counts(
        max_running=max_running, max_running_per_queue=max_running_per_queue, attempts=attempts
    )
    if timeout is not None and not timeout >= 0:
        raise ConfigurationError(f"timeout={timeout!r}: must not be negative")
    client.job_context.api()
    landing = Landing(client, verify, fetch)
    async with nullcontext() if journal is None else _opened(client, journal) as book:
        send, receive = anyio.create_memory_object_stream[ExportOutcome](max_running)
        run = Run(
            client,
            Queues(max_running, max_running_per_queue),
            Records(book),
            send,
            on_event=on_event,
            attempts=attempts,
            timeout=timeout,
            landing=landing,
        )
        body_error: Exception | None = None
        with receive:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run.drive, specs)
                try:
                    yield Outcomes(run, receive)
                except Exception as error:
                    # A task group would wrap it; whoever wrote the block wants it as it is.
                    body_error = error
                tasks.cancel_scope.cancel()
        if body_error is not None:
            raise body_error
        run.raise_failure()


def _check_counts(**counts: int | None) -> None:
    for name, value in counts.items():
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ConfigurationError(f"{name}={value!r}: must be a whole number of at least 1")


@asynccontextmanager
async def _opened(client: HasContext, path: str | os.PathLike[str]) -> AsyncGenerator[Journal]:
    owner = f"bulk {socket.gethostname()} {os.getpid()} {uuid.uuid4().hex[:8]}"
    async with Journal.open(path, owner=owner, exclusive=True) as journal:
        for count, job_id in enumerate(await journal.job_ids()):
            client.job_context.registry.own(job_id)
            if count % 1_000 == 0:
                await anyio.lowlevel.checkpoint()
        yield journal
