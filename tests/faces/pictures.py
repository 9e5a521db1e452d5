"""Pictures for tests: small arrays with a handmade Record, and files as other programs write them. No model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.library.files import pixel_hash
from limner.library.store import Library
from limner.types import ModelRef, Notice, Numerics, Pixels, Plan, Recipe, Record, Request, Seed

A1111_TEXT = (
    "a lighthouse at dusk\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Seed: 42, Size: 24x16, Model: dreamer"
)
INVOKEAI = {"positive_prompt": "a clay robot", "seed": 5, "steps": 12, "cfg_scale": 6.5, "width": 24, "height": 16}


def pixels(seed: int = 0, *, width: int = 24, height: int = 16) -> Pixels:
    """height x width x 3, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def record(shown: Pixels, prompt: str = "a red fox", **changes: object) -> Record:
    """A Record that agrees with itself and with the pixels; ``changes`` are Record fields set afterwards."""
    height, width = shown.shape[:2]
    seed = Seed(seed=int(changes.pop("seed", 7)))  # type: ignore[call-overload]
    request = Request(prompt=prompt, model="pocket", seed=seed.seed, steps=2)
    model = ModelRef(
        name=str(changes.pop("model", "pocket")), family="sd", files={"unet/model.safetensors": "sha256:0a"}
    )
    numerics = Numerics(device="cpu", dtype="float32")
    recipe = Recipe(
        family="sd", width=width, height=height, latent=(4, 2, 3), solver="euler", levels=((0.0, 1.0, 999.0),) * 3
    )
    plan = Plan.model_construct(model=model, numerics=numerics, recipe=recipe, seeds=(seed,))
    made = Record(
        request=request,
        prompt=prompt,
        negative="blurry",
        identity=plan.identity,
        image_key=plan.image_key(0),
        index=0,
        seed=seed,
        model=model,
        numerics=numerics,
        recipe=recipe,
        device_name="Test CPU",
        threads=2,
        timings={"steps": 0.5},
        versions={"limner": "0.1.0", "torch": "2.13"},
        notices=(Notice(code="unknown-words", message="pocket does not know the word 'zyx'"),),
        pixel_hash=pixel_hash(shown),
        created="2026-11-20T10:00:00Z",
    )
    return made.model_copy(update=changes)


def fill(root: Path, *prompts: str, **changes: object) -> list[str]:
    """A library with one picture a prompt, in order, each with its own seed and a day between them; gives their ids."""
    library = Library(root)
    ids = []
    for k, prompt in enumerate(prompts or ("a red fox", "a blue cat", "two dogs at the beach")):
        shown = pixels(k)
        made = record(shown, prompt, **{"seed": k, "created": f"2026-11-{10 + k:02}T10:00:00Z"} | changes)
        ids.append(library.add(shown, made).id)
    library.close()
    return ids


def file_of(home: Path, name: str) -> Path:
    """Where the library under a home keeps a picture."""
    library = Library(home / "library")
    path = library.get(name).path
    library.close()
    return path


def png(path: Path, texts: dict[str, str], seed: int = 99) -> Path:
    """A PNG with text chunks and nothing of ours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_itxt(name, text)
    Image.fromarray(pixels(seed)).save(path, pnginfo=chunks)
    return path


def a1111(path: Path, seed: int = 99) -> Path:
    return png(path, {"parameters": A1111_TEXT}, seed)


def invokeai(path: Path, seed: int = 98) -> Path:
    return png(path, {"invokeai_metadata": json.dumps(INVOKEAI)}, seed)


def cut_short(path: Path, keep: float = 0.5) -> Path:
    """The same file with its end missing."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path
