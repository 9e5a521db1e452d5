"""A subject that pocket never saw, drawn by the renderer that taught it: a fox with blue and yellow stripes."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from training.layout import lay_out
from training.render import Renderer
from training.scene import Part, Scene
from training.sprites import Atlas, build

PLACES = ("plain", "snow", "beach", "grass", "forest", "city", "desert")
AFTER = {
    "plain": "",
    "snow": " in the snow",
    "beach": " on the beach",
    "grass": " on the grass",
    "forest": " in the forest",
    "city": " in the city",
    "desert": " in the desert",
}
FIRST = 12  # things of the atlas: the fox is among them
STRIPE = 13  # pixels of the sprite's 128
COLOURS = ((40, 90, 225), (250, 215, 40))


def striped(cell: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A sprite [H, W, 4] with upright stripes in its own light and dark; whites and blacks (eyes, muzzle) stay."""
    colours = cell[..., :3].astype(np.float64)
    light = colours @ np.array([0.30, 0.59, 0.11]) / 255
    vivid = (colours.max(-1) - colours.min(-1)) / np.maximum(colours.max(-1), 1) > 0.25
    stripes = np.array(COLOURS)[(np.arange(cell.shape[1]) // STRIPE) % 2]
    painted = np.clip(stripes[None] * (0.4 + light[..., None]), 0, 255)
    made = cell.copy()
    made[..., :3] = np.where(vivid[..., None], painted, colours).astype(np.uint8)
    return made


def write(folder: Path, count: int, *, name: str = "sks fox", seed: int = 0) -> Path:
    """``count`` pictures with captions beside them; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = build(limit=FIRST)
    fox = next(k for k, thing in enumerate(plain.things) if thing.name == "fox")
    pixels = plain.pixels.copy()
    pixels[fox] = striped(pixels[fox])
    renderer = Renderer(Atlas(plain.things, pixels, plain.gain))
    rng = random.Random(seed)
    scenes = [Scene((Part(fox),), place=PLACES[k % len(PLACES)], ground=None) for k in range(count)]
    pictures = renderer(lay_out(scenes, [random.Random(rng.random()) for _ in scenes]))
    for k, (scene, picture) in enumerate(zip(scenes, pictures, strict=True)):
        shown = ((picture.permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8)
        Image.fromarray(shown).save(folder / f"{k:03d}.png")
        (folder / f"{k:03d}.txt").write_text(f"a {name}{AFTER[scene.place]}\n")
    return folder


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]), int(sys.argv[2]))
