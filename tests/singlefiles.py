"""Tiny Stable Diffusion checkpoints in the layout of CompVis's and Stability's code: one safetensors file.

The names are written from the architecture (block by block, as that code numbers them), not by turning the product's
own tables round, so that both can be wrong only in different ways.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerFast

from tests.checkpoints import LENGTH, POCKET, VOCABULARY

State = dict[str, Tensor]
WIDTH = 64  # of the text states; one head
NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
INSIDE_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def sd1(folder: Path, *, inputs: int = 4) -> StableDiffusionPipeline:
    """Written to ``folder`` in the diffusers layout, and answered."""
    unet = _unet(attention_head_dim=8, cross_attention_dim=WIDTH, in_channels=inputs, sample_size=64)
    return _sd(folder, unet, _text("quick_gelu", 2), PNDMScheduler(skip_prk_steps=True, **_without("clip_sample")))


def sd2(folder: Path, prediction: str = "v_prediction") -> StableDiffusionPipeline:
    """As ``sd1``. 23 text layers, as the published one has."""
    unet = _unet(
        attention_head_dim=(1, 2),
        block_out_channels=(64, 128),
        cross_attention_dim=WIDTH,
        use_linear_projection=True,
        sample_size=96 if prediction == "v_prediction" else 64,
    )
    return _sd(folder, unet, _text("gelu", 23), DDIMScheduler(prediction_type=prediction, **NOISE))


def _sd(folder: Path, unet: Any, text: Any, scheduler: Any) -> StableDiffusionPipeline:
    pipe = StableDiffusionPipeline(
        vae=_vae(0.18215),
        text_encoder=text,
        tokenizer=_tokenizer(folder),
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    _as_published(folder)
    return pipe


def _as_published(folder: Path) -> None:
    """The published configs of 1 and 2 are older than this setting, and leave it to each solver."""
    path = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(path.read_text())
    del config["timestep_spacing"]
    path.write_text(json.dumps(config))


def sdxl(folder: Path, *, refiner: bool = False) -> StableDiffusionXLPipeline | StableDiffusionXLImg2ImgPipeline:
    """Base or refiner, written to ``folder`` in the diffusers layout, and answered."""
    width = WIDTH if refiner else 2 * WIDTH
    unet = _unet(
        attention_head_dim=(1, 2),
        block_out_channels=(64, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        cross_attention_dim=width,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=WIDTH + 256 * (5 if refiner else 6),
        sample_size=128,
    )
    parts = {
        "vae": _vae(0.13025),
        "text_encoder": None if refiner else _text("quick_gelu", 2),
        "text_encoder_2": _text("gelu", 3, CLIPTextModelWithProjection),
        "tokenizer": None if refiner else _tokenizer(folder),
        "tokenizer_2": _tokenizer(folder),
        "unet": unet,
        "scheduler": EulerDiscreteScheduler(timestep_spacing="leading", **_without("clip_sample", "set_alpha_to_one")),
    }
    if refiner:
        pipe = StableDiffusionXLImg2ImgPipeline(
            **parts, requires_aesthetics_score=True, force_zeros_for_empty_prompt=False
        )
    else:
        pipe = StableDiffusionXLPipeline(**parts)
    pipe.save_pretrained(folder)
    return pipe


def _without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in NOISE.items() if key not in keys}


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    place = folder.parent / f"{folder.name}-words"
    shutil.copytree(POCKET / "tokenizer", place, dirs_exist_ok=True)
    return PreTrainedTokenizerFast.from_pretrained(place)


def _text(activation: str, layers: int, kind: Any = CLIPTextModel) -> Any:
    return kind(
        CLIPTextConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=96,
            num_hidden_layers=layers,
            num_attention_heads=1,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            hidden_act=activation,
            bos_token_id=2,
            eos_token_id=3,
            pad_token_id=0,
        )
    )


def _unet(**kind: Any) -> UNet2DConditionModel:
    usual: dict[str, Any] = {
        "out_channels": 4,
        "layers_per_block": 2,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    }
    return UNet2DConditionModel(**(usual | kind))


def _vae(scaling: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 64),
        latent_channels=4,
        layers_per_block=2,
        sample_size=512,
        scaling_factor=scaling,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )


def write(
    pipe: Any, path: Path, *, drop: str = "", extra: Mapping[str, Tensor] | None = None, dtype: Any = None
) -> Path:
    """The pipeline's weights in one file, and its tokenizers beside it. ``drop`` leaves out names that begin so."""
    state = {name: tensor for name, tensor in whole(pipe).items() if not drop or not name.startswith(drop)}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: _own(t if dtype is None else t.to(dtype)) for name, t in (state | dict(extra or {})).items()}, path
    )
    for part in ("tokenizer", "tokenizer_2"):
        if getattr(pipe, part, None) is not None:
            shutil.copytree(POCKET / "tokenizer", path.parent / part, dirs_exist_ok=True)
    return path


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().clone().contiguous()


def whole(pipe: Any) -> State:
    """All parts under the names of the original code."""
    state = {f"model.diffusion_model.{name}": tensor for name, tensor in unet(pipe.unet).items()}
    state |= {f"first_stage_model.{name}": tensor for name, tensor in vae(pipe.vae).items()}
    first, second = getattr(pipe, "text_encoder", None), getattr(pipe, "text_encoder_2", None)
    if second is None:
        prefix = "cond_stage_model."
        if first.config.hidden_act == "gelu":
            state |= {f"{prefix}model.{name}": tensor for name, tensor in open_clip(first, dummy=True).items()}
        else:
            state |= {f"{prefix}transformer.{name}": tensor for name, tensor in clip(first).items()}
        return state
    if first is not None:
        state |= {f"conditioner.embedders.0.transformer.{name}": tensor for name, tensor in clip(first).items()}
    prefix = f"conditioner.embedders.{0 if first is None else 1}.model."
    return state | {prefix + name: tensor for name, tensor in open_clip(second).items()}


def clip(model: Any) -> State:
    """transformers' names of the time, with the prefix and the buffer they had then."""
    state = {
        name if name.startswith("text_model.") else f"text_model.{name}": t for name, t in model.state_dict().items()
    }
    positions = torch.arange(model.config.max_position_embeddings)[None]
    return state | {"text_model.embeddings.position_ids": positions}


def open_clip(model: Any, *, dummy: bool = False) -> State:
    """OpenCLIP's names. ``dummy`` adds the last layer, which Stable Diffusion 2 never uses."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in model.state_dict().items()}
    layers = model.config.num_hidden_layers
    out = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "logit_scale": torch.tensor(4.6),
    }
    projection = state.get("text_projection.weight")
    out["text_projection"] = torch.randn(WIDTH, WIDTH) if projection is None else projection.T
    for i in range(layers + dummy):
        place, old = f"transformer.resblocks.{i}.", f"encoder.layers.{min(i, layers - 1)}."
        for end in ("weight", "bias"):
            rows = [state[f"{old}self_attn.{part}_proj.{end}"] for part in "qkv"]
            out[f"{place}attn.in_proj_{end}"] = torch.cat(rows) + (1.0 if i == layers else 0.0)
            for new, name in (
                ("attn.out_proj", "self_attn.out_proj"),
                ("ln_1", "layer_norm1"),
                ("ln_2", "layer_norm2"),
                ("mlp.c_fc", "mlp.fc1"),
                ("mlp.c_proj", "mlp.fc2"),
            ):
                out[f"{place}{new}.{end}"] = state[f"{old}{name}.{end}"]
    return out


def unet(model: UNet2DConditionModel) -> State:
    """Numbered as the original code numbers its blocks: one number for each layer and each change of size."""
    state = dict(model.state_dict())
    places = dict(_unet_places(model.config))
    out: State = {}
    for name, tensor in state.items():
        place = max((old for old in places if name.startswith(old)), key=len)
        rest = name.removeprefix(place)
        if ".resnets." in place or place.startswith("mid_block.resnets"):
            layer, end = rest.rsplit(".", 1)
            rest = f"{INSIDE_RESNET[layer]}.{end}"
        out[places[place] + rest] = tensor
    assert len(out) == len(state)
    return out


def _unet_places(config: Any) -> Iterator[tuple[str, str]]:
    yield from (
        ("conv_in.", "input_blocks.0.0."),
        ("time_embedding.linear_1.", "time_embed.0."),
        ("time_embedding.linear_2.", "time_embed.2."),
        ("add_embedding.linear_1.", "label_emb.0.0."),
        ("add_embedding.linear_2.", "label_emb.0.2."),
        ("conv_norm_out.", "out.0."),
        ("conv_out.", "out.2."),
        ("mid_block.resnets.0.", "middle_block.0."),
        ("mid_block.attentions.0.", "middle_block.1."),
        ("mid_block.resnets.1.", "middle_block.2."),
    )
    levels, layers = len(config.block_out_channels), config.layers_per_block
    number = 1
    for level in range(levels):
        for layer in range(layers):
            yield f"down_blocks.{level}.resnets.{layer}.", f"input_blocks.{number}.0."
            yield f"down_blocks.{level}.attentions.{layer}.", f"input_blocks.{number}.1."
            number += 1
        if level < levels - 1:
            yield f"down_blocks.{level}.downsamplers.0.conv.", f"input_blocks.{number}.0.op."
            number += 1
    number = 0
    for level in range(levels):
        attends = config.up_block_types[level].startswith("CrossAttn")
        for layer in range(layers + 1):
            yield f"up_blocks.{level}.resnets.{layer}.", f"output_blocks.{number}.0."
            yield f"up_blocks.{level}.attentions.{layer}.", f"output_blocks.{number}.1."
            if layer == layers and level < levels - 1:
                yield f"up_blocks.{level}.upsamplers.0.conv.", f"output_blocks.{number}.{1 + attends}.conv."
            number += 1


def vae(model: AutoencoderKL) -> State:
    """The decoder's levels are counted from the smallest picture's other end; attention is stored as convolutions."""
    last = len(model.config.block_out_channels) - 1
    return dict(_vae_entry(name, tensor, last) for name, tensor in model.state_dict().items())


def _vae_entry(name: str, tensor: Tensor, last: int) -> tuple[str, Tensor]:
    parts = name.split(".")
    if parts[0] in ("encoder", "decoder") and parts[1] in ("down_blocks", "up_blocks"):
        side = "down" if parts[1] == "down_blocks" else "up"
        level = int(parts[2]) if side == "down" else last - int(parts[2])
        place = f"{parts[0]}.{side}.{level}."
        if parts[3] == "resnets":
            rest = ".".join(parts[5:]).replace("conv_shortcut", "nin_shortcut")
            return f"{place}block.{parts[4]}.{rest}", tensor
        return f"{place}{side}sample.{'.'.join(parts[5:])}", tensor
    if parts[1] == "mid_block" and parts[2] == "resnets":
        return f"{parts[0]}.mid.block_{int(parts[3]) + 1}.{'.'.join(parts[4:])}", tensor
    if parts[1] == "mid_block":
        layer = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}[parts[4]]
        square = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        return f"{parts[0]}.mid.attn_1.{layer}.{parts[-1]}", square
    return name.replace("conv_norm_out", "norm_out"), tensor


def averaged(pipe: Any) -> State:
    """Only the averaged weights of the UNet, as training leaves them: names without dots."""
    state = whole(pipe)
    prefix = "model.diffusion_model."
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(prefix)}
    flat = {
        f"model_ema.{name.removeprefix('model.').replace('.', '')}": tensor
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
    return rest | flat | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(7)}
