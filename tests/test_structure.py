"""The house: what is public, which way imports run, and what an import costs."""

from __future__ import annotations

import ast
import inspect
import logging
import re
import subprocess
import sys
import typing
from collections import Counter
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dli_async
from dli_async import AkSk, ApiError, DliClient, DliError, IamToken, StaticToken

HOUSE = Path(dli_async.__file__).parent
ROOT = HOUSE.parent
FILES = sorted(HOUSE.rglob("*.py"))

# The floors, from the ground up: a file may import from its own room and from floors below it,
# and never from its own floor's other rooms. Imports for annotations count like all others.
FLOORS = """
_values
_auth
_http
_obs
_export
_journal
bulk
_client
_names
__init__
obs
emulator fastapi
cli
"""
FLOOR = {room: number for number, line in enumerate(FLOORS.split("\n")) for room in line.split()}

OPTIONAL = {
    *("typer", "rich", "yaml", "starlette", "uvicorn", "duckdb", "fastapi", "sse_starlette"),
    *("trio", "uvloop", "aiohttp", "pyarrow"),
}


def module_of(path: Path) -> str:
    """The name under which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def imports(path: Path) -> frozenset[str]:
    """The modules that a file imports anywhere, be it for annotations, as absolute names."""
    own = module_of(path).split(".")
    package = own if path.name == "__init__.py" else own[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
            found.update(name if name in MODULES else module for name in names)
    return frozenset(found)


def room_of(module: str) -> str | None:
    """The room of the house that a module lies in; None for other packages."""
    names = module.split(".")
    if names[0] != "dli_async":
        return None
    return names[1] if len(names) > 1 else "__init__"


def test_the_public_names_are_those_in_all() -> None:
    """`__all__` is sorted as ruff sorts it, and nothing else is visible but subpackages."""
    visible = {
        name
        for name, value in vars(dli_async).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(dli_async.__all__) == visible
    assert len(set(dli_async.__all__)) == len(dli_async.__all__)
    assert sorted(dli_async.__all__) == list(dli_async.__all__)


def test_every_public_name_says_what_it_is() -> None:
    """Classes, their public methods and properties have docstrings of their own."""
    silent = []
    for name in dli_async.__all__:
        value = getattr(dli_async, name)
        if not isinstance(value, type):
            continue
        inherited = {id(base.__doc__) for base in value.__mro__[1:]}
        if not value.__doc__ or id(value.__doc__) in inherited:
            silent.append(name)
        for member, function in vars(value).items():
            is_code = inspect.isroutine(function) or isinstance(function, property | classmethod)
            if (
                not member.startswith("_")
                and is_code
                and not inspect.getdoc(getattr(value, member))
            ):
                silent.append(f"{name}.{member}")
    assert silent == []


def test_the_types_of_public_names_can_be_read_at_run_time() -> None:
    """Web frameworks and validators evaluate the annotations of the classes that they are given."""
    for name in dli_async.__all__:
        value = getattr(dli_async, name)
        if isinstance(value, type):
            typing.get_type_hints(value)


def test_errors_are_named_by_the_path_that_users_import() -> None:
    """Tracebacks say `dli_async.JobFailed`."""
    for name in dli_async.__all__:
        value = getattr(dli_async, name)
        if isinstance(value, type) and issubclass(value, DliError):
            assert f"{value.__module__}.{value.__qualname__}" == f"dli_async.{name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_run_down_only(path: Path) -> None:
    """A room knows those on the floors below it, and never those beside or above it."""
    own = room_of(module_of(path))
    assert own in FLOOR, f"{own} has no floor"
    for module in imports(path):
        other = room_of(module)
        if other not in (None, own):
            assert FLOOR[str(other)] < FLOOR[own], f"{path.name} imports {module}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Files have an order in which each can be understood after those that it imports."""
    graph = {
        name: sorted((imports(path) & MODULES.keys()) - {name}) for name, path in MODULES.items()
    }
    assert list(TopologicalSorter(graph).static_order())


def test_a_folder_and_a_file_can_be_taken_in_at_a_glance() -> None:
    """Folders hold 16 Python files at most, the top 18 entries, files about 300 lines."""
    folders = Counter(path.parent for path in FILES)
    assert {str(folder): count for folder, count in folders.items() if count > 16} == {}
    top = [path for path in HOUSE.iterdir() if path.name != "__pycache__"]
    assert len(top) <= 18
    lengths = {module_of(path): path.read_text(encoding="utf-8").count("\n") for path in FILES}
    assert {name: length for name, length in lengths.items() if length > 330} == {}


def test_the_package_tells_its_floors() -> None:
    """`pydoc dli_async` names every floor, from the ground up, so that a change finds its place."""
    told = re.findall(r"^ {4}(\w+(?:, \w+)*) {2,}\S", inspect.getdoc(dli_async) or "", re.MULTILINE)
    floors = [", ".join(line.split()) for line in FLOORS.split("\n") if line]
    assert told[5:] == [floor for floor in floors if floor != "__init__"]
    assert told[:5] == ["job", "export", "attempt", "look", "report"]


def tracked() -> list[Path]:
    """The files that git tracks."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    run = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in run.stdout.decode().split("\0") if name]


TOP = {
    *("pyproject.toml", "README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE"),
    *("dli_async", "tests", "benchmarks"),
}


def test_only_what_belongs_there_is_tracked() -> None:
    """No binaries, no large files, and at the top nothing but what the design names."""
    for path in tracked():
        if not path.exists():
            continue
        top = path.relative_to(ROOT).parts[0]
        assert top in TOP or top.startswith("."), f"{top}: unknown at the top"
        content = path.read_bytes()
        assert len(content) <= 256_000, f"{path.name} is too large"
        assert b"\0" not in content, f"{path.name} is binary"


def users_of(package: str) -> set[str]:
    """The modules of the core that import a package."""
    core = {name: path for name, path in MODULES.items() if not OUTER & set(name.split("."))}
    return {
        name.removeprefix("dli_async.")
        for name, path in core.items()
        if any(module.split(".")[0] == package for module in imports(path))
    }


OUTER = {"emulator", "fastapi", "cli"}


def test_each_library_has_its_place() -> None:
    """httpx has few doors, so that its successor can take its place; tenacity and aiohttp one."""
    rooms = {name.split(".")[0] for name in users_of("httpx")}
    assert rooms <= {"_http", "_client", "_auth"}
    assert users_of("tenacity") == {"_values.policies"}
    assert users_of("aiohttp") == {"_http.aiohttp_pool"}
    assert users_of("httpx_aiohttp") == {"_http.aiohttp_pool"}
    assert {name.split(".")[0] for name in users_of("sqlite3")} == {"_journal"}


def test_the_emulator_knows_the_wire_and_not_the_client() -> None:
    """It shares signing and values with the client at most, so that it can contradict it."""
    for path in (HOUSE / "emulator").rglob("*.py"):
        for module in imports(path):
            if room_of(module) in (None, "emulator"):
                continue
            is_helper = path.name == "_emulator.py" and module == "dli_async"
            allowed = module == "dli_async._auth.signing" or room_of(module) == "_values"
            assert allowed or is_helper, f"{path.name} imports {module}"


def modules_after(code: str) -> set[str]:
    """The top packages that are loaded after `code` ran in a fresh interpreter."""
    show = "import sys; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{code}\n{show}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_import_loads_no_optional_package() -> None:
    """`import dli_async` costs what its core costs (httpx loads rich for its own command line)."""
    core = modules_after("import httpx, anyio, tenacity, pydantic, sniffio")
    loaded = modules_after("import dli_async") - core
    assert not loaded & OPTIONAL


SECRETS = ("hush-sk", "hush-token", "hush-password")


def test_logins_and_clients_show_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Neither `repr` nor `str` nor a log line has a key, a token or a password in it."""
    logins = [
        AkSk("access", "hush-sk"),
        AkSk("access", "hush-sk", security_token="hush-token"),
        StaticToken("hush-token"),
        IamToken(user="u", password="hush-password", domain="d"),
    ]
    with caplog.at_level(logging.DEBUG):
        for login in logins:
            client = DliClient(
                endpoint="https://dli.test",
                project_id="p",
                auth=login,
                proxy="http://user:hush-password@proxy.test:3128",
            )
            shown = [repr(login), str(login), repr(client), str(client), caplog.text]
            assert not any(secret in text for secret in SECRETS for text in shown)


def test_errors_show_what_they_carry_and_no_more() -> None:
    """`repr` of an error is its class and its words."""
    error = ApiError("no", status_code=400, error_code="DLI.0001")
    assert repr(error) == "ApiError('no')"


@pytest.mark.slow
def test_the_public_names_can_be_used_as_their_types_say() -> None:
    """A file of uses passes `mypy --strict` as a user would run it, without plugins of ours."""
    uses = Path(__file__).parent / "typing" / "api.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--no-error-summary"]
    # Another run, with other plugins, would throw away what this one has found out, and vice versa.
    cache = ["--cache-dir", ".mypy_cache/uses"]
    command += [*cache, str(uses)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout == ""
    assert run.returncode == 0
