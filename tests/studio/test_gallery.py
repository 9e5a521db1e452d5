"""The gallery, the picture's page and the mask editor, by pointer and by keys."""

from __future__ import annotations

from tests.studio.conftest import Opener, World
from tests.studio.steps import expect


def _tile(page: object, picture: str) -> object:
    return page.locator(f'.cell[data-id="{picture}"] .tile')  # type: ignore[attr-defined]


def test_keys_rate_the_picture_in_focus(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    picture = world.pictures[2]
    _tile(page, picture).focus()  # type: ignore[attr-defined]
    page.keyboard.press("4")
    expect(page.locator(f'.cell[data-id="{picture}"] .cell-stars')).to_contain_text("Rated 4 of 5")
    page.reload()
    expect(page.locator(f'.cell[data-id="{picture}"] .cell-stars')).to_contain_text("Rated 4 of 5")
    _tile(page, picture).focus()  # type: ignore[attr-defined]
    page.keyboard.press("0")
    expect(page.locator(f'.cell[data-id="{picture}"] .cell-stars')).to_be_empty()


def test_words_find_and_what_finds_nothing_says_which_filter_to_drop(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("blue house night")
    page.keyboard.press("Enter")
    expect(page.locator(".cell")).to_have_count(1)
    expect(page.locator(".cell img")).to_have_attribute("alt", "a blue house at night")
    page.goto(f"{world.url}/gallery?q=blue+house+night+rating:5")
    page.locator(".culprits a").first.click()
    expect(page.locator(".cell").first).to_be_visible()


def test_back_gives_the_gallery_as_it_was(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    page.evaluate("window.unchanged = true")
    _tile(page, world.pictures[1]).click()  # type: ignore[attr-defined]
    expect(page.locator("#lightbox")).to_be_visible()
    assert page.url.endswith(f"/i/{world.pictures[1]}")
    expect(page.locator("#lightbox .prompt-words")).to_have_text("a blue house at night")
    page.keyboard.press("3")  # every enlargement can be rated
    expect(page.locator("#lightbox legend").first).to_have_text("Rating: 3 of 5")
    page.go_back()
    expect(page.locator("#lightbox")).to_be_hidden()
    assert page.url.endswith("/gallery")
    assert page.evaluate("window.unchanged")
    expect(page.locator(f'.cell[data-id="{world.pictures[1]}"] .cell-stars')).to_contain_text("Rated 3 of 5")


def test_two_that_are_chosen_are_compared(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    for picture in world.pictures[:2]:
        _tile(page, picture).focus()  # type: ignore[attr-defined]
        page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_contain_text("2 chosen")
    page.keyboard.press("c")
    page.wait_for_url("**/i/*?with=*")
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert int(slider.input_value()) > 50
    page.locator("[data-to='100']").click()
    expect(slider).to_have_value("100")
    expect(page.get_by_role("table")).to_contain_text("a blue house at night")


def test_what_is_deleted_comes_back(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery")
    before = page.locator(".cell").count()
    _tile(page, world.pictures[3]).focus()  # type: ignore[attr-defined]
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".cell:not(.leaving)")).to_have_count(before)
    assert world.server.client.get(f"/api/v1/pictures/{world.pictures[3]}").status_code == 200


def test_a_painted_mask_is_filled_and_stays(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/i/{world.pictures[0]}/edit")
    box = page.locator("#mask").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.6, steps=6)
    page.mouse.up()
    expect(page.locator("#covered")).to_contain_text("of the picture is masked")
    covered = page.locator("#covered").inner_text()
    page.locator("#words").fill("a hat")
    page.locator("#words").press("Enter")
    keep = page.locator("#keep")
    expect(keep).to_be_visible()
    expect(page.locator("#result")).to_be_visible()
    page.get_by_text("Original", exact=True).click()
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#covered")).to_have_text(covered)  # the mask is there for another try
    keep.click()
    expect(page.locator(".prompt-words")).to_have_text("a hat")
    made = page.url.rsplit("/", 1)[1]
    said = world.server.client.get(f"/api/v1/pictures/{made}").json()
    assert said["parent"] == world.pictures[0]


def test_nothing_painted_is_not_sent(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/i/{world.pictures[0]}/edit")
    page.locator("#words").fill("a hat")
    page.locator("#words").press("Enter")
    expect(page.locator("#covered")).to_contain_text("Nothing is masked yet")


def test_the_theme_is_kept_and_does_not_flash(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/gallery", color_scheme="light")
    dark = "rgb(20, 20, 20)"
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(colour) != dark
    with page.expect_response("**/ui/theme"):
        page.locator("#theme-button").click()
    assert page.evaluate(colour) == dark
    page.goto(f"{world.url}/models")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate(colour) == dark
