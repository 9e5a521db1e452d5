"""Configs of networks read off their weights: widths, depths and channels from parameter names and shapes. Torch-free.

A file in CompVis's layout brings no config. What its weights cannot say (number of heads, activation, scaling of
latents) belongs to the architecture and is given by ``limner.models.singlefiles.architectures``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from limner.errors import MismatchedWeights

Shapes = Mapping[str, tuple[int, ...]]
Config = dict[str, object]

GROUPS = 32  # channels are normalised in so many groups, in every published network of this kind
HEAD = 64  # channels a head of attention, in the text towers and in UNets newer than Stable Diffusion 1


def unet(shapes: Shapes, heads: Callable[[int], int]) -> Config:
    """``unet/config.json`` of parameters under our names. ``heads`` gives a block's number of heads for its channels.

    Raises ``MismatchedWeights`` where it is no whole UNet, or one whose blocks are uneven (SSD-1B and other pruned
    networks).
    """
    levels = _count(shapes, r"down_blocks\.(\d+)\.")
    widths = [_dimension(shapes, f"down_blocks.{i}.resnets.0.conv1.weight", 0) for i in range(levels)]
    layers = [_count(shapes, rf"down_blocks\.{i}\.resnets\.(\d+)\.") for i in range(levels)]
    depths = [_depth(shapes, f"down_blocks.{i}") for i in range(levels)]
    middle = _depth(shapes, "mid_block")
    if not levels or not middle or len(set(layers)) != 1 or (depths[-1] and depths[-1] != middle):
        raise _uneven()
    down = ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths]
    up = [name.replace("Down", "Up") for name in reversed(down)]
    attention = next(name for name in shapes if name.endswith("transformer_blocks.0.attn2.to_k.weight"))
    place = attention.split(".transformer_blocks")[0]
    # A last block without attention says how deep the middle one is.
    told = [*(depth or 1 for depth in depths[:-1]), middle]
    config: Config = {
        "in_channels": _dimension(shapes, "conv_in.weight", 1),
        "out_channels": _dimension(shapes, "conv_out.weight", 0),
        "block_out_channels": widths,
        "layers_per_block": layers[0],
        "down_block_types": down,
        "up_block_types": up,
        "transformer_layers_per_block": told,
        "attention_head_dim": [heads(width) for width in widths],
        "cross_attention_dim": shapes[attention][1],
        "use_linear_projection": len(shapes[f"{place}.proj_in.weight"]) == 2,
        "norm_num_groups": GROUPS,
    }
    if "add_embedding.linear_1.weight" in shapes:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = 256
        config["projection_class_embeddings_input_dim"] = shapes["add_embedding.linear_1.weight"][1]
    return config


def autoencoder(shapes: Shapes) -> Config:
    """``vae/config.json`` of parameters under our names, without its scaling. Raises ``MismatchedWeights``."""
    levels = _count(shapes, r"encoder\.down_blocks\.(\d+)\.")
    widths = [_dimension(shapes, f"encoder.down_blocks.{i}.resnets.0.conv1.weight", 0) for i in range(levels)]
    if not levels or "decoder.conv_in.weight" not in shapes:
        raise MismatchedWeights("the autoencoder in the file is not whole", hint="download the file again")
    return {
        "in_channels": _dimension(shapes, "encoder.conv_in.weight", 1),
        "out_channels": _dimension(shapes, "decoder.conv_out.weight", 0),
        "latent_channels": _dimension(shapes, "decoder.conv_in.weight", 1),
        "block_out_channels": widths,
        "layers_per_block": _count(shapes, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "norm_num_groups": GROUPS,
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
    }


def text(shapes: Shapes, activation: str) -> Config:
    """``text_encoder/config.json`` of a CLIP tower's parameters under our names. Raises ``MismatchedWeights``."""
    width = _dimension(shapes, "embeddings.token_embedding.weight", 1)
    config: Config = {
        "model_type": "clip_text_model",
        "vocab_size": _dimension(shapes, "embeddings.token_embedding.weight", 0),
        "hidden_size": width,
        "intermediate_size": _dimension(shapes, "encoder.layers.0.mlp.fc1.weight", 0),
        "num_hidden_layers": _count(shapes, r"encoder\.layers\.(\d+)\."),
        "num_attention_heads": max(1, width // HEAD),
        "max_position_embeddings": _dimension(shapes, "embeddings.position_embedding.weight", 0),
        "hidden_act": activation,
    }
    if "text_projection.weight" in shapes:
        config["projection_dim"] = shapes["text_projection.weight"][0]
    return config


def _dimension(shapes: Shapes, name: str, axis: int) -> int:
    shape = shapes.get(name, ())
    if len(shape) <= axis:
        raise MismatchedWeights(f"the file has no {name}, or not as one", hint="it is not whole; download it again")
    return shape[axis]


def _count(shapes: Shapes, pattern: str) -> int:
    found = (re.match(pattern, name) for name in shapes)
    return max((int(match[1]) for match in found if match is not None), default=-1) + 1


def _depth(shapes: Shapes, block: str) -> int:
    """Transformer layers of a block's attentions; 0 where it has none."""
    inside = [name for name in shapes if name.startswith(f"{block}.attentions.")]
    escaped = re.escape(block)
    depths = {
        _count(inside_of, rf"{escaped}\.attentions\.\d+\.transformer_blocks\.(\d+)\.")
        for number in {name.removeprefix(f"{block}.attentions.").split(".")[0] for name in inside}
        if (inside_of := {n: shapes[n] for n in inside if n.startswith(f"{block}.attentions.{number}.")})
    }
    if len(depths) > 1:
        raise _uneven()
    return depths.pop() if depths else 0


def _uneven() -> MismatchedWeights:
    return MismatchedWeights(
        "the UNet's blocks are not those of a published Stable Diffusion: it is pruned, or not whole",
        hint="use its diffusers folder or hub repo, which says how it is built",
    )
