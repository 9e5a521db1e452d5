"""Draw what docs/concepts.md, README.md and the studio show of the built-in model. Again when that model changes.

python docs/pictures/draw.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from limner import Request, Session
from limner.serve.studio.create import EXAMPLES
from limner.types import Pixels, Step

HERE = Path(__file__).parent
SHOWN = HERE.parents[1] / "src" / "limner" / "serve" / "studio" / "static" / "examples"
SHOWN_STEPS = (1, 3, 5, 7, 10, 20)

PENGUIN = Request.of(prompt="a penguin in the snow", seed=1)
GHOST = Request.of(prompt="a ghost at night", seed=5)
STRAWBERRY = Request.of(prompt="a strawberry on a white background", seed=2)
CAT = Request.of(prompt="a cat on the beach", seed=1)
BALLOON = Request.of(prompt="a balloon", seed=3)
APPLE = Request.of(prompt="a green apple on a white background", seed=1, variation_seed=9)

STRIPS: dict[str, Sequence[Request]] = {
    "words": [
        Request.of(prompt=prompt, seed=1)
        for prompt in ("a ghost at night", "a lion in the desert", "three apples on a blue background")
    ],
    "prompt": [
        PENGUIN.but(prompt=prompt)
        for prompt in (PENGUIN.prompt, "a penguin on the beach", "a penguin at night", "two penguins in the snow")
    ],
    "unknown": [CAT, CAT.but(prompt="a crab on the beach"), CAT.but(prompt="a xylophone on the beach")],
    "seed": [GHOST.but(seed=1, n=5)],
    "steps": [GHOST.but(steps=steps) for steps in (1, 2, 3, 5, 20)],
    "guidance": [STRAWBERRY.but(guidance=guidance) for guidance in (0, 1, 2, 5, 20)],
    "negative": [BALLOON, BALLOON.but(negative="red")],
    "solver": [CAT.but(solver=solver) for solver in ("euler", "dpmpp-2m", "euler-a", "lcm")],
    "vary": [PENGUIN, *(PENGUIN.but(variation=0.3, variation_seed=seed) for seed in (9, 10, 11, 12))],
    "morph": [APPLE.but(morph_to="a whale in the sea at sunset", morph=k / 6, variation=k / 6) for k in range(7)],
    "size": [CAT.but(width=width, height=256) for width in (256, 512)],
}


# What README.md shows. The studio's first page shows EXAMPLES.
README = (
    *("a fox in the snow", "a house on a beach at sunset", "a robot next to a rocket", "a lion in the desert"),
    *("three apples on a blue background", "a castle at night"),
)


def main() -> None:
    with Session(keep=False, offline=True) as session:
        for name, requests in STRIPS.items():
            save(name, [image.pixels for request in requests for image in session.generate(request).result()])
        sheet = [session.draw(prompt, seed=1).pixels for prompt in README]
        Image.fromarray(np.concatenate(sheet, axis=1)).reduce(2).save(HERE / "readme.png", optimize=True)
        for name, prompt in EXAMPLES:
            Image.fromarray(session.draw(prompt, seed=1).pixels).reduce(2).save(
                SHOWN / f"{name}.webp", quality=80, method=6
            )
        steps = (event for event in session.generate(PENGUIN, previews=True) if isinstance(event, Step))
        save("diffusion", [step.preview for step in steps if step.step in SHOWN_STEPS and step.preview is not None])


def save(name: str, pictures: Sequence[Pixels]) -> None:
    """The pictures side by side as a WebP, at half size: a page has many."""
    strip = Image.fromarray(np.concatenate(pictures, axis=1))
    strip.reduce(2).save(HERE / f"{name}.webp", quality=88, method=6)


if __name__ == "__main__":
    main()
