"""The public names of `dli_async`, and where each of them comes from."""

from ._auth import AkSk as AkSk
from ._auth import CredentialChain as CredentialChain
from ._auth import IamToken as IamToken
from ._auth import StaticToken as StaticToken
from ._client import DliClient as DliClient
from ._export.errors import JobCancelled as JobCancelled
from ._export.errors import JobError as JobError
from ._export.errors import JobFailed as JobFailed
from ._export.errors import JobLost as JobLost
from ._export.errors import JobTimeout as JobTimeout
from ._export.errors import SubmitInDoubt as SubmitInDoubt
from ._export.job import ExportJob as ExportJob
from ._export.submit.ways import FolderCheck as FolderCheck
from ._export.watch.polling import StatusEndpoint as StatusEndpoint
from ._export.watch.polling import StatusSource as StatusSource
from ._values.catalog import Column as Column
from ._values.catalog import DatabaseRow as DatabaseRow
from ._values.catalog import QueueRow as QueueRow
from ._values.catalog import TableDescription as TableDescription
from ._values.catalog import TableRow as TableRow
from ._values.enums import Compress as Compress
from ._values.enums import DataType as DataType
from ._values.enums import Encoding as Encoding
from ._values.enums import ExportMode as ExportMode
from ._values.enums import FileFormat as FileFormat
from ._values.enums import JobStatus as JobStatus
from ._values.errors import AlreadyExists as AlreadyExists
from ._values.errors import ApiError as ApiError
from ._values.errors import AuthenticationError as AuthenticationError
from ._values.errors import ClientClosed as ClientClosed
from ._values.errors import ConfigurationError as ConfigurationError
from ._values.errors import DliError as DliError
from ._values.errors import FolderExists as FolderExists
from ._values.errors import InvalidExport as InvalidExport
from ._values.errors import InvalidResponse as InvalidResponse
from ._values.errors import JournalError as JournalError
from ._values.errors import NotFound as NotFound
from ._values.errors import PermissionDenied as PermissionDenied
from ._values.errors import Problem as Problem
from ._values.errors import QuotaExceeded as QuotaExceeded
from ._values.errors import RateLimited as RateLimited
from ._values.errors import RequestError as RequestError
from ._values.errors import RequestNotSent as RequestNotSent
from ._values.errors import ResponseLost as ResponseLost
from ._values.errors import ResultExpired as ResultExpired
from ._values.errors import ServerError as ServerError
from ._values.events import AdoptionEvent as AdoptionEvent
from ._values.events import EndEvent as EndEvent
from ._values.events import Event as Event
from ._values.events import ExportTableGone as ExportTableGone
from ._values.events import LookEvent as LookEvent
from ._values.events import RequestEvent as RequestEvent
from ._values.events import RetryEvent as RetryEvent
from ._values.events import StatusEvent as StatusEvent
from ._values.events import SubmitEvent as SubmitEvent
from ._values.files import FilesError as FilesError
from ._values.files import VerificationFailed as VerificationFailed
from ._values.policies import PollPolicy as PollPolicy
from ._values.policies import RetryPolicy as RetryPolicy
from ._values.policies import SubmitPolicy as SubmitPolicy
from ._values.reports import ExportAccepted as ExportAccepted
from ._values.reports import JobDetail as JobDetail
from ._values.reports import JobProgress as JobProgress
from ._values.reports import JobRow as JobRow
from ._values.reports import StatusReport as StatusReport
from ._values.reports import SubJob as SubJob
from ._values.results import CancelOutcome as CancelOutcome
from ._values.results import ExportResult as ExportResult
from ._values.spec import ExportSpec as ExportSpec
from ._values.spec import QueryExport as QueryExport
from ._values.spec import ResultExport as ResultExport
from ._values.spec import TableExport as TableExport

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
    "Encoding",
    "EndEvent",
    "Event",
    "ExportAccepted",
    "ExportJob",
    "ExportMode",
    "ExportResult",
    "ExportSpec",
    "ExportTableGone",
    "FileFormat",
    "FilesError",
    "FolderCheck",
    "FolderExists",
    "IamToken",
    "InvalidExport",
    "InvalidResponse",
    "JobCancelled",
    "JobDetail",
    "JobError",
    "JobFailed",
    "JobLost",
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
    "QueryExport",
    "QueueRow",
    "QuotaExceeded",
    "RateLimited",
    "RequestError",
    "RequestEvent",
    "RequestNotSent",
    "ResponseLost",
    "ResultExpired",
    "ResultExport",
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
    "VerificationFailed",
)

for _value in list(globals().values()):  # tracebacks name the import path that users type
    if isinstance(_value, type) and issubclass(_value, DliError):
        _value.__module__ = __name__.removesuffix("._names")
