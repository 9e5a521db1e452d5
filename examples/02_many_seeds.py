"""Draw one prompt with eight seeds and put the pictures on a contact sheet.

One good picture says little about a prompt: it may be luck. Look at several seeds before you judge the words.

    python examples/02_many_seeds.py "three apples on a blue background"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from PIL import Image, ImageDraw

import limner

COLUMNS = 4
LABEL = 14  # pixels below each picture, for its seed


def main(prompt: str) -> None:
    pictures = limner.generate(prompt, n=8, seed=1)  # seeds 1 to 8
    contact_sheet(pictures).save("contact-sheet.png")
    print(f"contact-sheet.png: {len(pictures)} pictures of {prompt!r}")


def contact_sheet(pictures: Sequence[limner.Image]) -> Image.Image:
    """The pictures in rows of four, each with its seed below."""
    height, width = pictures[0].pixels.shape[:2]
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * width, rows * (height + LABEL)), "white")
    pen = ImageDraw.Draw(sheet)
    for k, picture in enumerate(pictures):
        corner = (k % COLUMNS * width, k // COLUMNS * (height + LABEL))
        sheet.paste(picture.pil, corner)
        pen.text((corner[0] + 4, corner[1] + height), f"seed {picture.record.seed.text()}", fill="black")
    return sheet


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "three apples on a blue background")
