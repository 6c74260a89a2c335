"""The text from which another process makes a job again: versioned JSON without secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .._values.errors import ConfigurationError
from .._values.spec import TableExport

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class SavedJob:
    """What is worth keeping of a job.

    `export_id` tells exports apart that have no job id yet; `doubted_at` is when a POST of
    unknown fate left, in seconds since 1970.
    """

    export_id: str | None = None
    job_id: str | None = None
    spec: TableExport | None = None
    doubted_at: float | None = None

    def to_text(self) -> str:
        """The token."""
        fields = {
            "v": VERSION,
            "export_id": self.export_id,
            "job_id": self.job_id,
            "spec": self.spec.body() if self.spec else None,
            "doubted_at": self.doubted_at,
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
        except (ValueError, TypeError, KeyError):
            raise ConfigurationError(
                f"token={token[:40]!r}: must be the text of ExportJob.token"
            ) from None
        if version != VERSION:
            raise ConfigurationError(f"token of version {version!r}: must be {VERSION}")
        export_id, job_id = fields.get("export_id"), fields.get("job_id")
        spec, doubted_at = fields.get("spec"), fields.get("doubted_at")
        if spec is None and job_id is None:
            raise ConfigurationError("token: must hold a job id or a spec")
        if not isinstance(job_id, str | None) or not isinstance(export_id, str | None):
            raise ConfigurationError("token: job_id and export_id must be text")
        if not isinstance(doubted_at, int | float | None):
            raise ConfigurationError("token: doubted_at must be a number")
        valid = TableExport.model_validate(spec) if spec is not None else None
        return cls(export_id=export_id, job_id=job_id, spec=valid, doubted_at=doubted_at)
