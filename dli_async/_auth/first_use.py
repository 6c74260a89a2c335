"""The first request of a login goes alone: one wrong key must not be refused many times.

Six failed signatures in a row lock an access key for five minutes, for everybody who uses it.
"""

from __future__ import annotations

import anyio

from .._values.errors import ApiError, AuthenticationError, PermissionDenied, twin_of

__all__ = ["FirstUse"]

# Seconds for which a refusal is remembered: sent again, six would take longer than a lock lasts.
_REFUSAL_HOLDS = 60.0


class FirstUse:
    """Lets one request with a login go, until the service has said yes or no to it.

    After a yes all others go at once; it is asked for again only after a later no. After a no,
    whoever waits or comes within a minute is refused without being sent. Without a verdict (no
    answer, trouble of the server, a cancellation) the next one goes alone.

    Args:
        needed: whether the login may be locked at all.

    Attributes:
        proven: whether requests need not wait.
    """

    def __init__(self, *, needed: bool) -> None:
        self.proven = not needed
        self._needed = needed
        self._ended: anyio.Event | None = None
        self._refusal: AuthenticationError | None = None
        self._refused_at = 0.0

    async def enter(self) -> bool:
        """Waits until a request may go; True if it goes alone and is to `leave`.

        Raises:
            AuthenticationError: the login was refused; nothing was sent.
        """
        while not self.proven:
            self._raise_refusal()
            if self._ended is None:
                self._ended = anyio.Event()
                return True
            await self._ended.wait()
        return False

    def leave(self) -> None:
        """Lets the others go on when the one that goes alone has ended."""
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def heed(self, error: BaseException | None) -> None:
        """Takes the verdict out of what became of a request; None is an answer."""
        if isinstance(error, AuthenticationError):
            self.proven = not self._needed
            self._refusal, self._refused_at = twin_of(error), anyio.current_time()
        elif not self.proven:
            self.proven = error is None or _came_through(error)

    def _raise_refusal(self) -> None:
        if self._refusal and anyio.current_time() - self._refused_at < _REFUSAL_HOLDS:
            refusal = twin_of(self._refusal)
            refusal.add_note("not sent: the login has just been refused")
            raise refusal


def _came_through(error: BaseException) -> bool:
    """Whether an error comes from behind the gateway, which takes no login that is wrong."""
    if isinstance(error, PermissionDenied):
        return True
    return isinstance(error, ApiError) and error.error_code.startswith("DLI.")
