"""The files that an export left on OBS; `client.files` is where to begin.

    result = await client.export(spec, verify=True, fetch="out/")
    table = await client.files.read(result)

The reader is the project's own: it goes over the connections and the login of the client, on
asyncio and trio alike. A login with a token asks IAM for temporary keys.
"""

from ._obs.files import Files as Files
from ._values.files import Fetched as Fetched
from ._values.files import FetchProgress as FetchProgress
from ._values.files import FileChanged as FileChanged
from ._values.files import FileDamaged as FileDamaged
from ._values.files import FilesError as FilesError
from ._values.files import PartFile as PartFile
from ._values.files import UnsafeName as UnsafeName
from ._values.files import Verification as Verification
from ._values.files import VerificationFailed as VerificationFailed

__all__ = [
    "FetchProgress",
    "Fetched",
    "FileChanged",
    "FileDamaged",
    "Files",
    "FilesError",
    "PartFile",
    "UnsafeName",
    "Verification",
    "VerificationFailed",
]
