"""Stable Diffusion 1, 2 and XL against diffusers' pipelines, on small checkpoints with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

from limner import Request
from limner.sampling.catalog import SOLVERS
from limner.types import Pixels
from tests import checkpoints
from tests.parity import Bench
from tests.unit.sampling.drive import scheduler_for

ALL = tuple(SOLVERS)
USUAL: Mapping[str, object] = {
    "prompt": "a red fox in the snow",
    "negative": "a blue house",
    "seed": 11,
    "steps": 7,
    "guidance": 4.0,
    "width": 24,
    "height": 16,
    "dtype": "float32",
}


@dataclass(frozen=True)
class Drawn:
    """``asked`` changes the usual request; ``told`` is what the pipeline is told besides the same."""

    family: str
    what: str
    kind: Mapping[str, object] | None  # None is the built-in model
    solvers: tuple[str, ...] = ALL
    asked: Mapping[str, object] = field(default_factory=dict)
    told: Mapping[str, object] = field(default_factory=dict)
    apart: Mapping[str, str] = field(default_factory=dict)

    @property
    def request(self) -> Request:
        size = {"width": 48, "height": 32} if self.kind is None else {}  # multiples of what a place of it stands for
        return Request.of(**{**USUAL, **size, **self.asked})

    def folder(self, bench: Bench) -> Path:
        if self.kind is None:
            return checkpoints.POCKET
        write: Callable[..., Path] = checkpoints.write_xl if self.family == "sdxl" else checkpoints.write
        name = next(name for name, value in vars(checkpoints).items() if value is self.kind)
        return bench.folder(name.lower(), lambda folder: write(folder, self.kind))

    def ours(self, bench: Bench, solver: str) -> Pixels:
        request = self.request.but(model=str(self.folder(bench)), solver=solver)
        (image,) = bench.session.generate(request).result()
        return image.pixels

    def theirs(self, bench: Bench, solver: str) -> Pixels:
        pipeline = StableDiffusionXLPipeline if self.family == "sdxl" else StableDiffusionPipeline
        pipe = pipeline.from_pretrained(self.folder(bench), torch_dtype=torch.float32, local_files_only=True)
        pipe.set_progress_bar_config(disable=True)
        pipe.scheduler = scheduler_for(SOLVERS[solver], dict(pipe.scheduler.config))
        if "clip_skip" in self.told and not hasattr(pipe.text_encoder, "text_model"):
            # This transformers has no such inner module any more, and diffusers still asks it for the final norm.
            pipe.text_encoder.__dict__["text_model"] = pipe.text_encoder
        request = self.request
        out = pipe(
            request.prompt,
            negative_prompt=request.negative,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            width=request.width,
            height=request.height,
            generator=torch.Generator("cpu").manual_seed(request.seed or 0),
            **self.told,
        )
        return np.asarray(out.images[0])


def without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in ALL if name not in names)


SKIPPED = {"clip_skip": 2, "guidance": 1.0, "negative": None}  # diffusers skips none for the negative prompt
SUBJECTS = (
    Drawn("sd", "predicting noise, as SD 1.5", checkpoints.SD1_LIKE),
    Drawn("sd", "the same with the oldest configs", checkpoints.OLD_LIKE),
    Drawn("sd", "predicting velocity, as SD 2.1", checkpoints.SD2_LIKE),
    Drawn(
        "sd",
        "zero terminal SNR",
        checkpoints.ZERO_SNR_LIKE,
        without("heun"),
        apart={"heun": "diffusers' scheduler does not know zero terminal SNR"},
    ),
    Drawn("sd", "the built-in model", None, ("dpmpp-2m", "euler"), {"width": 64, "height": 64, "negative": None}),
    Drawn("sd", "clip skip 2", checkpoints.SD1_LIKE, ("dpmpp-2m",), SKIPPED, {"clip_skip": 1}),
    Drawn("sd", "told the guidance, as LCM", checkpoints.LCM_LIKE, ("lcm", "ddim"), {"negative": None}),
    Drawn("sdxl", "base", checkpoints.XL_BASE),
    Drawn("sdxl", "base, no negative prompt", checkpoints.XL_BASE, ("euler", "dpmpp-2m"), {"negative": None}),
    Drawn("sdxl", "zeros not forced", checkpoints.XL_NO_ZEROS, ("euler",), {"negative": None}),
    Drawn(
        "sdxl",
        "no guidance, 1 step, as turbo",
        checkpoints.XL_TURBO,
        ("euler", "euler-a"),
        {"guidance": 1.0, "steps": 1},
    ),
    Drawn("sdxl", "no guidance, 4 steps, as turbo", checkpoints.XL_TURBO, ("euler-a",), {"guidance": 1.0, "steps": 4}),
    Drawn("sdxl", "told the guidance, as LCM", checkpoints.XL_LCM, ("lcm", "ddim"), {"negative": None}),
)
