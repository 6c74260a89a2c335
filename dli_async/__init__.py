"""The asyncio (and trio) client for table exports of Huawei Cloud DLI."""

from ._auth import AkSk as AkSk
from ._auth import CredentialChain as CredentialChain
from ._auth import IamToken as IamToken
from ._auth import StaticToken as StaticToken
from ._client import DliClient as DliClient
from ._errors import AlreadyExists as AlreadyExists
from ._errors import ApiError as ApiError
from ._errors import AuthenticationError as AuthenticationError
from ._errors import ClientClosed as ClientClosed
from ._errors import ConfigurationError as ConfigurationError
from ._errors import DliError as DliError
from ._errors import InvalidExport as InvalidExport
from ._errors import InvalidResponse as InvalidResponse
from ._errors import JobCancelled as JobCancelled
from ._errors import JobError as JobError
from ._errors import JobFailed as JobFailed
from ._errors import JobTimeout as JobTimeout
from ._errors import JournalError as JournalError
from ._errors import NotFound as NotFound
from ._errors import PermissionDenied as PermissionDenied
from ._errors import Problem as Problem
from ._errors import QuotaExceeded as QuotaExceeded
from ._errors import RateLimited as RateLimited
from ._errors import RequestError as RequestError
from ._errors import RequestNotSent as RequestNotSent
from ._errors import ResponseLost as ResponseLost
from ._errors import ServerError as ServerError
from ._errors import SubmitInDoubt as SubmitInDoubt
from ._events import AdoptionEvent as AdoptionEvent
from ._events import EndEvent as EndEvent
from ._events import Event as Event
from ._events import LookEvent as LookEvent
from ._events import RequestEvent as RequestEvent
from ._events import RetryEvent as RetryEvent
from ._events import StatusEvent as StatusEvent
from ._events import SubmitEvent as SubmitEvent
from ._job import ExportJob as ExportJob
from ._models import CancelOutcome as CancelOutcome
from ._models import Compress as Compress
from ._models import DataType as DataType
from ._models import ExportAccepted as ExportAccepted
from ._models import ExportMode as ExportMode
from ._models import ExportResult as ExportResult
from ._models import JobRow as JobRow
from ._models import JobStatus as JobStatus
from ._models import StatusReport as StatusReport
from ._models import TableExport as TableExport
from ._policies import PollPolicy as PollPolicy
from ._policies import RetryPolicy as RetryPolicy
from ._policies import SubmitPolicy as SubmitPolicy
from ._polling import StatusEndpoint as StatusEndpoint
from ._polling import StatusSource as StatusSource
from ._rows import Column as Column
from ._rows import DatabaseRow as DatabaseRow
from ._rows import JobDetail as JobDetail
from ._rows import JobProgress as JobProgress
from ._rows import QueueRow as QueueRow
from ._rows import SubJob as SubJob
from ._rows import TableDescription as TableDescription
from ._rows import TableRow as TableRow

__all__ = (
    "AdoptionEvent",
    "AkSk",
    "AlreadyExists",
    "ApiError",
    "AuthenticationError",
    "CancelOutcome",
    "ClientClosed",
    "Column",
    "Compress",
    "ConfigurationError",
    "CredentialChain",
    "DataType",
    "DatabaseRow",
    "DliClient",
    "DliError",
    "EndEvent",
    "Event",
    "ExportAccepted",
    "ExportJob",
    "ExportMode",
    "ExportResult",
    "IamToken",
    "InvalidExport",
    "InvalidResponse",
    "JobCancelled",
    "JobDetail",
    "JobError",
    "JobFailed",
    "JobProgress",
    "JobRow",
    "JobStatus",
    "JobTimeout",
    "JournalError",
    "LookEvent",
    "NotFound",
    "PermissionDenied",
    "PollPolicy",
    "Problem",
    "QueueRow",
    "QuotaExceeded",
    "RateLimited",
    "RequestError",
    "RequestEvent",
    "RequestNotSent",
    "ResponseLost",
    "RetryEvent",
    "RetryPolicy",
    "ServerError",
    "StaticToken",
    "StatusEndpoint",
    "StatusEvent",
    "StatusReport",
    "StatusSource",
    "SubJob",
    "SubmitEvent",
    "SubmitInDoubt",
    "SubmitPolicy",
    "TableDescription",
    "TableExport",
    "TableRow",
)

for _value in list(globals().values()):  # tracebacks name the import path that users type
    if isinstance(_value, type) and issubclass(_value, DliError):
        _value.__module__ = __name__
