"""The published architectures that come as single files, and what of them no weights can say. Torch-free.

Sources: the configs beside the published weights of Stable Diffusion 1.5, 2.1, XL 1.0 and its refiner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from limner.models.singlefiles.shapes import HEAD

END, EXCLAMATION = "<|endoftext|>", "!"

_NOISE: Mapping[str, object] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
}
PNDM: Mapping[str, object] = {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **_NOISE}
DDIM: Mapping[str, object] = {"_class_name": "DDIMScheduler", **_NOISE}
EULER: Mapping[str, object] = {
    "_class_name": "EulerDiscreteScheduler",
    "interpolation_type": "linear",
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
    **_NOISE,
}


@dataclass(frozen=True, slots=True)
class Architecture:
    """One of them. ``texts`` are its text encoders: part to (class, activation); ``pads`` its tokenizers: part to what
    fills up a short text; ``side`` the latent's side it was trained at; ``said`` what its model_index.json says besides
    its parts."""

    title: str
    family: str
    pipeline: str
    inpainting: str
    texts: Mapping[str, tuple[str, str]]
    pads: Mapping[str, str]
    heads: Callable[[int], int]
    side: int
    scaling: float
    scheduler: Mapping[str, object]
    said: Mapping[str, object]

    def index(self, inputs: int) -> dict[str, object]:
        """The ``model_index.json`` it is published with; ``inputs`` are the UNet's channels."""
        parts: dict[str, object] = {part: ["transformers", name] for part, (name, _) in self.texts.items()}
        parts |= {part: ["transformers", "CLIPTokenizer"] for part in self.pads}
        parts |= {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
        parts["scheduler"] = ["diffusers", str(self.scheduler["_class_name"])]
        return {"_class_name": self.inpainting if inputs == INPAINTING else self.pipeline, **self.said, **parts}


INPAINTING = 9
"""Input channels of an inpainting UNet: latent, mask, latent of the masked picture."""


def _eight(_: int) -> int:
    return 8


def _by_width(channels: int) -> int:
    return max(1, channels // HEAD)


_FIRST = {"text_encoder": ("CLIPTextModel", "quick_gelu")}
_SECOND = {"text_encoder_2": ("CLIPTextModelWithProjection", "gelu")}
_SD = {"family": "sd", "pipeline": "StableDiffusionPipeline", "inpainting": "StableDiffusionInpaintPipeline"}

SD1 = Architecture(
    **_SD,
    title="Stable Diffusion 1",
    texts=_FIRST,
    pads={"tokenizer": END},
    heads=_eight,
    side=64,
    scaling=0.18215,
    scheduler=PNDM,
    said={},
)
SD2 = Architecture(
    **_SD,
    title="Stable Diffusion 2",
    texts={"text_encoder": ("CLIPTextModel", "gelu")},
    pads={"tokenizer": EXCLAMATION},
    heads=_by_width,
    side=64,
    scaling=0.18215,
    scheduler=DDIM,
    said={},
)
SDXL = Architecture(
    title="Stable Diffusion XL",
    family="sdxl",
    pipeline="StableDiffusionXLPipeline",
    inpainting="StableDiffusionXLInpaintPipeline",
    texts=_FIRST | _SECOND,
    pads={"tokenizer": END, "tokenizer_2": EXCLAMATION},
    heads=_by_width,
    side=128,
    scaling=0.13025,
    scheduler=EULER,
    said={"force_zeros_for_empty_prompt": True},
)
REFINER = Architecture(
    title="the refiner of Stable Diffusion XL",
    family="sdxl",
    pipeline="StableDiffusionXLImg2ImgPipeline",
    inpainting="StableDiffusionXLInpaintPipeline",
    texts=_SECOND,
    pads={"tokenizer_2": EXCLAMATION},
    heads=_by_width,
    side=128,
    scaling=0.13025,
    scheduler=EULER,
    said={"force_zeros_for_empty_prompt": False, "requires_aesthetics_score": True},
)
ALL = {"sd1": SD1, "sd2": SD2, "sdxl": SDXL, "sdxl-refiner": REFINER}
