"""390 pixels wide, with touch: nothing sideways, the prompt and its button in sight, a picture in two taps."""

from __future__ import annotations

import pytest

from tests.studio.conftest import Opener, World
from tests.studio.steps import done, expect, no_sideways

PLACES = ["/", "/gallery", "/i/{picture}", "/i/{picture}/edit", "/compare", "/compare?new=ab", "/compare?new=grid"]
PLACES += [
    "/compare/{compared}",
    "/compare/{refined}",
    "/compare/{compared}/vote",
    "/models",
    "/queue",
    "/no-such-page",
]


@pytest.mark.parametrize("place", PLACES)
def test_no_page_scrolls_sideways(world: World, opened: Opener, place: str) -> None:
    path = place.format(picture=world.pictures[0], compared=world.compared, refined=world.refined)
    page = opened(f"{world.url}{path}", phone=True, says=("404",))
    no_sideways(page)


def test_text_twice_as_large_still_fits(world: World, opened: Opener) -> None:
    for path in ("/", "/gallery", f"/i/{world.pictures[0]}", f"/compare/{world.refined}", "/models"):
        page = opened(f"{world.url}{path}", phone=True)
        page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
        no_sideways(page)


def test_prompt_and_button_are_in_sight_also_with_the_keyboard_open(world: World, opened: Opener) -> None:
    page = opened(world.url, phone=True)
    for height in (844, 450):
        page.set_viewport_size({"width": 390, "height": height})
        page.locator("#prompt").focus()
        for what in ("#prompt", "#generate"):
            box = page.locator(what).bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= height
            assert page.evaluate(
                "([x, y, what]) => Boolean(document.elementFromPoint(x, y)?.closest(what))",
                [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, what],
            )
        no_sideways(page)


def test_a_picture_in_two_taps(world: World, opened: Opener) -> None:
    page = opened(world.url, phone=True)
    page.locator("#prompt").tap()
    page.keyboard.type("a red boat at night")
    page.locator("#generate").tap()
    done(page.locator("#feed > .job").first, 4)
    no_sideways(page)


def test_targets_are_large_enough_for_a_finger(world: World, opened: Opener) -> None:
    page = opened(world.url, phone=True)
    for each in page.locator("nav.tabs a, #generate, #settings-button, .top-end button:visible").all():
        box = each.bounding_box()
        assert min(box["width"], box["height"]) >= 44, each.evaluate("(e) => e.outerHTML.slice(0, 80)")


def test_settings_open_as_a_sheet_and_close(world: World, opened: Opener) -> None:
    page = opened(world.url, phone=True)
    expect(page.locator("#model")).to_be_hidden()
    page.locator("#settings-button").tap()
    expect(page.locator("#model")).to_be_visible()
    no_sideways(page)
    page.locator("#settings-sheet").get_by_role("button", name="Close").tap()
    expect(page.locator("#model")).to_be_hidden()
