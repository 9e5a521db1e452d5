"""One server with a stand-in worker for all tests here, and OpenAI's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from openai import OpenAI

from tests.serving import Served, live

Counted = tuple[OpenAI, list[str]]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="package")
def client(server: Served) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def counted(server: Served) -> Iterator[Callable[..., Counted]]:
    """A client as it comes, and the URLs that it asks."""
    import openai

    made: list[OpenAI] = []

    def make(url: str = server.url, **said: object) -> Counted:
        asked: list[str] = []
        http = openai.DefaultHttpxClient(event_hooks={"request": [lambda request: asked.append(str(request.url))]})
        made.append(OpenAI(base_url=f"{url}/v1", http_client=http, **{"api_key": "any", **said}))  # type: ignore[arg-type]
        return made[-1], asked

    yield make
    for each in made:
        each.close()
