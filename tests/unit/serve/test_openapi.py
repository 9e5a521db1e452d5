"""The OpenAPI document is true: whatever it allows or forbids, no answer is a 5xx or one it does not know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.control import SkipTest
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serving import Served, live

EXAMPLES = 12
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
ENDLESS = ("/api/v1/events", "/api/v1/jobs/{id}/events")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home"), most_waiting=1_000_000) as server:
        server.picture()
        yield server


def test_the_document_is_valid(server: Served) -> None:
    document = server.client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    loaded = schemathesis.openapi.from_dict(document)
    loaded.validate()
    assert {path.split("/")[3] for path in document["paths"] if path.startswith("/api/v1/")} == {
        *("jobs", "events", "pictures", "inputs", "plan", "lint", "models", "solvers", "styles", "metrics"),
        "studies",
    }


def test_no_route_installs_or_names_a_path_or_a_url(server: Served) -> None:
    document = server.client.get("/api/v1/openapi.json").json()
    assert not any(word in path for path in document["paths"] for word in ("install", "upload", "extension", "exec"))
    names = [
        each["name"]
        for path in document["paths"].values()
        for way in path.values()
        if isinstance(way, dict)
        for each in way.get("parameters", ())
    ]
    assert not {"path", "url", "folder", "filename"} & set(names)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_no_answer_is_a_5xx_or_unknown(server: Served, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")
    schema.config.generation.update(modes=[mode])
    operations = [each.ok() for each in schema.get_all_operations()]
    for operation in operations:
        if operation.path not in ENDLESS and operation.path.startswith("/api/v1"):
            try_out(operation, mode, server.url)


def try_out(operation: APIOperation, mode: GenerationMode, url: str) -> None:
    """Ask it many things, the same each time the test runs."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def asked(case: Case) -> None:
        case.call_and_validate(base_url=url, checks=list(CHECKS))

    with contextlib.suppress(SkipTest):  # nothing about it can be wrong
        asked()
