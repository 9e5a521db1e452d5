"""Pictures and Records for the library's tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from limner.library.files import pixel_hash
from limner.types import ModelRef, Numerics, Recipe, Record, Request, Seed

SAMPLERS = {"euler_a": "Euler a"}


def pixels(seed: int = 0, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    """H x W x 3 uint8 noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def record(
    prompt: str = "a red fox in the snow",
    negative: str = "",
    *,
    seed: int = 42,
    image: NDArray[np.uint8] | None = None,
    created: str = "2026-11-22T10:00:00Z",
    model: str = "pocket",
    steps: int = 20,
    **more: object,
) -> Record:
    """A Record as a Session would make it."""
    levels = tuple((1 - k / steps, k / steps, 999 * k / steps) for k in range(steps + 1))
    fields = {
        "request": Request(prompt="as asked", seed=seed, steps=steps, width=48, height=32),
        "prompt": prompt,
        "negative": negative,
        "identity": "sha256:" + "1" * 64,
        "image_key": f"sha256:{seed:064x}",
        "index": 0,
        "seed": Seed(seed=seed),
        "model": ModelRef(
            name=model, family="sd", files={"unet/w.safetensors": "sha256:" + "ab" * 32, "vae/w": "sha256:" + "cd" * 32}
        ),
        "numerics": Numerics(device="cpu", dtype="float32"),
        "recipe": Recipe(
            family="sd", width=48, height=32, latent=(4, 4, 6), solver="euler_a", levels=levels, guidance=7.5
        ),
        "versions": {"limner": "0.1.0"},
        "pixel_hash": pixel_hash(pixels() if image is None else image),
        "created": created,
    }
    return Record.model_validate(fields | more)
