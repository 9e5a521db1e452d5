"""What tests do on a page more than once."""

from __future__ import annotations

from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

SEEN = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return true;
  const ringed = (each) => {
    const style = getComputedStyle(each);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  };
  const box = (each) => {
    const b = each.getBoundingClientRect();
    return b.width > 1 && b.bottom > 0 && b.top < innerHeight && b.right > 0 && b.left < innerWidth;
  };
  const near = [at, ...(at.labels ?? []), at.closest("label")].filter(Boolean);
  return near.some((each) => ringed(each) && box(each)) || at.outerHTML.slice(0, 200);
}"""


def draw(page: Any, words: str) -> Any:
    """Words and Enter; the newest card."""
    prompt = page.locator("#prompt")
    prompt.fill(words)
    prompt.press("Enter")
    card = page.locator(f"#feed > .job:has(h2:text-is({_quoted(words)}))").first
    expect(card).to_be_visible()
    return card


def done(card: Any, count: int) -> None:
    """Its pictures are there."""
    expect(card.locator(".place a.tile img")).to_have_count(count)


def until(page: Any, expression: str) -> None:
    """Wait until it is true. (Playwright's own waiting asks for eval in the page, which its policy forbids.)"""
    for _ in range(400):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never true: {expression}")


def focus_is_seen(page: Any) -> None:
    assert page.evaluate(SEEN) is True, page.evaluate(SEEN)


def tab_to(page: Any, selector: str, most: int = 90) -> None:
    """Tab until the element that ``selector`` matches has the focus, which is in sight at every stop."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focus_is_seen(page)
        if page.evaluate("(what) => Boolean(document.activeElement?.matches(what))", selector):
            return
    raise AssertionError(f"{selector} was not reached by {most} tabs")


def no_sideways(page: Any) -> None:
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], page.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
        ".slice(0, 5).map(e => e.outerHTML.slice(0, 120))"
    )


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'
