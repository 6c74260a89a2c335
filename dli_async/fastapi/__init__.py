"""FastAPI: one client for an application, and a router that starts exports and reports on them.

    from dli_async.fastapi import ClientDep, ExportPolicy, dli_lifespan, exports_router

It needs the extra `fastapi`.
"""

from . import _extra as _extra  # first, since it tells what is missing
from ._problems import FolderInUse as FolderInUse
from ._problems import NoFiles as NoFiles
from ._problems import ProblemDetails as ProblemDetails
from ._problems import UnknownExport as UnknownExport
from ._problems import dli_error_handler as dli_error_handler
from ._views import CancelView as CancelView
from ._views import ExportEvent as ExportEvent
from ._views import ExportPage as ExportPage
from ._views import ExportsAccepted as ExportsAccepted
from ._views import ExportView as ExportView
from ._views import FilePage as FilePage
from ._views import FileView as FileView
from .lifespan import ClientDep as ClientDep
from .lifespan import DliState as DliState
from .lifespan import dli_lifespan as dli_lifespan
from .lifespan import get_client as get_client
from .policy import ExportPolicy as ExportPolicy
from .policy import PolicyViolation as PolicyViolation
from .router import exports_router as exports_router

__all__ = (
    "CancelView",
    "ClientDep",
    "DliState",
    "ExportEvent",
    "ExportPage",
    "ExportPolicy",
    "ExportView",
    "ExportsAccepted",
    "FilePage",
    "FileView",
    "FolderInUse",
    "NoFiles",
    "PolicyViolation",
    "ProblemDetails",
    "UnknownExport",
    "dli_error_handler",
    "dli_lifespan",
    "exports_router",
    "get_client",
)
