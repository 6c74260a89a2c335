"""What the outcome of a POST says about the export.

DLI takes no request token, so a POST whose answer was lost may have made a job. What an outcome
means, and what follows:

| outcome of the POST                                         | verdict   | then              |
|-------------------------------------------------------------|-----------|-------------------|
| accepted, with a job id                                     | ACCEPTED  | done              |
| never left (no connection, no slot)                         | NOT_DONE  | post again        |
| refused before DLI (429; an expired token is renewed below) | NOT_DONE  | post again        |
| no answer, dropped, unreadable, 408, 5xx, DLI.0999/0012/0019 | DOUBT    | look              |
| 200 with `is_success: false` and no code that says why      | DOUBT     | look              |
| already exists, after a doubt of our own                    | DOUBT     | look, never post  |
| any other refusal                                           | REFUSED   | raise it          |
"""

from __future__ import annotations

from enum import Enum

from ..._values.errors import AlreadyExists, ApiError, DliError, RequestError, ServerError
from ..._values.policies import never_carried_out
from ..._values.reports import ExportAccepted


class Verdict(Enum):
    """What the outcome of a POST says about the export."""

    ACCEPTED = "accepted"
    NOT_DONE = "not done"
    DOUBT = "in doubt"
    REFUSED = "refused"


def judge(outcome: ExportAccepted | DliError, *, doubted_before: bool) -> Verdict:
    """The table above."""
    if isinstance(outcome, ExportAccepted):
        return Verdict.ACCEPTED
    if never_carried_out(outcome):
        return Verdict.NOT_DONE
    if isinstance(outcome, (RequestError, ServerError)):
        return Verdict.DOUBT
    if isinstance(outcome, ApiError) and outcome.status_code == 200 and not outcome.error_code:
        return Verdict.DOUBT
    if isinstance(outcome, AlreadyExists) and doubted_before:
        return Verdict.DOUBT
    return Verdict.REFUSED
