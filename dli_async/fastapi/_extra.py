"""Tells in words what is missing, where the rest of the package would fail to import."""

from importlib.util import find_spec

_missing = [name for name in ("fastapi", "sse_starlette") if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"dli_async.fastapi needs {' and '.join(_missing)}, which the extra [fastapi] brings: "
        "pip install 'dli-async[fastapi]'"
    )
