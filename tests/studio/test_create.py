"""Create: from words to pictures without a reload, what is said on the way, and what is kept when the server goes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests import serving
from tests.serving import live
from tests.studio.conftest import Opener, World
from tests.studio.steps import done, draw, expect, until

PAINTED = "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v)"


def test_words_and_enter_draw_without_a_reload(world: World, opened: Opener) -> None:
    page = opened(world.url)
    page.evaluate("window.unchanged = true")
    expect(page.locator("#prompt")).to_be_focused()
    card = draw(page, "a red fox by the sea")
    done(card, 4)
    expect(card.locator(".state")).to_have_attribute("data-state", "done")
    assert page.evaluate("window.unchanged")
    expect(page.locator("#prompt")).to_be_focused()
    expect(card.locator("img").nth(1)).to_have_attribute("alt", "a red fox by the sea, 2 of 4")


def test_steps_and_previews_are_seen_and_nothing_moves(world: World, opened: Opener) -> None:
    page = opened(world.url)
    page.locator("#n").fill("1")
    card = draw(page, "a blue house zzslow")
    canvas = card.locator("canvas")
    expect(card.locator("[data-step]")).to_contain_text("/")
    name = card.get_attribute("id")
    until(page, f"({PAINTED})(document.querySelector('#{name} canvas'))")
    stage = canvas.bounding_box()
    until(page, f"document.querySelector('#{name} progress').value > 0")
    done(card, 1)
    assert card.locator(".place img").bounding_box() == stage


def test_no_frame_goes_back(world: World, opened: Opener) -> None:
    """Steps only rise; the picture follows the last preview, and no canvas returns."""
    page = opened(world.url)
    page.locator("#n").fill("1")
    page.evaluate(
        """() => { window.film = []; new MutationObserver(() => {
        const title = [...document.querySelectorAll("#feed h2")]
            .find((each) => each.textContent === "a green tree zzslow zz");
        const place = title?.closest(".job").querySelector(".place"); if (!place) return;
        const step = place.querySelector("[data-step]")?.textContent;
        window.film.push(place.querySelector("img") ? "picture" : place.querySelector("canvas") ? step : "blank");
        }).observe(document.getElementById("feed"), { subtree: true, childList: true, characterData: true }); }"""
    )
    done(draw(page, "a green tree zzslow zz"), 1)
    until(page, "window.film.at(-1) === 'picture'")
    film = page.evaluate("window.film")
    assert "blank" not in film
    assert set(film[film.index("picture") :]) == {"picture"}
    steps = [int(each.split("/")[0]) for each in film if each and "/" in each]
    assert steps == sorted(steps)
    assert len(set(steps)) > 3


def test_cancel_keeps_what_is_there_and_says_so(world: World, opened: Opener) -> None:
    page = opened(world.url)
    card = draw(page, "a yellow star zzslow")
    expect(card.locator("progress")).to_be_visible()
    card.get_by_role("button", name="Cancel").click()
    expect(card.locator(".state")).to_have_attribute("data-state", "cancelled")
    expect(card.get_by_text("Cancelled")).to_be_visible()
    expect(card.locator("canvas")).to_have_count(0)


def test_a_refusal_is_a_card_with_rule_and_remedy(world: World, opened: Opener) -> None:
    page = opened(world.url, says=("403",))
    page.locator("#prompt").fill("a naked child")
    page.locator("#prompt").press("Enter")
    card = page.locator(".card.refused")
    expect(card).to_contain_text("minors.sexual")
    expect(card).to_contain_text("What would pass")
    expect(page.locator("#prompt")).to_have_value("a naked child")
    card.get_by_role("link", name="Edit the prompt").click()
    expect(page.locator("#prompt")).to_be_focused()


def test_a_failure_stays_with_what_next(world: World, opened: Opener) -> None:
    page = opened(world.url)
    card = draw(page, "a fox zzfail")
    expect(card.get_by_role("alert")).to_contain_text("as it was told to")
    card.get_by_role("button", name="Edit and try again").click()
    expect(page.locator("#prompt")).to_be_focused()


def test_an_unknown_word_gets_known_ones_as_buttons(world: World, opened: Opener) -> None:
    page = opened(world.url)
    page.locator("#prompt").press_sequentially("a vixen at night")
    hint = page.locator("#hints .hint")
    expect(hint).to_contain_text("does not know vixen")
    near = hint.locator("[data-with]:not([data-with=''])").first
    word = near.inner_text()
    near.click()
    expect(page.locator("#prompt")).to_have_value(f"a {word} at night")
    expect(hint).to_have_count(0)


def test_the_draft_and_earlier_words_come_back(world: World, opened: Opener) -> None:
    page = opened(world.url)
    draw(page, "a red boat in the rain")
    page.locator("#prompt").fill("half a though")
    page.reload()
    expect(page.locator("#prompt")).to_have_value("half a though")
    page.locator("#prompt").fill("")
    page.locator("#prompt").press("ArrowUp")
    expect(page.locator("#prompt")).to_have_value("a red boat in the rain")


def test_a_dropped_picture_of_ours_restores_its_settings(world: World, opened: Opener, tmp_path: Path) -> None:
    file = tmp_path / "fox.png"
    file.write_bytes(world.server.client.get(f"/api/v1/pictures/{world.pictures[0]}/file").content)
    page = opened(world.url)
    page.evaluate(
        """(bytes) => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "fox.png", { type: "image/png" }));
        for (const type of ["dragenter", "dragover", "drop"])
          document.body.dispatchEvent(
            new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true })); }""",
        list(file.read_bytes()),
    )
    page.wait_for_url("**/i/*")
    assert page.url.endswith(world.pictures[0])


def test_a_lost_server_loses_nothing(opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in the middle of a job: the bar shows, words stay; started again, the job goes on and its card knows."""
    with live(tmp_path, grace=0.1) as first:
        page = opened(
            first.url, says=("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_EMPTY_RESPONSE", "htmx:")
        )
        page.locator("#n").fill("2")
        card = draw(page, "a red boat zzslow")
        expect(card.locator("progress")).to_be_visible()
        page.locator("#prompt").fill("words that are not sent yet")
        port = int(first.url.rsplit(":", 1)[1])
    expect(page.locator("#link-lost")).to_be_visible()
    expect(page.locator("#link-lost")).to_contain_text("nothing you typed is lost")
    expect(page.locator("#prompt")).to_have_value("words that are not sent yet")
    page.locator("#prompt").press("Enter")  # cannot be sent, and stays
    expect(page.locator("#prompt")).to_have_value("words that are not sent yet")
    monkeypatch.setattr(serving, "listen", partial(_again, serving.listen, port))
    with live(tmp_path):
        expect(page.locator("#link-lost")).to_be_hidden()
        done(card, 2)
        expect(page.locator("#prompt")).to_have_value("words that are not sent yet")


def _again(listen: object, port: int, host: str, _: int) -> object:
    assert callable(listen)
    return listen(host, port)
