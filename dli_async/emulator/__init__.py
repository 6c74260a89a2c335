"""An embedded DLI: the same protocol, offline, honest, and it really writes the files.

    async with Emulator() as emulator, emulator.client() as client:
        result = await client.export(spec)

`dli_async.emulator.server` puts it behind a loopback port; `dli_async.emulator.faults` tells how to
make it misbehave. It answers what it does not know with 501 and the list of what it knows.

Where the documents are silent it has to guess, and nobody should build on a guess:

- An existing folder fails an ErrorIfExists job with DLI.0006 (`exists_check="submit"` refuses the
  POST instead, with the same code).
- A missing queue is DLI.0008 (the newer English documents say DLI.0002), a table that is not
  MANAGED DLI.0007, an unknown job id 400 with DLI.0002, a cancel that comes too late 400 with
  DLI.0007, a wrong content type 415, somebody else's project 403 with APIGW.0310.
- `start` and `end` of the job list include their moment; `job_count` counts all pages; a filter by
  state goes by the word that is shown.
- `start_time` is the moment of the submit. Rows are told in `result_count`. `statement` is empty.
- A job is LAUNCHING while it waits for a slot of its queue.
- Signatures outside the clock window count towards the lock of a key, as wrong ones do.
- 429 has no Retry-After unless a fault asks for it.

`submit-job` runs one SELECT, or INSERT OVERWRITE DIRECTORY with one. sqlglot translates it from
Spark to DuckDB; what neither knows, and any other statement, format, option or setting, is refused
with DLI.0007. Guesses, again:

- Syntax (DLI.0004), semantics (DLI.0005) and a missing table (DLI.0002) are refused on submit
  (`sql_check="job"` lets the job fail instead); a codec that Spark has not fails the job.
- export-result and preview of a job that is no finished QUERY: 400 with DLI.0001. In a preview
  decimals, dates and timestamps are text. Results last until `reset`, or for `result_life` seconds.
- The csv of a job bucket is as Spark writes it by default, without a header.

What differs from Spark and is not refused: the last digit of some functions of floats (`exp`, `ln`,
`variance`), which rows go into which file (DISTRIBUTE BY and hints change nothing here), and
whole numbers that overflow, which fail the job instead of wrapping around.
"""

from ._emulator import Emulator as Emulator
from ._engine.engine import DuckEngine as DuckEngine
from ._engine.engine import Engine as Engine
from ._engine.engine import NullEngine as NullEngine
from ._engine.obs import ObsStore as ObsStore
from ._engine.session import SparkSession as SparkSession
from ._protocol.callers import ACCESS_KEY as ACCESS_KEY
from ._protocol.callers import PROJECT_ID as PROJECT_ID
from ._protocol.callers import SECRET_KEY as SECRET_KEY
from ._protocol.callers import TOKEN as TOKEN
from .faults import UnknownFault as UnknownFault

__all__ = [
    "ACCESS_KEY",
    "PROJECT_ID",
    "SECRET_KEY",
    "TOKEN",
    "DuckEngine",
    "Emulator",
    "Engine",
    "NullEngine",
    "ObsStore",
    "SparkSession",
    "UnknownFault",
]
