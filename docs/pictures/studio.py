"""Photographs of the studio, for the documentation: python docs/pictures/studio.py URL [create gallery compare]

URL is a running server with some pictures and a study. Needs playwright and Debian's chromium.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
WORDS = "a red fox in the snow"


def create(page: Page) -> None:
    page.locator("#prompt").fill(WORDS)
    page.locator("#cost", has_text="about").wait_for()


def gallery(page: Page) -> None:
    page.goto(f"{page.url.rstrip('/')}/gallery")


def compare(page: Page) -> None:
    page.goto(f"{page.url.rstrip('/')}/compare")
    page.locator(".studies a").first.click()
    page.locator("h2.verdict").first.wait_for()


def main(url: str, *names: str) -> None:
    views = {"create": create, "gallery": gallery, "compare": compare}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name in names or views:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            views[name](page)
            page.wait_for_timeout(1_500)  # pictures that are decoded late
            image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            image.save(HERE / f"studio-{name}.webp", quality=80, method=6)
            page.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
