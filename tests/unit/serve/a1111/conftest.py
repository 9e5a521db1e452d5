"""One server with a stand-in worker for all tests here, and the client that A1111's users have."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import webuiapi

from tests.serving import Served, live


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture
def api(server: Served) -> Iterator[webuiapi.WebUIApi]:
    api = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", steps=4)
    yield api
    api.session.close()


@pytest.fixture
def http(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/sdapi/v1", timeout=60) as http:
        yield http
