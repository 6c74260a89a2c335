"""The asyncio (and trio) client for table exports of Huawei Cloud DLI.

Five words, each for one thing:

    job      work of the service, known by a `job_id`; an `ExportJob` is the handle to await
    export   what is asked for, such as a table to a folder: a `TableExport`, which becomes a job
    attempt  one try, the first is 1: of an export (each a job in its own folder), POST, request
    look     asking the service about jobs: what state one is in, or if a lost submit became one
    report   what a look tells of one job: a `StatusReport`

The floors, from the ground up. A room imports from those below it only, and a change belongs on the
lowest floor that knows what it takes:

    _values            what is said: specs, reports, results, errors, events, policies
    _auth              logins, signatures, regions
    _http              how it gets there: one reliable exchange, the throttle, the paths of DLI
    _obs               the files that an export left: list, verify, fetch, read
    _export            what becomes of an export: job, submit, watch
    _journal           what is kept, so that another process can go on
    bulk               many exports at once: limits, attempts, outcomes
    _client            `DliClient`, which is all of it in one handle
    _names             the public names, gathered
    obs                the names of the files' part of the client
    emulator, fastapi  DLI offline, which writes real files; exports in a web backend
    cli                the command line `dli-async`

The public names stand in `_names.py`, and are loaded when the first of them is used: what lies
beside them, such as the command line, starts without the third of a second that this takes.
"""

TYPE_CHECKING = False  # known to type checkers by its name; `typing` itself takes time to load
if TYPE_CHECKING:
    from ._names import *  # noqa: F403
else:

    def __getattr__(name):
        # Private names are submodules, which Python looks for here before it imports them.
        if not name.startswith("_") or name == "__all__":
            import importlib

            _names = importlib.import_module("._names", __name__)
            globals().update({each: getattr(_names, each) for each in _names.__all__})
            globals()["__all__"] = _names.__all__
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *__getattr__("__all__")})


del TYPE_CHECKING
