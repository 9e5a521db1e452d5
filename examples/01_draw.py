"""Draw one picture and save it. Offline: the built-in model `pocket` draws small, rough emoji-style scenes.

python examples/01_draw.py "a ghost at night"
"""

from __future__ import annotations

import sys

import limner


def main(prompt: str) -> None:
    picture = limner.draw(prompt)
    saved = picture.save("picture.png")  # .jpg and .webp work too; the Record travels inside
    height, width = picture.pixels.shape[:2]
    print(f"{saved}: {width}x{height} pixels, seed {picture.record.seed.text()}")
    print(f"your library keeps its own copy: {picture.path}")

    # The seed is where the noise starts. The same request with the same seed is the same picture.
    again = limner.draw(prompt, seed=picture.record.seed.seed)
    print("the same seed gives the same pixels:", again.record.pixel_hash == picture.record.pixel_hash)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "a ghost at night")
