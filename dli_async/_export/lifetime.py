"""Whether a client may be used: it is opened once, and for one event loop."""

from __future__ import annotations

from enum import Enum

import anyio.lowlevel

from .._values.errors import ClientClosed, ConfigurationError


class _State(Enum):
    NEW = "is not open yet: use it inside `async with`"
    OPEN = "is open"
    CLOSED = "is closed"


class Lifetime:
    """The state of one client, which errors call `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._state = _State.NEW
        self._loop: object = None

    def begin(self) -> None:
        """Ties the client to this event loop.

        Raises:
            ClientClosed: it was opened before.
        """
        if self._state is not _State.NEW:
            raise ClientClosed(f"{self._name}: a client is opened once; make a new one")
        self._loop = anyio.lowlevel.current_token()

    def open(self) -> None:
        """It may be used from now on."""
        self._state = _State.OPEN

    def close(self) -> None:
        """It may be used no more."""
        self._state = _State.CLOSED

    def check(self) -> None:
        """Lets whoever uses the client pass, or not.

        Raises:
            ClientClosed: outside `async with`.
            ConfigurationError: called on another event loop than the client was opened on.
        """
        if self._state is not _State.OPEN:
            raise ClientClosed(f"{self._name} {self._state.value}")
        if anyio.lowlevel.current_token() != self._loop:
            raise ConfigurationError(
                f"{self._name} was opened on another event loop: make one for each"
            )
