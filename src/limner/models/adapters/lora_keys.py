"""What the names in a LoRA file say: which layer, and which of its matrices. Torch-free.

Four tongues are read: kohya's ``lora_unet_down_blocks_0_..._to_q.lora_down.weight`` (LyCORIS' ``hada_`` and ``lokr_``
too), diffusers' ``unet.down_blocks.0....to_q.lora.down.weight`` in its older and newer forms, and peft's
``base_model.model....lora_A.weight``. All come down to a layer's name with ``_`` between its parts.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SLOTS: tuple[tuple[re.Pattern[str], str | None], ...] = tuple(
    (re.compile(pattern), slot)
    for pattern, slot in (
        (r"\.(?:lora_down|lora\.down|lora_linear_layer\.down|lora_A(?:\.[\w-]+)?)(?:\.weight)?$", "down"),
        (r"\.(?:lora_up|lora\.up|lora_linear_layer\.up|lora_B(?:\.[\w-]+)?)(?:\.weight)?$", "up"),
        (r"_lora\.down\.weight$", "down"),
        (r"_lora\.up\.weight$", "up"),
        (r"\.lora_mid(?:\.weight)?$", "mid"),
        (r"\.alpha$", "alpha"),
        (r"\.(hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2)|diff)$", None),
    )
)
_BIAS = re.compile(r"\.bias$")

UNSUPPORTED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\.dora_scale$|\.lora_magnitude_vector(?:\.|$)"), "DoRA (a LoRA with magnitudes)"),
    (re.compile(r"\.oft_|\.boft_"), "OFT (an orthogonal fine-tuning)"),
    (re.compile(r"\.on_input$"), "(IA)^3"),
    (re.compile(r"\.(?:a1|a2|b1|b2)\.weight$"), "GLoRA"),
)
"""What is told apart from a LoRA, and cannot be run as one."""

# Longest first; what stands in front says which network it is for.
_PREFIXES: tuple[tuple[str, str | None], ...] = (
    ("base_model.model.", None),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("lora_transformer_", "transformer"),
    ("lora_unet_", "unet"),
    ("lycoris_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te_", "text_encoder"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder.", "text_encoder"),
    ("transformer.", "transformer"),
    ("unet.", "unet"),
)


class Key(NamedTuple):
    """``part`` is ``None`` where the name does not say; ``layer`` is flat; ``stem`` is what its keys have in common."""

    part: str | None
    layer: str
    slot: str
    stem: str


def read_key(name: str) -> Key | None:
    """``None`` for a name that is of no form known, a bias included."""
    if _BIAS.search(name):
        return None
    for pattern, said in _SLOTS:
        if match := pattern.search(name):
            stem = name[: match.start()]
            part, inside = _part(stem)
            return Key(part, _flat(inside), said or match[1], stem)
    return None


def unsupported(name: str) -> str | None:
    """The kind of adapter that a name belongs to, where it is one that cannot be used."""
    return next((kind for pattern, kind in UNSUPPORTED if pattern.search(name)), None)


def _part(stem: str) -> tuple[str | None, str]:
    said: str | None = None
    for prefix, part in _PREFIXES:
        if stem.startswith(prefix):
            stem, said = stem.removeprefix(prefix), said or part
    return said, stem


def _flat(inside: str) -> str:
    """Older diffusers files put a layer's processor between: ``attn1.processor.to_out_lora`` is ``attn1.to_out.0``."""
    name = inside.replace(".processor.", ".").replace(".", "_")
    return name + "_0" if inside.endswith((".processor.to_out", ".to_out")) else name
