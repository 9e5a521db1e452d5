"""Draw the strips that docs/concepts.md shows, with the built-in model. Run it again when that model changes.

python docs/pictures/draw.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from limner import Request, Session
from limner.types import Pixels, Step

HERE = Path(__file__).parent
SHOWN_STEPS = (1, 3, 5, 7, 10, 20)

PENGUIN = Request.of(prompt="a penguin in the snow", seed=1)
CASTLE = Request.of(prompt="a castle at night", seed=5)
FLOWER = Request.of(prompt="a red flower on a white background", seed=2)
CAT = Request.of(prompt="a cat on the beach", seed=1)
ROCKET = Request.of(prompt="a rocket", seed=3)
APPLE = Request.of(prompt="a green apple on a white background", seed=1, variation_seed=9)

STRIPS: dict[str, Sequence[Request]] = {
    "words": [
        Request.of(prompt=prompt, seed=1)
        for prompt in ("a castle at night", "a cactus in the desert", "three balloons on a blue background")
    ],
    "prompt": [
        PENGUIN.but(prompt=prompt)
        for prompt in (PENGUIN.prompt, "a penguin on the beach", "a penguin at night", "two penguins in the snow")
    ],
    "unknown": [CAT, CAT.but(prompt="a bicycle on the beach"), CAT.but(prompt="a xylophone on the beach")],
    "seed": [CASTLE.but(seed=1, n=5)],
    "steps": [CASTLE.but(steps=steps) for steps in (1, 2, 3, 5, 20)],
    "guidance": [FLOWER.but(guidance=guidance) for guidance in (0, 1, 2, 5, 20)],
    "negative": [ROCKET, ROCKET.but(negative="red")],
    "solver": [CAT.but(solver=solver) for solver in ("euler", "dpmpp-2m", "euler-a", "lcm")],
    "vary": [PENGUIN, *(PENGUIN.but(variation=0.3, variation_seed=seed) for seed in (9, 10, 11, 12))],
    "morph": [APPLE.but(morph_to="a sailboat in the sea at sunset", morph=k / 6, variation=k / 6) for k in range(7)],
    "size": [CAT.but(width=width, height=128) for width in (128, 256)],
}


def main() -> None:
    with Session(keep=False, offline=True) as session:
        for name, requests in STRIPS.items():
            save(name, [image.pixels for request in requests for image in session.generate(request).result()])
        steps = (event for event in session.generate(PENGUIN, previews=True) if isinstance(event, Step))
        save("diffusion", [step.preview for step in steps if step.step in SHOWN_STEPS and step.preview is not None])


def save(name: str, pictures: Sequence[Pixels]) -> None:
    """The pictures side by side as a WebP."""
    Image.fromarray(np.concatenate(pictures, axis=1)).save(HERE / f"{name}.webp", quality=88, method=6)


if __name__ == "__main__":
    main()
