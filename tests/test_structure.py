"""The house: what is public, which way imports run, and what an import costs."""

from __future__ import annotations

import ast
import inspect
import logging
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import dli_async
from dli_async import (
    AkSk,
    ApiError,
    DliClient,
    DliError,
    IamToken,
    StaticToken,
)

HOUSE = Path(dli_async.__file__).parent
CORE = sorted(
    path for path in HOUSE.rglob("*.py") if not {"emulator", "cli", "fastapi"} & set(path.parts)
)

# Each layer may import those above it, and modules of its own line. `_journal` and `bulk` stand
# for all modules whose names begin so.
LAYERS = """
_errors
_policies _paths _words _lenient _bell
_spec
_models
_rows _events _tally _reports
_auth
_gate _door _tasks _answers _aiohttp _endpoint
_transport
_http
_api
_precheck _registry _asking _lists
_submission _polling _sweep
_watch
_context _token _awaiting _endings
_job
_client
_journal
bulk
cli fastapi
"""
RANK = {name: rank for rank, line in enumerate(LAYERS.splitlines()) for name in line.split()}
# `DliClient.export_many` opens this door when it is called.
DOORS = {("_client", "bulk")}

OPTIONAL = set(
    "typer rich yaml starlette uvicorn duckdb fastapi sse_starlette trio uvloop aiohttp".split()  # noqa: SIM905
)


def imports(path: Path) -> list[tuple[str, bool]]:
    """The modules that a file imports, as absolute names, and whether only for annotations."""
    package = ("dli_async", *path.relative_to(HOUSE).parent.parts)
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, typing_only: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [module] if node.module else [f"{module}.{alias.name}" for alias in node.names]
            found.extend((name, typing_only) for name in names)
        for child in ast.iter_child_nodes(node):
            guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            visit(child, typing_only or guarded)

    visit(ast.parse(path.read_text(encoding="utf-8")), False)
    return found


def part(module: str) -> str | None:
    """The part of the house that a module belongs to; None for other packages."""
    names = module.split(".")
    if names[0] != "dli_async":
        return None
    return names[1] if len(names) > 1 else "__init__"


def rank(name: str) -> int:
    """The place of a part among the layers."""
    for family in ("_journal", "bulk"):
        if name.startswith((family, f"_{family}")):
            name = family
    assert name in RANK, f"{name} has no layer"
    return RANK[name]


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


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_run_one_way(path: Path) -> None:
    """A layer knows those below it and never those above, and optional packages not at all."""
    own = path.relative_to(HOUSE).parts[0].removesuffix(".py")
    for module, typing_only in imports(path):
        other = part(module)
        if own == "__init__" or typing_only or other in (None, own) or (own, other) in DOORS:
            continue
        assert rank(str(other)) <= rank(own), f"{own} imports {module}"


def test_the_layers_have_no_circle() -> None:
    """Within one line of the layers, too, nobody imports each other in a ring."""
    edges: dict[str, set[str]] = {}
    for path in CORE:
        own = path.relative_to(HOUSE).parts[0].removesuffix(".py")
        found = {str(part(module)) for module, typing_only in imports(path) if not typing_only}
        edges.setdefault(own, set()).update(found - {own, "None"})

    def reach(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail, name])
        for other in edges.get(name, ()):
            reach(other, (*trail, name))

    for name in edges:
        reach(name, ())


def users_of(package: str) -> set[str]:
    """The parts of the core that import a package."""
    return {
        path.relative_to(HOUSE).parts[0].removesuffix(".py")
        for path in CORE
        for module, _ in imports(path)
        if module.split(".")[0] == package
    }


def test_each_library_has_its_place() -> None:
    """httpx has few doors, so that its successor can take its place; tenacity and aiohttp one."""
    assert users_of("httpx") <= {"_http", "_transport", "_aiohttp", "_client", "_auth"}
    assert users_of("tenacity") == {"_policies"}
    assert users_of("aiohttp") == {"_aiohttp"}
    assert users_of("httpx_aiohttp") == {"_aiohttp"}


def test_the_emulator_knows_the_wire_and_not_the_client() -> None:
    """It shares signing and values with the client at most, so that it can contradict it."""
    for path in (HOUSE / "emulator").rglob("*.py"):
        for module, typing_only in imports(path):
            if part(module) in (None, "emulator") or typing_only:
                continue
            if path.name == "_emulator.py" and module == "dli_async":
                continue
            assert module in ("dli_async._auth.signing", "dli_async._models"), path.name


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
