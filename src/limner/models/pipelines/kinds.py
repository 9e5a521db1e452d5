"""What is known of diffusers' pipeline classes without importing them. Torch-free.

Defaults are those of each class's own call; ``tests/unit/models/test_pipeline_kinds.py`` compares every line with the
diffusers installed. A class that is not listed draws too: what it does where nothing is said is then its own affair,
and the Record leaves it open.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["KINDS", "Kind", "kind_of", "refusal"]

Progress = Literal["callback", "bar", "none"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One pipeline class.

    ``steps`` and ``guidance`` are what it does where nothing is said, ``None`` where that is not known; ``steps_as``
    and ``guidance_as`` the names of its arguments, empty where it takes none. ``negative`` tells whether it takes a
    negative prompt, ``off`` up to which guidance that has no effect, and ``by_negative`` whether guidance has none
    without it. ``packing`` is how many latents a side go into one
    token, 0 where the denoiser's config says (``patch_size``); ``multiple`` is set where size does not follow from
    that. ``side`` is the size drawn where nothing is said, in pixels, ``sample`` the same in latents; the configs say
    where neither does. ``bins`` marks a class that would draw at the nearest trained size and resize, and is told not
    to. ``tried`` marks those that Limner's tests draw with; ``listed`` is false for a class of which only the name is
    known.
    """

    name: str
    steps: int | None = None
    guidance: float | None = None
    negative: bool = True
    off: float = 1.0
    by_negative: bool = False
    progress: Progress = "callback"
    packing: int = 0
    multiple: int | None = None
    side: int | None = None
    sample: int | None = None
    bins: bool = False
    steps_as: str = "num_inference_steps"
    guidance_as: str = "guidance_scale"
    tried: bool = False
    listed: bool = True


_LISTED = (
    Kind("PixArtAlphaPipeline", 20, 4.5, progress="bar", bins=True, tried=True),
    Kind("PixArtSigmaPipeline", 20, 4.5, progress="bar", bins=True, tried=True),
    Kind("SanaPipeline", 20, 4.5, side=1024, multiple=32, bins=True, tried=True),
    Kind("SanaSprintPipeline", 2, 4.5, negative=False, side=1024, multiple=32, bins=True),
    Kind("StableDiffusion3Pipeline", 28, 7.0, tried=True),
    # FLUX takes one only with a second, "true" guidance that its checkpoints are not made for.
    Kind("FluxPipeline", 28, 3.5, negative=False, packing=2, sample=128, tried=True),
    Kind("ChromaPipeline", 35, 5.0, packing=2, sample=128),
    Kind("ZImagePipeline", 50, 5.0, off=0.0, packing=2, side=1024, tried=True),
    Kind("QwenImagePipeline", 50, 4.0, by_negative=True, packing=2, sample=128, guidance_as="true_cfg_scale",
         tried=True),
    Kind("AuraFlowPipeline", 50, 3.5, packing=2, side=1024, tried=True),
    Kind("Lumina2Pipeline", 30, 4.0, packing=2, tried=True),
    Kind("LuminaPipeline", 30, 4.0, packing=2),
    Kind("Kandinsky3Pipeline", 25, 3.0, multiple=64, side=1024, tried=True),
    Kind("CogView4Pipeline", 50, 5.0, multiple=16),
    Kind("HunyuanDiTPipeline", 50, 5.0, multiple=16, bins=True),
    Kind("StableCascadeCombinedPipeline", 60, 4.0, multiple=128, side=512, progress="bar",
         steps_as="prior_num_inference_steps", guidance_as="prior_guidance_scale"),
    Kind("WuerstchenCombinedPipeline", 60, 4.0, multiple=128, side=512, progress="bar",
         steps_as="prior_num_inference_steps", guidance_as="prior_guidance_scale"),
    Kind("LatentConsistencyModelPipeline", 4, 8.5, negative=False),
    Kind("StableDiffusionPipeline", 50, 7.5, tried=True),
    Kind("StableDiffusionXLPipeline", 50, 5.0, tried=True),
)  # fmt: skip

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _LISTED}

_REFUSED: tuple[tuple[str, str], ...] = (
    (r"Modular", "is put together by code, and Limner draws with whole pipelines only"),
    (r"Onnx|Flax", "does not run on PyTorch"),
    (r"Inpaint|Fill", "redraws part of a picture and cannot draw without one"),
    (r"Img2Img|I2I|ImageVariation|InstructPix2Pix|Edit|Depth2Img|CycleDiffusion|RePaint|Redux", "redraws a picture"),
    (r"ControlNet|Control|Adapter", "needs a control picture"),
    (r"Upscale|SuperResolution|Upsample|Refiner|SR(Pipeline)?$", "enlarges or repairs pictures"),
    (
        r"Video|Animate|Allegro|Latte|Mochi|CogVideo|LTX|SkyReels|^Wan|T2V|I2V|TextToWorld|ConsisID|PIA",
        "makes videos",
    ),
    (r"Audio|Music|Spectrogram|DanceDiffusion|AceStep", "makes sound"),
    (r"ShapE", "makes solid shapes"),
    (r"Marigold", "measures pictures"),
    (r"LLaDA|Gemma", "writes text"),
    (r"Prior(Emb2Emb)?Pipeline$", "makes embeddings for another pipeline, not pictures"),
    (
        r"DecoderPipeline$|^Kandinsky(V22)?Pipeline$",
        "draws what another pipeline prepared, and Limner has only this half",
    ),
    (r"^(DDPM|DDIM|PNDM|DiT|LDM|KarrasVe|ScoreSdeVe|ConsistencyModel)Pipeline$", "takes no words"),
)


def kind_of(name: str) -> Kind:
    """What is known of a class; of one that is not listed, only that it is called like the others."""
    return KINDS.get(name) or Kind(name, listed=False)


def refusal(name: str) -> str | None:
    """Why a class of that name makes no pictures from words alone, as ``"makes videos"``; ``None`` where it may.

    A class that is listed is never refused. What a name does not tell is found when the class is loaded.
    """
    if name in KINDS:
        return None
    return next((why for pattern, why in _REFUSED if re.search(pattern, name)), None)
