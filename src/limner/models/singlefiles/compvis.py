"""The names that CompVis's and Stability's code gave the parameters of latent diffusion, and ours for the same.

Files in this layout hold a whole checkpoint: UNet, autoencoder and text encoders, each under a prefix of its own. Our
names are those of the diffusers and transformers classes. Where a block lies is read from the names alone, by walking
the file's own numbering, so networks of any depth are understood. Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."

_RESNET = (
    ("in_layers.0.", "norm1."),
    ("in_layers.2.", "conv1."),
    ("emb_layers.1.", "time_emb_proj."),
    ("out_layers.0.", "norm2."),
    ("out_layers.3.", "conv2."),
    ("skip_connection.", "conv_shortcut."),
)
_SAMPLER = (("op.", "conv."),)
_UNET_ENDS = (
    ("time_embed.0.", "time_embedding.linear_1."),
    ("time_embed.2.", "time_embedding.linear_2."),
    ("label_emb.0.0.", "add_embedding.linear_1."),
    ("label_emb.0.2.", "add_embedding.linear_2."),
    ("input_blocks.0.0.", "conv_in."),
    ("middle_block.0.", "mid_block.resnets.0."),
    ("middle_block.1.", "mid_block.attentions.0."),
    ("middle_block.2.", "mid_block.resnets.1."),
    ("out.0.", "conv_norm_out."),
    ("out.2.", "conv_out."),
)
_NUMBERED = re.compile(r"^(input_blocks|output_blocks)\.(\d+)\.")


def unet_names(names: Collection[str]) -> Mapping[str, str]:
    """Our names of a UNet's parameters, whose own ``names`` come without their prefix. Names that are not those of a
    UNet are left out."""
    places = dict([*_UNET_ENDS, *_way_down(names), *_way_up(names)])
    found = {}
    for name in names:
        place = next((prefix for prefix in _prefixes(name) if prefix in places), None)
        if place is None:
            continue
        new, rest = places[place], name.removeprefix(place)
        found[name] = new + _renamed(rest, _RESNET if ".resnets." in new else _SAMPLER)
    return found


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:k]) + "." for k in (3, 2))


def _numbers(names: Iterable[str], kind: str) -> list[int]:
    found = (_NUMBERED.match(name) for name in names)
    return sorted({int(match[2]) for match in found if match is not None and match[1] == kind})


def _way_down(names: Collection[str]) -> Iterator[tuple[str, str]]:
    level = layer = 0
    for n in (n for n in _numbers(names, "input_blocks") if n > 0):
        if f"input_blocks.{n}.0.op.weight" in names:
            yield f"input_blocks.{n}.0.", f"down_blocks.{level}.downsamplers.0."
            level, layer = level + 1, 0
            continue
        yield f"input_blocks.{n}.0.", f"down_blocks.{level}.resnets.{layer}."
        yield f"input_blocks.{n}.1.", f"down_blocks.{level}.attentions.{layer}."
        layer += 1


def _way_up(names: Collection[str]) -> Iterator[tuple[str, str]]:
    level = layer = 0
    for n in _numbers(names, "output_blocks"):
        block = f"output_blocks.{n}"
        # An upsampler stands behind the attention, or in its place where a block has none.
        enlarged = next((k for k in (1, 2) if f"{block}.{k}.conv.weight" in names), None)
        yield f"{block}.0.", f"up_blocks.{level}.resnets.{layer}."
        if enlarged != 1:
            yield f"{block}.1.", f"up_blocks.{level}.attentions.{layer}."
        layer += 1
        if enlarged is not None:
            yield f"{block}.{enlarged}.", f"up_blocks.{level}.upsamplers.0."
            level, layer = level + 1, 0


def _renamed(name: str, table: Iterable[tuple[str, str]]) -> str:
    return next((new + name.removeprefix(old) for old, new in table if name.startswith(old)), name)


_VAE_LEVEL = re.compile(r"^(encoder\.down|decoder\.up)\.(\d+)\.(block\.(\d+)|downsample|upsample)\.(.+)$")
_VAE_MIDDLE = re.compile(r"^(encoder|decoder)\.mid\.(block_1|block_2|attn_1)\.(.+)$")
_VAE_END = re.compile(r"^((?:encoder|decoder)\.(?:conv_in|conv_out|norm_out)|quant_conv|post_quant_conv)\.(.+)$")
_VAE_ATTENTION = (
    ("norm.", "group_norm."),
    ("q.", "to_q."),
    ("k.", "to_k."),
    ("v.", "to_v."),
    ("proj_out.", "to_out.0."),
)
_VAE_MIDDLES = {"block_1": "resnets.0", "block_2": "resnets.1", "attn_1": "attentions.0"}


def vae_names(names: Collection[str]) -> Mapping[str, str]:
    """Our names of an autoencoder's parameters, whose own come without their prefix; others are left out."""
    levels = [int(match[2]) for match in map(_VAE_LEVEL.match, names) if match is not None]
    last = max(levels, default=0)
    return {name: new for name in names if (new := _vae_name(name, last)) is not None}


def _vae_name(name: str, last: int) -> str | None:
    if match := _VAE_LEVEL.match(name):
        side, number, what, layer, rest = match[1], int(match[2]), match[3], match[4], match[5]
        block = f"encoder.down_blocks.{number}" if side == "encoder.down" else f"decoder.up_blocks.{last - number}"
        if layer is None:
            return f"{block}.{what}rs.0.{rest}"
        return f"{block}.resnets.{layer}.{_renamed(rest, (('nin_shortcut.', 'conv_shortcut.'),))}"
    if match := _VAE_MIDDLE.match(name):
        rest = _renamed(match[3], _VAE_ATTENTION) if match[2] == "attn_1" else match[3]
        return f"{match[1]}.mid_block.{_VAE_MIDDLES[match[2]]}.{rest}"
    if match := _VAE_END.match(name):
        return f"{match[1].replace('.norm_out', '.conv_norm_out')}.{match[2]}"
    return None


_OPEN_CLIP = (
    ("token_embedding.", "embeddings.token_embedding."),
    ("positional_embedding", "embeddings.position_embedding.weight"),
    ("ln_final.", "final_layer_norm."),
    ("text_projection", "text_projection.weight"),
)
_OPEN_CLIP_LAYER = re.compile(r"^transformer\.resblocks\.(\d+)\.(.+)$")
_OPEN_CLIP_INSIDE = (
    ("ln_1.", "layer_norm1."),
    ("ln_2.", "layer_norm2."),
    ("attn.out_proj.", "self_attn.out_proj."),
    ("mlp.c_fc.", "mlp.fc1."),
    ("mlp.c_proj.", "mlp.fc2."),
)
QKV = ("q_proj", "k_proj", "v_proj")
"""The three that OpenCLIP stores as one matrix, one above the other."""


def open_clip_names(names: Iterable[str], layers: int | None) -> Mapping[str, tuple[str, ...]]:
    """Our names of an OpenCLIP text tower's parameters: three of them where queries, keys and values are stored as one.

    ``layers`` is how many of them are used (Stable Diffusion 2 leaves out the last). ``text_projection`` is stored
    transposed. Names that are not those of a text tower are left out.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        match = _OPEN_CLIP_LAYER.match(name)
        if match is None:
            new = _renamed(name, _OPEN_CLIP)
            if new != name:
                found[name] = (new,)
        elif layers is None or int(match[1]) < layers:
            place, rest = f"encoder.layers.{match[1]}.", match[2]
            if rest in ("attn.in_proj_weight", "attn.in_proj_bias"):
                end = rest.removeprefix("attn.in_proj_")
                found[name] = tuple(f"{place}self_attn.{each}.{end}" for each in QKV)
            else:
                found[name] = (place + _renamed(rest, _OPEN_CLIP_INSIDE),)
    return found


_EMA = "model_ema.diffusion_model"
_EMA_BLOCK = re.compile(r"^(input_blocks|output_blocks|middle_block)(\d+)(?=[a-z])")
_EMA_WORDS = re.compile(
    r"(time_embed|label_emb|transformer_blocks|attn[12]|norm[123]?|ff|net|to_q|to_k|to_v|to_out|proj_in|proj_out|proj"
    r"|in_layers|out_layers|emb_layers|skip_connection|op|conv|weight|bias|out|\d)"
)


def averaged_names(names: Iterable[str]) -> Mapping[str, str]:
    """``model_ema.diffusion_model...`` entries to what they are the average of, with its prefix.

    Their names are those of the parameters without the dots, which go back where a word or a number begins.
    """
    return {name: UNET_PREFIX + _dotted(name.removeprefix(_EMA)) for name in names if name.startswith(_EMA)}


def _dotted(name: str) -> str:
    match = _EMA_BLOCK.match(name)
    if match is None:
        return ".".join(_EMA_WORDS.findall(name))
    number = match[2]
    # A block's number has one or two digits; the place within it has one.
    place = [number] if match[1] == "middle_block" else [number[:-1], number[-1]]
    rest = name[match.end() :]
    return ".".join([match[1], *place, *_inner(rest)])


def _inner(rest: str) -> list[str]:
    words = _EMA_WORDS.findall(rest)
    joined: list[str] = []
    for word in words:
        # Transformer blocks are numbered up to 9 and beyond in XL: digits that follow each other are one number there.
        if (
            joined
            and word.isdigit()
            and joined[-1].isdigit()
            and len(joined) > 1
            and joined[-2] == "transformer_blocks"
        ):
            joined[-1] += word
        else:
            joined.append(word)
    return joined
