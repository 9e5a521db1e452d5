"""Pictures over pictures against diffusers' img2img and inpainting pipelines, on small checkpoints with random weights.

Masks lie on the grid of latent cells: diffusers looks at one pixel of a cell, Limner redraws a cell where any pixel of
it is. What is kept is compared with the start picture, whose own pixels Limner keeps; diffusers decodes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import UNet2DConditionModel
from PIL import Image

from limner import Request
from limner.sampling.catalog import SOLVERS
from limner.types import Pixels
from tests import checkpoints
from tests.parity import Bench
from tests.parity.latents import ALL, USUAL
from tests.unit.sampling.drive import scheduler_for

WIDTH, HEIGHT = 24, 16
CLASSES = {
    ("sd", False): "StableDiffusionImg2ImgPipeline",
    ("sd", True): "StableDiffusionInpaintPipeline",
    ("sdxl", False): "StableDiffusionXLImg2ImgPipeline",
    ("sdxl", True): "StableDiffusionXLInpaintPipeline",
}


def start_picture() -> Pixels:
    """Soft shapes in colours."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(x / 4 + k) * np.cos(y / 3 - k) for k in range(3)]
    return np.stack([(wave * 110 + 128).astype(np.uint8) for wave in waves], axis=-1)


def mask_picture() -> Pixels:
    """White (redrawn) on black, on the grid of cells of 2 pixels."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[4:12, 6:18] = 255
    return mask


def write_inpainting(folder: Path) -> None:
    """An SD 1 checkpoint whose network takes 9 channels."""
    checkpoints.write(folder, checkpoints.SD1_LIKE)
    config = dict(UNet2DConditionModel.load_config(folder / "unet"))
    torch.manual_seed(1)
    UNet2DConditionModel.from_config({**config, "in_channels": 9}).save_pretrained(folder / "unet")


@dataclass(frozen=True)
class Edited:
    """``masked``: with the mask; ``native``: by a network that takes it."""

    family: str
    what: str
    strength: float
    masked: bool = False
    native: bool = False
    refiner: bool = False
    solvers: tuple[str, ...] = ALL
    apart: Mapping[str, str] = field(default_factory=dict)

    def folder(self, bench: Bench) -> Path:
        if self.native:
            return bench.folder("inpainting", write_inpainting)
        if self.family == "sd":
            return bench.folder("sd1_like", lambda folder: checkpoints.write(folder, checkpoints.SD1_LIKE))
        kind = checkpoints.XL_REFINER if self.refiner else checkpoints.XL_BASE
        name = "xl_refiner" if self.refiner else "xl_base"
        return bench.folder(name, lambda folder: checkpoints.write_xl(folder, kind))

    def pictures(self, bench: Bench) -> dict[str, Path]:
        found = {"init": bench.root / "start.png", "mask": bench.root / "mask.png"}
        for path, pixels in zip(found.values(), (start_picture(), mask_picture()), strict=True):
            Image.fromarray(pixels).save(path)
        return found if self.masked else {"init": found["init"]}

    def ours(self, bench: Bench, solver: str) -> Pixels:
        taken = {name: bench.session.take_in(path) for name, path in self.pictures(bench).items()}
        more = {"mask_blur": 0} if self.masked else {}
        request = Request.of(**{**USUAL, **more, **taken, "strength": self.strength, "solver": solver})
        (image,) = bench.session.generate(request.but(model=str(self.folder(bench)))).result()
        return image.pixels

    def theirs(self, bench: Bench, solver: str) -> Pixels:
        made = getattr(diffusers, CLASSES[self.family, self.masked])
        pipe = made.from_pretrained(self.folder(bench), torch_dtype=torch.float32, local_files_only=True)
        pipe.set_progress_bar_config(disable=True)
        pipe.scheduler = scheduler_for(SOLVERS[solver], dict(pipe.scheduler.config))
        start, mask = Image.fromarray(start_picture()), Image.fromarray(mask_picture())
        more = {"mask_image": mask, "width": WIDTH, "height": HEIGHT} if self.masked else {}
        out = pipe(
            str(USUAL["prompt"]),
            image=start,
            negative_prompt=USUAL["negative"],
            num_inference_steps=USUAL["steps"],
            guidance_scale=USUAL["guidance"],
            strength=self.strength,
            generator=torch.Generator("cpu").manual_seed(11),
            **more,
        )
        drawn = np.asarray(out.images[0])
        return np.where(mask_picture()[..., None] > 0, drawn, start_picture()) if self.masked else drawn


FEW = ("euler", "euler-a", "dpmpp-2m")
SUBJECTS = (
    Edited("sd", "over a picture, strength 0.6", 0.6),
    Edited("sd", "over a picture, strength 1", 1.0, solvers=FEW),
    Edited("sd", "in a mask, strength 0.7", 0.7, masked=True),
    Edited("sd", "in a mask, strength 1", 1.0, masked=True, solvers=FEW),
    Edited("sd", "in a mask, a network of 9 channels", 1.0, masked=True, native=True),
    Edited("sd", "in a mask, 9 channels, strength 0.7", 0.7, masked=True, native=True, solvers=FEW),
    Edited("sdxl", "over a picture, strength 0.6", 0.6, solvers=FEW),
    Edited("sdxl", "over a picture, the refiner", 0.4, refiner=True, solvers=FEW),
    Edited("sdxl", "in a mask, strength 0.7", 0.7, masked=True, solvers=FEW),
)
