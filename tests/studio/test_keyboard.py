"""The six flows of the studio without a pointer: every stop of Tab shows where it is."""

from __future__ import annotations

from tests.studio.conftest import Opener, World
from tests.studio.steps import done, draw, expect, focus_is_seen, tab_to, until

READY = "!document.querySelector('.vote-pictures button')?.disabled"


def test_draw_vary_and_refine(world: World, opened: Opener) -> None:
    page = opened(world.url)
    page.keyboard.type("a red fox at the window")
    page.keyboard.press("Enter")
    first = page.locator("#feed > .job").first
    done(first, 4)
    page.keyboard.press("Escape")  # from the prompt to the newest picture
    focus_is_seen(page)
    expect(first.locator("a.tile").first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(first.locator("a.tile").nth(1)).to_be_focused()
    page.keyboard.press("v")
    expect(page.locator("#feed > .job").nth(1).locator("h2")).to_have_text("a red fox at the window")
    done(page.locator("#feed > .job").first, 4)
    done(page.locator("#feed > .job").nth(1), 4)  # the old ones stay
    page.keyboard.press("f")
    page.wait_for_url("**/compare?new=refine&picture=*")
    expect(page.locator("#study-cost")).to_contain_text("pictures")
    page.keyboard.press("Enter")
    page.wait_for_url("**/compare/job/*")


def test_all_of_create_is_reached_by_tab_and_shows_it(world: World, opened: Opener) -> None:
    page = opened(world.url)
    tab_to(page, "#generate")
    page.keyboard.press("Shift+Tab")
    focus_is_seen(page)


def test_find_from_anywhere(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/models")
    page.goto(world.url)
    page.locator("#theme-button").focus()
    page.keyboard.press("/")
    page.wait_for_url("**/gallery*")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("a yellow star")
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery?q=*")
    tab_to(page, "#pictures .tile")
    page.keyboard.press("Enter")
    expect(page.locator("#lightbox")).to_be_visible()
    focus_is_seen(page)
    page.keyboard.press("Escape")
    expect(page.locator("#lightbox")).to_be_hidden()
    expect(page.locator("#pictures .tile").first).to_be_focused()
    page.keyboard.press("p")
    page.wait_for_url(f"{world.url}/")
    expect(page.locator("#prompt")).to_be_focused()


def test_fill_a_part(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/i/{world.pictures[4]}")
    page.keyboard.press("m")
    page.wait_for_url("**/edit")
    tab_to(page, "#mask")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#covered")).to_contain_text("of the picture is masked")
    page.keyboard.press("p")
    page.keyboard.type("a flag")
    page.keyboard.press("Enter")
    expect(page.locator("#keep")).to_be_visible()
    tab_to(page, "#keep")
    page.keyboard.press("Enter")
    expect(page.locator(".prompt-words")).to_have_text("a flag")


def test_vote(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/compare/{world.refined}")
    tab_to(page, "a[href$='/vote']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/vote")
    until(page, READY)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("progressbar", name="Votes given")).to_have_attribute("value", "1")
    tab_to(page, ".vote-actions button")


def test_menus_and_sheets_open_close_and_give_the_focus_back(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    page.keyboard.press("?")
    expect(page.locator("#keys-map")).to_be_visible()
    focus_is_seen(page)
    page.keyboard.press("Escape")
    expect(page.locator("#keys-map")).to_be_hidden()
    tab_to(page, "#queue-button")
    page.keyboard.press("Enter")
    expect(page.locator("#queue-panel")).to_contain_text("Nothing waits")
    page.keyboard.press("Escape")
    expect(page.locator("#queue-button")).to_be_focused()


def test_letters_can_be_switched_off(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    page.keyboard.press("?")
    page.get_by_label("Single letters act").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#q")).not_to_be_focused()


def test_the_running_job_is_cancelled_by_a_key(world: World, opened: Opener) -> None:
    page = opened(world.url)
    done(draw(page, "a blue boat"), 4)
    card = draw(page, "a green boat zzslow")
    expect(card.locator("progress")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press(".")
    expect(card.locator(".state")).to_have_attribute("data-state", "cancelled")
