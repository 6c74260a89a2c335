"""The text from which another process makes a job again: versioned JSON without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._values.errors import ConfigurationError
from .._values.spec import ExportSpec, dump_spec, read_spec
from .departure import Departure, Moment

# 2 tells of a POST of unknown fate when it left, first and last, by two clocks; 1 told by one
# clock when its first try was due.
VERSION = 2
_READABLE = (1, 2)
_LATEST = 1e11  # seconds since 1970: the year 5138


@dataclass(frozen=True, kw_only=True)
class SavedJob:
    """What is worth keeping of a job.

    `export_id` tells exports apart that have no job id yet; `departure` is when POSTs of unknown
    fate may have left.
    """

    export_id: str | None = None
    job_id: str | None = None
    spec: ExportSpec | None = None
    departure: Departure | None = None

    def to_text(self) -> str:
        """The token."""
        fields = {
            "v": VERSION,
            "export_id": self.export_id,
            "job_id": self.job_id,
            "spec": dump_spec(self.spec) if self.spec else None,
            "departure": _dumped(self.departure) if self.departure else None,
        }
        return json.dumps({key: value for key, value in fields.items() if value is not None})

    @classmethod
    def from_text(cls, token: str) -> SavedJob:
        """Reads a token.

        Raises:
            TypeError: it is not text.
            ConfigurationError: it is not a token, or of another version.
            InvalidExport: its spec breaks a rule.
        """
        if not isinstance(token, str):
            raise TypeError(f"token must be text (ExportJob.token), not {type(token).__name__}")
        try:
            fields = json.loads(token)
            version = fields["v"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ConfigurationError(
                f"token of {len(token)} characters: must be the text of ExportJob.token"
            ) from None
        if version not in _READABLE:
            known = " or ".join(map(str, _READABLE))
            raise ConfigurationError(f"token of version {version!r}: must be {known}")
        export_id, job_id, spec = fields.get("export_id"), fields.get("job_id"), fields.get("spec")
        if spec is None and job_id is None:
            raise ConfigurationError("token: must hold a job id or a spec")
        if not isinstance(job_id, str | None) or not isinstance(export_id, str | None):
            raise ConfigurationError("token: job_id and export_id must be text")
        return cls(
            export_id=export_id,
            job_id=job_id,
            spec=read_spec(spec) if spec is not None else None,
            departure=_departure(fields),
        )


def _dumped(departure: Departure) -> dict[str, dict[str, float]]:
    """Times in seconds since 1970, by this machine's clock and by the service's."""
    return {"earliest": _times(departure.earliest), "latest": _times(departure.latest)}


def _times(moment: Moment) -> dict[str, float]:
    by_server = {} if moment.server is None else {"server": moment.server}
    return {"wall": moment.wall, **by_server}


def _departure(fields: Mapping[str, Any]) -> Departure | None:
    doubted_at, departure = fields.get("doubted_at"), fields.get("departure")
    if departure is None:
        if doubted_at is None:
            return None
        return Departure.at(Moment(_seconds("doubted_at", doubted_at)))
    if not isinstance(departure, dict):
        raise ConfigurationError("token: departure must hold earliest and latest")
    return Departure(_moment(departure, "earliest"), _moment(departure, "latest"))


def _moment(departure: Mapping[str, Any], name: str) -> Moment:
    times = departure.get(name)
    if not isinstance(times, dict):
        raise ConfigurationError(f"token: departure must hold {name}")
    server = times.get("server")
    return Moment(
        _seconds("wall", times.get("wall")),
        None if server is None else _seconds("server", server),
    )


def _seconds(name: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < _LATEST:
        raise ConfigurationError(f"token: {name} must be a number of seconds since 1970")
    return float(value)
