"""Errors in words for callers, who are not to learn how this server talks to DLI."""

from __future__ import annotations

import re

from .._values import errors as errors

# Their words tell of this server: files, addresses, set-up.
INTERNAL = (
    errors.JournalError,
    errors.ClientClosed,
    errors.ConfigurationError,
    errors.RequestError,
)
_UNAVAILABLE = "the service cannot be used right now"

# The gateway repeats the request that it has checked, with project, host and signed headers. Its
# line breaks come as `|`; only what stands after it in brackets, by us, is told.
_CANONICAL = re.compile(
    r"[\s,;.]*\b(?:canonical[ _]?request|string[ _]?to[ _]?sign)\b.*?"
    r"(?P<end>\(HTTP [0-9]{3}[^()]*\)|$)",
    re.IGNORECASE | re.DOTALL,
)


def words_for(error: errors.DliError) -> str:
    """What a caller is told of an error: code, message and request id, and nothing of this server.

    All of it is for the log.
    """
    return _UNAVAILABLE if isinstance(error, INTERNAL) else without_request(str(error))


def without_request(text: str) -> str:
    """A message of the gateway without the request that it repeats."""
    return _CANONICAL.sub(lambda match: f" {match['end']}".rstrip(), text)
