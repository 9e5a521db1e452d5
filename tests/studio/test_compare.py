"""Compare: a refinement begun from the page with its cost first, its verdict, and a blind vote by keys."""

from __future__ import annotations

from tests.studio.conftest import Opener, World
from tests.studio.steps import expect, until

READY = "!document.querySelector('.vote-pictures button')?.disabled"


def test_a_refinement_states_its_cost_runs_and_ends_with_its_verdict(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/compare?new=refine")
    page.locator("#prompt").fill("a fox zzslow zzstudied")
    cost = page.locator("#study-cost")
    expect(cost).to_contain_text("pictures")
    page.get_by_role("button", name="Refine").click()
    page.wait_for_url("**/compare/job/*")
    expect(page.locator("[data-note]")).to_contain_text("of 3")
    expect(page.locator(".verdict").first).to_be_visible()
    expect(page.get_by_role("link", name="Report")).to_be_visible()


def test_a_running_study_can_be_stopped(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/compare?new=refine&prompt=a+house+zzwait")
    page.get_by_role("button", name="Refine").click()
    page.wait_for_url("**/compare/job/*")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.keyboard.press(".")
    expect(page.locator(".study")).to_contain_text("Stopped")


def test_a_verdict_leads_with_its_word_and_every_number_is_in_a_table(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/compare/{world.refined}")
    expect(page.locator("h2.verdict")).to_be_visible()
    assert page.locator("h2.verdict").first.bounding_box()["y"] < 400
    expect(page.locator(".numbers-table").first).to_be_visible()
    page.get_by_role("link", name="Use prompt").first.click()
    expect(page.locator("#prompt")).not_to_be_empty()


def test_a_blind_vote_by_keys_shows_nothing_before_it_is_over(world: World, opened: Opener) -> None:
    page = opened(f"{world.url}/compare/{world.compared}")
    page.get_by_role("link", name="Vote blind").click()
    pair = page.locator("#pair")
    bar = pair.get_by_role("progressbar", name="Votes given")
    total = int(bar.get_attribute("max"))
    for given in range(total):
        expect(bar).to_have_attribute("value", str(given))
        images = pair.locator("img")
        until(page, READY)
        assert images.evaluate_all("(all) => all.every((each) => each.naturalWidth > 0)")
        assert images.evaluate_all("(all) => all.map((each) => each.alt)") == ["A", "B"]
        assert world.compared not in pair.inner_text()
        until(page, READY)
        if given == 1:
            page.keyboard.press("u")  # the last one back
            expect(bar).to_have_attribute("value", "0")
            until(page, READY)
            page.keyboard.press("ArrowLeft")
            expect(bar).to_have_attribute("value", "1")
            until(page, READY)
        page.keyboard.press("ArrowDown" if given == 2 else "ArrowRight" if given % 2 else "ArrowLeft")
    expect(pair.locator("h2.verdict")).to_contain_text("with your votes")
