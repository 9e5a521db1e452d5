"""axe-core on every page, light and dark, wide and narrow: it finds nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.serving import live
from tests.studio.conftest import Opener, World
from tests.studio.steps import done, draw, expect

PLACES = {
    "create": "/",
    "gallery": "/gallery",
    "nothing found": "/gallery?q=zeppelin+rating:5",
    "picture": "/i/{picture}",
    "two pictures": "/i/{picture}?with={other}",
    "editor": "/i/{picture}/edit",
    "refine": "/compare?new=refine",
    "a or b": "/compare?new=ab",
    "grid": "/compare?new=grid",
    "comparison": "/compare/{compared}",
    "refinement": "/compare/{refined}",
    "vote": "/compare/{compared}/vote",
    "models": "/models",
    "get": "/models/get?name=sdxl",
    "queue": "/queue",
    "not there": "/no-such-page",
}


@cache
def _axe() -> str:
    package = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text()


ALL: dict[str, object] = {"resultTypes": ["violations"]}
COLOURS: dict[str, object] = {**ALL, "runOnly": ["color-contrast"]}
"""All that the theme changes."""


def _nothing_found(page: Any, options: dict[str, object] = ALL) -> None:
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
    found = page.evaluate("(options) => axe.run(document, options).then((all) => all.violations)", options)
    assert [
        (
            each["id"],
            each["help"],
            [node["html"][:160] for node in each["nodes"][:3]],
            each["nodes"][0]["failureSummary"],
        )
        for each in found
    ] == []


def _path(world: World, place: str) -> str:
    one, other = world.pictures[:2]
    return place.format(picture=one, other=other, compared=world.compared, refined=world.refined)


@pytest.mark.parametrize("place", PLACES)
def test_every_page_light_and_dark(world: World, opened: Opener, place: str) -> None:
    page = opened(
        f"{world.url}{_path(world, PLACES[place])}", color_scheme="light", reduced_motion="reduce", says=("404", "409")
    )
    _nothing_found(page)
    page.emulate_media(color_scheme="dark")
    _nothing_found(page, COLOURS)


@pytest.mark.parametrize("place", ["create", "gallery", "picture", "editor", "refinement", "models"])
def test_a_phone(world: World, opened: Opener, place: str) -> None:
    _nothing_found(opened(f"{world.url}{_path(world, PLACES[place])}", phone=True, reduced_motion="reduce"))


def test_what_opens_and_what_is_told(world: World, opened: Opener) -> None:
    page = opened(world.url, reduced_motion="reduce", says=("403",))
    done(draw(page, "a red star at night"), 4)
    page.locator("#prompt").fill("a naked child")
    page.locator("#prompt").press("Enter")
    expect(page.locator(".card.refused")).to_be_visible()
    page.locator("#more summary").click()
    _nothing_found(page)
    page.locator("#queue-button").click()
    expect(page.locator("#queue-panel")).to_contain_text("Nothing waits")
    _nothing_found(page)


def test_the_lightbox_and_the_key_map(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery", reduced_motion="reduce")
    page.locator("#pictures .tile").first.click()
    expect(page.locator("#lightbox .prompt-words")).to_be_visible()
    _nothing_found(page)
    page.go_back()
    page.keyboard.press("?")
    _nothing_found(page)


def test_the_door_of_a_server_with_a_token(world: World, opened: Opener, tmp_path: Path) -> None:
    with live(tmp_path, token="a-token-of-some-length", ready=False) as server:
        page = opened(server.url, says=("401",))
        _nothing_found(page)
        page.locator("#token").fill("a-token-of-some-length")
        page.keyboard.press("Enter")
        expect(page.locator("#prompt")).to_be_visible()
        page.close()
