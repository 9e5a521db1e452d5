"""Published CLIP files (Radford et al. 2021, arXiv:2103.00020) under the names of our ``Clip``: transformers' layout,
which has them, and open_clip's (Ilharco et al. 2021)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from torch import Tensor

_LEFT = re.compile(r"(.*\.position_ids|attn_mask|logit_bias)$")
_TOWERS = (
    (r"visual\.class_embedding", "vision_model.embeddings.class_embedding"),
    (r"visual\.positional_embedding", "vision_model.embeddings.position_embedding.weight"),
    (r"visual\.conv1\.weight", "vision_model.embeddings.patch_embedding.weight"),
    (r"visual\.ln_pre\.", "vision_model.pre_layrnorm."),
    (r"visual\.ln_post\.", "vision_model.post_layernorm."),
    (r"visual\.proj$", "visual_projection.weight"),
    (r"visual\.transformer\.resblocks\.", "vision_model.encoder.layers."),
    (r"token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"ln_final\.", "text_model.final_layer_norm."),
    (r"text_projection$", "text_projection.weight"),
    (r"transformer\.resblocks\.", "text_model.encoder.layers."),
)
_INNER = (
    (".ln_1.", ".layer_norm1."),
    (".ln_2.", ".layer_norm2."),
    (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
    (".attn.out_proj.", ".self_attn.out_proj."),
)


def names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under the module's names; what no network needs is left out."""
    kept = {name: tensor for name, tensor in tensors.items() if not _LEFT.match(name)}
    return dict(_from_open_clip(kept)) if "visual.conv1.weight" in kept else kept


def _from_open_clip(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for stored, tensor in tensors.items():
        name = next((re.sub(f"^{old}", new, stored) for old, new in _TOWERS if re.match(old, stored)), stored)
        for old, new in _INNER:
            name = name.replace(old, new)
        if match := re.fullmatch(r"(.*)\.attn\.in_proj_(weight|bias)", name):
            for part, rows in zip("qkv", tensor.chunk(3), strict=True):
                yield f"{match[1]}.self_attn.{part}_proj.{match[2]}", rows
        else:
            yield name, tensor.T if name.endswith("_projection.weight") else tensor
