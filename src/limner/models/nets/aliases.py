"""Names under which published files store the same weights, and entries that no network of ours reads.

Canonical names are those the current diffusers and transformers classes publish. Parts are named as the folders of a
checkpoint are: ``unet``, ``vae``, ``text_encoder``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

# Files saved from a compiled or a data-parallel module carry the wrapper's name.
_WRAPPERS = re.compile(r"^(?:_orig_mod\.|module\.)+")

# The autoencoder's attention, before all attention layers got the same names.
_VAE_ATTENTION = re.compile(r"^((?:en|de)coder\.mid_block\.attentions\.0)\.(query|key|value|proj_attn)\.(weight|bias)$")
_VAE_ATTENTION_NAMES: Mapping[str, str] = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_VAE_MATRIX = re.compile(r"^(?:en|de)coder\.mid_block\.attentions\.0\.(?:to_[qkv]|to_out\.0)\.weight$")

# `position_ids` is 0, 1, 2, ... and follows from the config; the rest is CLIP's picture side and its projections.
_CLIP_IGNORED = re.compile(
    r"^(?:(?:text_model\.)?embeddings\.position_ids|vision_model\..*|visual_projection\.weight|logit_scale)$"
)
# The second text encoder of XL pools the text, and so needs what the first has no use for.
_PROJECTION = "text_projection.weight"
POOLING = "text_encoder_2"


def canonical_names(part: str, names: Iterable[str]) -> dict[str, str | None]:
    """For each stored name of a file of ``part``, the parameter it is for; ``None`` for what is knowingly ignored.

    Names that are neither aliased nor ignored map to themselves. Two stored names may map to one parameter: that is for
    the caller to refuse.
    """
    return {name: _canonical(part, _WRAPPERS.sub("", name)) for name in names}


def may_be_convolution(part: str, name: str) -> bool:
    """Whether older files store the matrix ``name`` as a 1x1 convolution ``[out, in, 1, 1]``."""
    return part == "vae" and _VAE_MATRIX.match(name) is not None


def _canonical(part: str, name: str) -> str | None:
    if part == "vae":
        return _VAE_ATTENTION.sub(lambda m: f"{m[1]}.{_VAE_ATTENTION_NAMES[m[2]]}.{m[3]}", name)
    if part.startswith("text_encoder"):
        ignored = _CLIP_IGNORED.match(name) or (name == _PROJECTION and part != POOLING)
        return None if ignored else name.removeprefix("text_model.")
    return name
