"""Runs the work of a command: until it is done, fails, or a signal says to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import NoReturn

import anyio
from anyio.abc import TaskStatus

from .failures import Exit, Failure
from .output import Output

_log = logging.getLogger("dli_async.cli")

Work = Callable[[], Awaitable[Exit]]


def run(
    output: Output, work: Work, interrupted: Callable[[], Failure] = Failure.interrupted
) -> Exit:
    """Runs `work` on an event loop and returns the exit code; errors become one line.

    The first SIGINT, SIGTERM or SIGHUP cancels it and lets it clean up, a second one does not wait.

    Args:
        interrupted: tells what is left behind when a signal ended the work.
    """

    def work_through() -> Exit:
        code = anyio.run(_until_signal, output, work)
        return output.fail(interrupted()) if code is None else code

    return guarded(output, work_through, interrupted)


def guarded(
    output: Output,
    call: Callable[[], Exit],
    interrupted: Callable[[], Failure] = Failure.interrupted,
) -> Exit:
    """Calls `call` and returns its exit code; an error becomes one line and its code."""
    with output.log():
        try:
            return call()
        except KeyboardInterrupt:
            return output.fail(interrupted())
        except Exception as error:
            return _fail(output, error)


async def _until_signal(output: Output, work: Work) -> Exit | None:
    code: Exit | None = None
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as working:
            await tasks.start(_cancel_on_signal, working)
            try:
                code = await work()
            except Exception as error:
                # Here, because the group would wrap it.
                code = _fail(output, error)
        tasks.cancel_scope.cancel()
    return code


def _fail(output: Output, error: Exception) -> Exit:
    _log.debug("the command failed", exc_info=error)
    return output.fail(Failure.of(error))


async def _cancel_on_signal(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        # Only the main thread gets signals; on Windows Ctrl-C is a KeyboardInterrupt.
        task_status.started()
        return
    with anyio.open_signal_receiver(*_stops()) as signals:
        task_status.started()
        await anext(signals)
        scope.cancel()
        await anext(signals)
        # Between two steps of the loop; left to Python it would strike in the midst of one.
        asyncio.get_running_loop().call_soon(_interrupt)


def _stops() -> list[signal.Signals]:
    """The signals that mean to stop; a hang-up does not where `nohup` says so."""
    stops = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        stops.append(signal.SIGHUP)
    return stops


def _interrupt() -> NoReturn:
    raise KeyboardInterrupt
