"""What to export: a table, what a query gives, or the result of a finished query.

Each knows how it is posted and how a job is recognised as its own; nobody else tells them apart.
"""

from .any_spec import AnySpec as AnySpec
from .any_spec import dump_spec as dump_spec
from .any_spec import read_spec as read_spec
from .base import ExportSpec as ExportSpec
from .posting import Claim as Claim
from .posting import Posting as Posting
from .query import QueryExport as QueryExport
from .result import ResultExport as ResultExport
from .table import TableExport as TableExport
