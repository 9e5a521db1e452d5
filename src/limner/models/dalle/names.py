"""Where published files of DALL-E mini keep each of our parameters. Torch-free.

Three layouts are read: Flax trees (``flax_model.msgpack``, layers stacked or not), min-dalle's converted tensors, and
our own, whose names are the modules'. Ours joins projections that read the same input, so one parameter may have
several sources, joined along their outputs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from limner.models.nets.dalle_configs import DalleConfig

__all__ = ["Source", "flax_dalle", "flax_vqgan", "min_dalle", "min_dalle_vqgan"]


@dataclass(frozen=True, slots=True)
class Source:
    """A stored array, or one ``layer`` of a stacked one. ``kernel`` arrays have their outputs last, and are turned."""

    name: str
    layer: int | None = None
    kernel: bool = False


Sources = dict[str, tuple[Source, ...]]

# ours -> the Flax leaves and min-dalle's tensors it is joined from
_QKV = ("q_proj", "k_proj", "v_proj")
_SHARED: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "self_norm.bias": (("LayerNorm_0/bias",), ("pre_self_attn_layer_norm.bias",)),
    "self_attn.qkv.weight": (
        tuple(f"FlaxBartAttention_0/{p}/kernel" for p in _QKV),
        tuple(f"self_attn.{p}.weight" for p in _QKV),
    ),
    "self_attn.out.weight": (("FlaxBartAttention_0/out_proj/kernel",), ("self_attn.out_proj.weight",)),
    "self_post.weight": (("LayerNorm_1/scale",), ("self_attn_layer_norm.weight",)),
    "self_post.bias": (("LayerNorm_1/bias",), ("self_attn_layer_norm.bias",)),
    "glu.norm_in.bias": (("GLU_0/LayerNorm_0/bias",), ("glu.ln0.bias",)),
    "glu.fc_in.weight": (("GLU_0/Dense_0/kernel", "GLU_0/Dense_1/kernel"), ("glu.fc0.weight", "glu.fc1.weight")),
    "glu.norm_mid.bias": (("GLU_0/LayerNorm_1/bias",), ("glu.ln1.bias",)),
    "glu.fc_out.weight": (("GLU_0/Dense_2/kernel",), ("glu.fc2.weight",)),
}
_CROSS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "cross_norm.bias": (("LayerNorm_2/bias",), ("pre_encoder_attn_layer_norm.bias",)),
    "cross_attn.q.weight": (("FlaxBartAttention_1/q_proj/kernel",), ("encoder_attn.q_proj.weight",)),
    "cross_attn.kv.weight": (
        ("FlaxBartAttention_1/k_proj/kernel", "FlaxBartAttention_1/v_proj/kernel"),
        ("encoder_attn.k_proj.weight", "encoder_attn.v_proj.weight"),
    ),
    "cross_attn.out.weight": (("FlaxBartAttention_1/out_proj/kernel",), ("encoder_attn.out_proj.weight",)),
    "cross_post.weight": (("LayerNorm_3/scale",), ("encoder_attn_layer_norm.weight",)),
    "cross_post.bias": (("LayerNorm_3/bias",), ("encoder_attn_layer_norm.bias",)),
}
_LAYER = {"encoder": _SHARED, "decoder": {**_SHARED, **_CROSS}}
_OUTER: Mapping[str, tuple[str, str]] = {
    "embed_tokens.weight": ("embed_tokens/embedding", "embed_tokens.weight"),
    "embed_positions.weight": ("embed_positions/embedding", "embed_positions.weight"),
    "layernorm_embedding.weight": ("layernorm_embedding/scale", "layernorm_embedding.weight"),
    "layernorm_embedding.bias": ("layernorm_embedding/bias", "layernorm_embedding.bias"),
    "final_ln.bias": ("final_ln/bias", "final_ln.bias"),
}


def flax_dalle(config: DalleConfig, names: Collection[str]) -> Sources:
    """Sources in a Flax tree. Whether layers are stacked is seen from its ``names``, side by side."""
    found: Sources = {"lm_head.weight": (_flax("lm_head/kernel"),)}
    for side, layers in _sides(config):
        found |= {f"{side}.{ours}": (_flax(f"model/{side}/{flax}"),) for ours, (flax, _) in _OUTER.items()}
        stem = f"model/{side}/layers/FlaxBart{side.capitalize()}Layer"
        stacked = any(name.startswith(stem + "s/") for name in names)
        for i in range(layers):
            base, layer = (f"{stem}s", i) if stacked else (f"{stem}_{i}", None)
            for ours, (flax, _) in _LAYER[side].items():
                found[f"{side}.layers.{i}.{ours}"] = tuple(_flax(f"{base}/{leaf}", layer) for leaf in flax)
    return found


def _flax(name: str, layer: int | None = None) -> Source:
    return Source(name, layer, kernel=name.endswith("/kernel"))


def min_dalle(config: DalleConfig) -> Sources:
    """Sources in min-dalle's tensors, named ``encoder:...`` and ``decoder:...`` by the file they are in."""
    found: Sources = {"lm_head.weight": (Source("decoder:lm_head.weight"),)}
    for side, layers in _sides(config):
        found |= {f"{side}.{ours}": (Source(f"{side}:{theirs}"),) for ours, (_, theirs) in _OUTER.items()}
        for i in range(layers):
            for ours, (_, theirs) in _LAYER[side].items():
                found[f"{side}.layers.{i}.{ours}"] = tuple(Source(f"{side}:layers.{i}.{name}") for name in theirs)
    return found


def _sides(config: DalleConfig) -> Iterator[tuple[str, int]]:
    yield "encoder", config.encoder.layers
    yield "decoder", config.decoder.layers


_INDEXED = re.compile(r"(?<=/)(up|block|attn)_(\d+)(?=/)")
_LAST = {"kernel": "weight", "scale": "weight", "embedding": "weight", "bias": "bias"}


def flax_vqgan(names: Iterable[str]) -> Sources:
    """Sources in a VQGAN's Flax tree; its encoding half is left out."""
    found: Sources = {}
    for name in names:
        if name.startswith(("encoder/", "quant_conv/")):
            continue
        *path, last = name.split("/")
        if path[:2] == ["decoder", "mid"]:  # whose blocks are numbered in their names
            ours = ".".join(path)
        else:
            ours = _INDEXED.sub(r"\1.\2", "/" + "/".join(path) + "/").strip("/").replace("/", ".")
        found[f"{ours}.{_LAST.get(last, last)}"] = (Source(name, kernel=last == "kernel"),)
    return found


def min_dalle_vqgan(names: Iterable[str]) -> Sources:
    """Sources in min-dalle's ``detoker`` tensors, which are the original names but for the codebook's."""
    return {
        "quantize.embedding.weight" if name == "embedding.weight" else name: (Source(name),)
        for name in names
        if not name.startswith(("encoder.", "quant_conv.", "loss."))
    }
