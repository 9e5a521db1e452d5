"""Walk through latent space: a little new noise gives a near picture, more gives another.

`variation` mixes a second noise into the first (0: the picture itself, 1: another picture). `morph` does the same with
a second prompt. Each frame is drawn anew; nothing is blended in pixels.

    python examples/05_latent_walk.py
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from limner import Request, Session

FRAMES = 7


def main() -> None:
    shares = [k / (FRAMES - 1) for k in range(FRAMES)]
    near = Request.of(prompt="a penguin in the snow", seed=1, variation_seed=9)
    far = near.but(prompt="a green apple on a white background", morph_to="a whale in the sea at sunset")
    with Session() as session:
        strip(session, (near.but(variation=t) for t in shares)).save("variation.png")
        strip(session, (far.but(variation=t, morph=t) for t in shares)).save("morph.png")
    print("variation.png: one prompt, from one noise to another")
    print("morph.png: from one prompt to another")


def strip(session: Session, requests: Iterable[Request]) -> Image.Image:
    """The requests' pictures side by side."""
    pictures = [image.pixels for request in requests for image in session.generate(request).result()]
    return Image.fromarray(np.concatenate(pictures, axis=1))


if __name__ == "__main__":
    main()
