"""LoRA, textual inversions and other autoencoders against diffusers' pipelines.

LoRA are compared with a checkpoint whose weights they were added to, as that needs no further library; the tests
compare some of the same files with diffusers' own loader too, which needs peft.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import diffusers
import numpy as np
import torch
from safetensors.torch import load_file, save_file

from limner import Request
from limner.sampling.catalog import SOLVERS
from limner.types import Pixels
from tests import checkpoints
from tests.adapters import (
    KOHYA,
    KOHYA_XL,
    Low,
    compvis_name,
    compvis_vae,
    merged,
    random_changes,
    write_diffusers,
    write_kohya,
)
from tests.parity import Bench
from tests.parity.latents import USUAL
from tests.unit.sampling.drive import scheduler_for

SCALES = (0.8, -0.35)
WORD, VECTORS = "glimmer", 3


@dataclass(frozen=True)
class Adapted:
    """A checkpoint and what is laid over it. ``base`` is ``sd`` or ``sdxl``."""

    what: str
    base: str
    solvers: tuple[str, ...] = ("dpmpp-2m", "euler-a")
    apart: Mapping[str, str] = field(default_factory=dict)
    family: ClassVar[str] = "adapters"

    @property
    def asked(self) -> Mapping[str, object]:
        return {}

    def prepare(self, bench: Bench) -> None:
        """Write the adapters into the session's own folders."""

    def pipeline(self, bench: Bench) -> diffusers.DiffusionPipeline:
        return self.load(self.folder(bench))

    def folder(self, bench: Bench) -> Path:
        if self.base == "sdxl":
            # Seed 0 makes a network that blows rounding up: 4 of 255 apart on a processor where others give 2 or less.
            return bench.folder("xl_base", lambda folder: checkpoints.write_xl(folder, checkpoints.XL_BASE, seed=3))
        return bench.folder("sd1_like", lambda folder: checkpoints.write(folder, checkpoints.SD1_LIKE))

    def models(self, bench: Bench, kind: str) -> Path:
        folder = bench.session.settings.data / "models" / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def ours(self, bench: Bench, solver: str) -> Pixels:
        self.prepare(bench)
        asked = {**USUAL, **self.asked, "model": str(self.folder(bench)), "solver": solver}
        (image,) = bench.session.generate(Request.of(**asked)).result()
        return image.pixels

    def theirs(self, bench: Bench, solver: str) -> Pixels:
        self.prepare(bench)
        pipe = self.pipeline(bench)
        pipe.scheduler = scheduler_for(SOLVERS[solver], dict(pipe.scheduler.config))
        out = pipe(
            self.words,
            negative_prompt=USUAL["negative"],
            num_inference_steps=USUAL["steps"],
            guidance_scale=USUAL["guidance"],
            width=USUAL["width"],
            height=USUAL["height"],
            generator=torch.Generator("cpu").manual_seed(int(str(USUAL["seed"]))),
        )
        return np.asarray(out.images[0])

    @property
    def words(self) -> str:
        """The prompt as diffusers is given it."""
        return str(USUAL["prompt"])

    def load(self, folder: Path) -> diffusers.DiffusionPipeline:
        kind = diffusers.StableDiffusionXLPipeline if self.base == "sdxl" else diffusers.StableDiffusionPipeline
        pipe = kind.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
        pipe.set_progress_bar_config(disable=True)
        return pipe


@dataclass(frozen=True)
class Loras(Adapted):
    """Two: one of attentions and text encoders in kohya's names, by its tag; one of every layer, convolutions
    included, in diffusers' names, by the field."""

    @property
    def asked(self) -> Mapping[str, object]:
        return {"prompt": f"{USUAL['prompt']} <lora:one:{SCALES[0]}>", "loras": (f"two:{SCALES[1]}",)}

    def changes(self, bench: Bench) -> tuple[list[Low], list[Low]]:
        folder = self.folder(bench)
        return random_changes(folder), random_changes(folder, seed=5, rank=3, alpha=4.0, wanted=lambda part, name: True)

    def prepare(self, bench: Bench) -> None:
        one, two = self.changes(bench)
        folder, into = self.folder(bench), self.models(bench, "loras")
        if self.base == "sdxl":
            write_kohya(into / "one.safetensors", one, prefixes=KOHYA_XL, names=compvis_name(folder))
        else:
            write_kohya(into / "one.safetensors", one, prefixes=KOHYA)
        write_diffusers(into / "two.safetensors", two)

    def pipeline(self, bench: Bench) -> diffusers.DiffusionPipeline:
        scaled = zip(SCALES, self.changes(bench), strict=True)
        deltas = [(c.part, c.layer, scale * c.delta) for scale, changes in scaled for c in changes]
        folder = self.folder(bench)
        return self.load(bench.folder(f"{folder.name}-merged", lambda into: merged(folder, into, deltas)))


@dataclass(frozen=True)
class Word(Adapted):
    """A textual inversion of several vectors."""

    @property
    def asked(self) -> Mapping[str, object]:
        return {"prompt": f"a red {WORD} in the snow"}

    @property
    def words(self) -> str:
        return f"a red {WORD} in the snow"

    def tables(self) -> dict[str, torch.Tensor]:
        widths = {"clip_l": 32, "clip_g": 24} if self.base == "sdxl" else {"emb_params": 32}
        generator = torch.Generator().manual_seed(2)
        return {name: torch.randn(VECTORS, width, generator=generator) * 0.5 for name, width in widths.items()}

    def prepare(self, bench: Bench) -> None:
        save_file(self.tables(), self.models(bench, "embeddings") / f"{WORD}.safetensors")

    def pipeline(self, bench: Bench) -> diffusers.DiffusionPipeline:
        pipe = self.load(self.folder(bench))
        self.teach(pipe)
        return pipe

    def teach(self, pipe: diffusers.DiffusionPipeline) -> None:
        for (_, table), suffix in zip(self.tables().items(), ("", "_2"), strict=False):
            encoder, tokenizer = getattr(pipe, f"text_encoder{suffix}"), getattr(pipe, f"tokenizer{suffix}")
            pipe.load_textual_inversion(table, token=WORD, text_encoder=encoder, tokenizer=tokenizer)


@dataclass(frozen=True)
class OtherVae(Adapted):
    """Another checkpoint's autoencoder, as a lone file in the first release's layout."""

    @property
    def asked(self) -> Mapping[str, object]:
        return {"vae": "other"}

    def other(self, bench: Bench) -> Path:
        folder = bench.folder("other", lambda folder: checkpoints.write(folder, checkpoints.SD1_LIKE, seed=7))
        return folder / "vae"

    def prepare(self, bench: Bench) -> None:
        state = load_file(self.other(bench) / "diffusion_pytorch_model.safetensors")
        save_file(compvis_vae(state), self.models(bench, "vae") / "other.safetensors")

    def pipeline(self, bench: Bench) -> diffusers.DiffusionPipeline:
        pipe = self.load(self.folder(bench))
        # The file does not say how latents are scaled: as the model's own are.
        scaling = pipe.vae.config.scaling_factor
        pipe.vae = diffusers.AutoencoderKL.from_pretrained(self.other(bench), scaling_factor=scaling)
        return pipe


@dataclass(frozen=True)
class Everything(Loras):
    """Two LoRA, a textual inversion and another autoencoder at once."""

    @property
    def parts(self) -> tuple[Word, OtherVae]:
        return Word("", self.base), OtherVae("", self.base)

    @property
    def words(self) -> str:
        return f"a red {WORD} in the snow"

    @property
    def asked(self) -> Mapping[str, object]:
        return {**super().asked, "prompt": f"{self.words} <lora:one:{SCALES[0]}>", "vae": "other"}

    def prepare(self, bench: Bench) -> None:
        super().prepare(bench)
        for part in self.parts:
            part.prepare(bench)

    def pipeline(self, bench: Bench) -> diffusers.DiffusionPipeline:
        word, vae = self.parts
        pipe = super().pipeline(bench)
        pipe.vae = vae.pipeline(bench).vae
        word.teach(pipe)
        return pipe


SUBJECTS = (
    Loras("two LoRA over SD 1, text encoder and convolutions included", "sd"),
    Loras("two LoRA over SDXL, in the names its trainers write", "sdxl"),
    Word("a textual inversion of 3 vectors, SD 1", "sd"),
    Word("a textual inversion of 3 vectors, SDXL", "sdxl", ("euler-a",)),
    Everything("two LoRA, a textual inversion and another autoencoder, SD 1", "sd"),
    Everything("two LoRA, a textual inversion and another autoencoder, SDXL", "sdxl", ("euler-a",)),
    OtherVae("another autoencoder over SD 1, in CompVis's layout", "sd"),
    OtherVae("another autoencoder over SDXL, in CompVis's layout", "sdxl", ("euler-a",)),
)
