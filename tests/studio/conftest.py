"""One server with a few pictures and studies, and one browser, for every test of the package.

Playwright's own event loop runs in this thread while the browser is up: nothing here may call ``asyncio.run``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from limner.serve.work import compare, refine
from tests.serving import Served, live
from tests.unit.refine.refine_world import register
from tests.unit.serve.study_world import compare_body, open_session, refine_body, work

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 20_000.0  # milliseconds: the machine may be busy
PICTURES = ("a red fox in the snow", "a blue house at night", "a yellow star", "a green tree", "a red boat")

Page = Any
Opener = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if CHROMIUM is None:
        skip = pytest.mark.skip(reason="no chromium on the path: apt install chromium")
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(skip)


@dataclass(frozen=True)
class World:
    """The server, what was drawn there (oldest first), and a study of each kind that is over."""

    server: Served
    pictures: tuple[str, ...]
    compared: str
    refined: str

    @property
    def url(self) -> str:
        return self.server.url


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        with open_session(home) as session:
            compared = compare.run(session, work("compare", compare_body())[0])["study"]
            refined = refine.run(session, work("refine", refine_body(), job="2" * 14)[0])["study"]
        with live(home) as server:
            pictures = tuple(server.picture(words, seed=k) for k, words in enumerate(PICTURES))
            yield World(server, pictures, str(compared), str(refined))


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Opener]:
    """Open a page of a server, in a context of its own. What a page must never do is found at the end: an error or a
    warning on the console (a breach of the policy is one), an exception, or a request to any other host.

    ``phone``: 390 x 844 with touch. ``says`` names what the console may say, as part of its text.
    """
    sync_api.expect.set_options(timeout=PATIENCE)
    problems: list[str] = []
    with ExitStack() as stack:

        def opening(url: str, *, phone: bool = False, says: tuple[str, ...] = (), **more: Any) -> Page:
            wanted: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
            if phone:
                wanted = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
            context = browser.new_context(**wanted, **more)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            origin = "/".join(url.split("/")[:3])
            page.on("console", lambda said: _heard(said, says, problems))
            page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
            page.on("request", lambda asked: _watched(asked.url, origin, problems))
            page.goto(url)
            return page

        yield opening
    assert problems == []


ABORTED = ("htmx:afterRequest", "htmx:sendAbort")
"""What htmx says of a request that a newer one replaced."""


def _heard(said: Any, allowed: tuple[str, ...], problems: list[str]) -> None:
    if said.type in ("error", "warning") and not any(each in said.text for each in (*allowed, *ABORTED)):
        problems.append(f"console: {said.text} ({said.location.get('url')})")


def _watched(url: str, origin: str, problems: list[str]) -> None:
    if not url.startswith((f"{origin}/", "blob:", "data:")):
        problems.append(f"asked another host: {url}")
