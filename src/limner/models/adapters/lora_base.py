"""Which family of models a LoRA file was made for: by what its trainer wrote, else by shapes. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping

from limner.models.adapters.lora_file import LoraFile

SD1, SD2, XL = "Stable Diffusion 1", "Stable Diffusion 2", "Stable Diffusion XL"
CONTEXT: Mapping[int, str] = {768: SD1, 1024: SD2, 2048: XL, 1280: "the refiner of Stable Diffusion XL"}
"""Width of the text that a UNet's cross-attention reads."""

_SAID: tuple[tuple[str, str], ...] = (
    (r"sdxl|stable-diffusion-xl|xl[-_]base", XL),
    (r"sd_?v?2|stable-diffusion-v2", SD2),
    (r"sd_?v?1|stable-diffusion-v1", SD1),
    (r"sd3|stable-diffusion-v?3", "Stable Diffusion 3"),
    (r"flux", "FLUX.1"),
    (r"pixart", "PixArt"),
    (r"lumina", "Lumina"),
    (r"hunyuan", "Hunyuan"),
)
_LAYERS: tuple[tuple[str, str], ...] = (
    (r"double_blocks|single_blocks|single_transformer_blocks", "FLUX.1"),
    (r"joint_blocks|context_block|attn_add_[kqv]|add_[kqv]_proj", "Stable Diffusion 3"),
    (r"temporal|motion_modules", "a video model"),
)
_METADATA = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name")
_CROSS = re.compile(r"attn2_to_[kv]$")


def base_of(lora: LoraFile) -> str | None:
    """A family's name for people; ``None`` where neither metadata nor shapes say."""
    return _by_shapes(lora) or _by_words(lora.metadata)


def _by_words(metadata: Mapping[str, str]) -> str | None:
    for field in _METADATA:
        said = metadata.get(field, "").lower()
        for pattern, family in _SAID:
            if re.search(pattern, said):
                return family
    return None


def _by_shapes(lora: LoraFile) -> str | None:
    for layer in lora.layers:
        for pattern, family in _LAYERS:
            if re.search(pattern, layer.name):
                return family
    widths = {layer.inputs for layer in lora.layers if layer.part != "transformer" and _CROSS.search(layer.name)}
    return CONTEXT.get(widths.pop()) if len(widths) == 1 else None
