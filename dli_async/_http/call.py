"""A request as its caller means it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

Params = Mapping[str, str | int | bool | None]


@dataclass(frozen=True)
class Call:
    """One request as its caller means it; the wire form is made anew for every try."""

    method: str
    path: str
    params: Params | None = None
    body: Mapping[str, Any] | None = None

    def target(self) -> str:
        """Path and canonical query: sorted and percent-encoded, as they are signed and sent."""
        if not self.params:
            return self.path
        pairs = [
            f"{quote(name, safe='~')}={quote(_word(value), safe='~')}"
            for name, value in sorted(self.params.items())
            if value is not None
        ]
        return f"{self.path}?{'&'.join(pairs)}" if pairs else self.path


def _word(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
