"""The OpenAPI document, and whether the routes keep to it whatever they are asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi import Depends, FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from dli_async.emulator import Emulator, NullEngine
from dli_async.fastapi import ExportPolicy, dli_lifespan, exports_router

from .backend import current_user
from .conftest import TABLES, fast_client
from .serving import run_app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    (folder / "obs" / "bucket").mkdir(parents=True)
    engine = NullEngine({"db": TABLES})
    emulator = Emulator(obs_dir=folder / "obs", engine=engine, launch=0, run=0.01)
    made = FastAPI(lifespan=dli_lifespan(lambda: fast_client(emulator)))
    router = exports_router(
        ExportPolicy(data_paths=["obs://bucket"], max_active=50),
        identity=Depends(current_user),
        journal=folder / "exports.db",
        cancel_timeout=1.0,
    )
    made.include_router(router)
    yield made
    emulator.close()


def _holds_sql(case: schemathesis.Case) -> bool:
    """Whether a body is about a query, of which a schema cannot tell whether it is one SELECT."""
    bodies = case.body if isinstance(case.body, list) else [case.body]
    return any(
        isinstance(body, dict) and body.keys() & {"query", "query_job_id"} for body in bodies
    )


@pytest.mark.slow
def test_no_request_breaks_the_service_or_the_schema(app: FastAPI) -> None:
    """Whatever is sent, the answer is no 5xx and is what the document says; streams are read as
    far as they have come. What breaks a rule of SQL may be refused all the same."""
    asked = set()
    with run_app(app) as (url, _):
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json", wait_for_schema=10)
        for result in schema.get_all_operations():
            operation = result.ok()
            modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
            for mode in modes:
                strategy = operation.as_strategy(generation_mode=mode)

                @settings(
                    max_examples=int(os.environ.get("EXAMPLES", "12")),
                    deadline=None,
                    derandomize=True,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                )
                @given(case=strategy)
                def ask(case: schemathesis.Case) -> None:
                    if case.path.endswith("events"):
                        case.query = {**(case.query or {}), "follow": "false"}
                    case.call_and_validate(
                        headers={"Authorization": "Bearer alice"},
                        excluded_checks=[positive_data_acceptance] if _holds_sql(case) else [],
                    )
                    asked.add(case.operation.label)

                ask()
    assert len(asked) == 8


def test_the_document_tells_all_of_each_route(app: FastAPI) -> None:
    """Every route has a tag, words, and its errors as problem details with an example; bodies have
    examples too; the page is not in it."""
    document = app.openapi()
    assert len(document["paths"]) == 6
    for path, methods in document["paths"].items():
        assert not path.endswith("/ui")
        for operation in methods.values():
            assert operation["tags"] == ["exports"]
            assert operation["summary"]
            assert operation["description"]
            for status in ("401", "403", "422", "503"):
                content = operation["responses"][status]["content"]
                assert list(content) == ["application/problem+json"]
                (problem,) = content.values()
                assert problem["example"]["status"] == int(status)
            if "requestBody" in operation:
                (body,) = operation["requestBody"]["content"].values()
                assert body["examples"] if "examples" in body else body["schema"]["examples"]
    location = document["paths"]["/exports"]["post"]["responses"]["202"]["headers"]["Location"]
    assert location["schema"] == {"type": "string"}
    files = document["paths"]["/exports/{job_id}/files"]["get"]["responses"]
    assert files["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/FilePage")
    (problem,) = files["409"]["content"].values()
    assert problem["example"]["type"] == "urn:dli-async:no-files"
    assert {"404", "502", "504"} <= files.keys()
    assert "ExportEvent" in str(document["paths"]["/exports/events"]["get"]["responses"]["200"])
