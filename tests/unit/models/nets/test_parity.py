"""The networks compute what the published classes compute, on the same weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import limner
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

TOLERANCE = 1e-4
POCKET = Path(limner.__file__).parent / "assets" / "pocket"

UNETS: dict[str, dict[str, Any]] = {
    "sd1": {
        "block_out_channels": [32, 64, 64, 64],
        "layers_per_block": 2,
        "cross_attention_dim": 24,
        "attention_head_dim": 8,
        "norm_num_groups": 8,
        "sample_size": 16,
    },
    "sd2": {
        "block_out_channels": [32, 64, 96, 96],
        "layers_per_block": 1,
        "cross_attention_dim": 40,
        "attention_head_dim": [2, 4, 6, 6],
        "use_linear_projection": True,
        "upcast_attention": True,
        "norm_num_groups": 16,
        "sample_size": 16,
    },
    "unusual": {
        "in_channels": 5,
        "out_channels": 3,
        "block_out_channels": [24, 48, 48],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"],
        "layers_per_block": [1, 2, 3],
        "transformer_layers_per_block": [1, 2, 2],
        "cross_attention_dim": 16,
        "attention_head_dim": 3,
        "norm_num_groups": 6,
        "norm_eps": 1e-4,
        "flip_sin_to_cos": False,
        "freq_shift": 1,
        "downsample_padding": 0,
        "time_embedding_dim": 52,
    },
}
XL: dict[str, Any] = {
    "block_out_channels": [16, 32, 64],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 2,
    "transformer_layers_per_block": [1, 2, 3],
    "attention_head_dim": [2, 4, 8],
    "cross_attention_dim": 40,
    "use_linear_projection": True,
    "norm_num_groups": 8,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 24 + 6 * 8,
    "sample_size": 16,
}
XLS: dict[str, dict[str, Any]] = {
    "base": XL,
    "refiner": XL
    | {
        "block_out_channels": [24, 48, 72, 72],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": 4,
        "attention_head_dim": [3, 6, 12, 12],
        "projection_class_embeddings_input_dim": 24 + 5 * 8,
    },
    "inpainting": XL | {"in_channels": 9},
    "consistency": XL
    | {"time_cond_proj_dim": 14, "addition_time_embed_dim": 7, "flip_sin_to_cos": False}
    | {"projection_class_embeddings_input_dim": 24 + 6 * 7},
}
VAES: dict[str, dict[str, Any]] = {
    "sd": {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [16, 32, 32, 32],
        "layers_per_block": 2,
        "norm_num_groups": 8,
    },
    "no-quant": {
        "down_block_types": ["DownEncoderBlock2D"] * 2,
        "up_block_types": ["UpDecoderBlock2D"] * 2,
        "block_out_channels": [16, 24],
        "layers_per_block": 1,
        "latent_channels": 6,
        "norm_num_groups": 4,
        "mid_block_add_attention": False,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
    },
}
CLIP: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 20,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}


def pocket(part: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((POCKET / part / "config.json").read_text())
    return config


def unlike_its_start(module: nn.Module) -> nn.Module:
    """Random weights everywhere: freshly made norms are all ones and zeros, which would hide a swapped one."""
    generator = torch.Generator().manual_seed(3)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        centre = 1.0 if parameter.ndim == 1 and parameter.detach().mean() > 0.9 else 0.0
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 25
        parameter.data = centre + noise / fan_in**0.5
    return module.eval().requires_grad_(False)


def gauss(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_near(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    distance = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    assert distance <= TOLERANCE, f"relative distance {distance:.2e}"


def unet_pair(config: dict[str, Any]) -> tuple[UNet, Any]:
    theirs = unlike_its_start(diffusers.UNet2DConditionModel.from_config(config))
    ours = UNet(UNetConfig.from_json(dict(theirs.config)))
    ours.load_state_dict(theirs.state_dict())
    return ours.eval().requires_grad_(False), theirs


def vae_pair(config: dict[str, Any]) -> tuple[Autoencoder, Any]:
    theirs = unlike_its_start(diffusers.AutoencoderKL.from_config(config))
    ours = Autoencoder(AutoencoderConfig.from_json(dict(theirs.config)))
    ours.load_state_dict(theirs.state_dict())
    return ours.eval().requires_grad_(False), theirs


def clip_pair(config: dict[str, Any]) -> tuple[ClipText, Any]:
    theirs = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config))
    unlike_its_start(theirs)
    ours = ClipText(ClipTextConfig.from_json(theirs.config.to_dict()))
    ours.load_state_dict(theirs.state_dict())
    return ours.eval().requires_grad_(False), theirs


@pytest.mark.parametrize("name", [*UNETS, "pocket"])
@pytest.mark.parametrize("size", [(16, 16), (13, 18)], ids=["even", "odd"])
def test_unet(name: str, size: tuple[int, int]) -> None:
    config = UNETS.get(name) or pocket("unet")
    ours, theirs = unet_pair(config)
    sample = gauss(2, ours.config.in_channels, *size)
    context = gauss(2, 7, ours.config.cross_attention_dim, seed=1)
    timestep = torch.tensor([3.0, 801.375])
    assert_near(ours(sample, timestep, context), theirs(sample, timestep, context).sample)


@pytest.mark.parametrize("name", XLS)
def test_unet_of_xl(name: str) -> None:
    ours, theirs = unet_pair(XLS[name])
    sample, context = gauss(2, ours.config.in_channels, 13, 18), gauss(2, 7, 40, seed=1)
    timestep, pooled = torch.tensor([3.0, 801.375]), gauss(2, 24, seed=2)
    numbers = gauss(2, ours.config.added_numbers(24), seed=3).abs() * 500
    told = {"text_embeds": pooled, "time_ids": numbers}
    guidance = torch.tensor([1.5, 8.0]) if ours.config.time_cond_proj_dim else None
    condition = None if guidance is None else embedded(guidance, ours.config.time_cond_proj_dim or 0)
    expected = theirs(sample, timestep, context, added_cond_kwargs=told, timestep_cond=condition).sample
    assert_near(ours(sample, timestep, context, pooled, numbers, guidance), expected)
    other = ours(sample, timestep, context, pooled, numbers.flip(0), guidance)
    assert (other - expected).abs().max() > 1e-3, "what the network is told would not matter"


def embedded(guidance: Tensor, width: int) -> Tensor:
    from diffusers import StableDiffusionXLPipeline

    made: Tensor = StableDiffusionXLPipeline.get_guidance_scale_embedding(None, guidance - 1, embedding_dim=width)
    return made


def test_a_network_that_wants_to_be_told_more_says_so() -> None:
    sample, context, timestep = gauss(1, 4, 16, 16), gauss(1, 7, 40), torch.tensor([3.0])
    with pytest.raises(ValueError, match="pooled text"):
        unet_pair(XLS["base"])[0](sample, timestep, context)
    with pytest.raises(ValueError, match="guidance"):
        unet_pair(XLS["consistency"])[0](sample, timestep, context, gauss(1, 24), gauss(1, 6))


def test_unet_in_channels_last_gives_the_same() -> None:
    ours, theirs = unet_pair(UNETS["sd1"])
    sample, context = gauss(2, 4, 16, 24), gauss(2, 7, 24, seed=1)
    expected = theirs(sample, torch.tensor([500.0, 20.0]), context).sample
    ours = ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sample = sample.to(memory_format=torch.channels_last)
    assert_near(ours(sample, torch.tensor([500.0, 20.0]), context), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_unet_runs_in_half_precision(dtype: torch.dtype) -> None:
    ours, _ = unet_pair(UNETS["sd2"])
    sample, context, timestep = gauss(1, 4, 16, 16), gauss(1, 7, 40, seed=1), torch.tensor([7.5])
    full = ours(sample, timestep, context)
    half = ours.to(dtype)(sample.to(dtype), timestep, context.to(dtype))
    assert half.dtype == dtype
    assert (half.float() - full).abs().max() <= 0.1 * full.abs().max()


@pytest.mark.parametrize("name", [*VAES, "pocket"])
@pytest.mark.parametrize("size", [(32, 32), (40, 24)], ids=["square", "oblong"])
def test_autoencoder(name: str, size: tuple[int, int]) -> None:
    ours, theirs = vae_pair(VAES.get(name) or pocket("vae"))
    pixels = gauss(2, 3, *size).clamp(-1, 1)
    mean, logvar = ours.encode(pixels)
    posterior = theirs.encode(pixels).latent_dist
    assert_near(mean, posterior.mean)
    assert_near(logvar, posterior.logvar)
    assert_near(ours.decode(mean), theirs.decode(mean).sample)


def test_autoencoder_encodes_odd_sizes_alike() -> None:
    ours, theirs = vae_pair(VAES["sd"])
    pixels = gauss(1, 3, 37, 29)
    assert_near(ours.encode(pixels)[0], theirs.encode(pixels).latent_dist.mean)


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("length", [5, 20])
def test_clip_last_layer(act: str, length: int) -> None:
    ours, theirs = clip_pair(CLIP | {"hidden_act": act})
    ids = torch.randint(3, 60, (2, length), generator=torch.Generator().manual_seed(1))
    assert_near(ours(ids), theirs(ids).last_hidden_state)


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_clip_earlier_layer_is_normalised_as_the_pipeline_does(skip: int) -> None:
    ours, theirs = clip_pair(CLIP)
    ids = torch.randint(3, 60, (2, 12), generator=torch.Generator().manual_seed(1))
    states = theirs(ids, output_hidden_states=True).hidden_states[-(skip + 1)]
    assert_near(ours(ids, skip=skip), theirs.final_layer_norm(states))


@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("eos", [2, 7], ids=["eos-is-highest", "eos-is-7"])
def test_clip_with_a_projection(eos: int, skip: int) -> None:
    """States of an earlier layer without the final norm, as XL reads them, and the pooled text."""
    config = CLIP | {"hidden_act": "gelu", "projection_dim": 24, "eos_token_id": eos}
    theirs = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**config))
    unlike_its_start(theirs)
    settings = theirs.config.to_dict() | {"architectures": ["CLIPTextModelWithProjection"]}
    ours = ClipText(ClipTextConfig.from_json(settings)).requires_grad_(False)
    ours.load_state_dict({name.removeprefix("text_model."): t for name, t in theirs.state_dict().items()})
    # The end marker at different places, and again as padding behind it.
    ids = torch.tensor([[1, 30, 59, 7, 7, 0], [1, 59, 7, 4, 59, 7], [1, 8, 9, 10, 7, 59]])
    expected = theirs(ids, output_hidden_states=True)
    states, pooled = ours.both(ids, skip, norm=False)
    assert_near(states, expected.hidden_states[-(skip + 1)])
    assert_near(pooled, expected.text_embeds)
    assert torch.equal(states, ours(ids, skip, norm=False))
    assert_near(ours.both(ids, skip)[0], theirs.text_model.final_layer_norm(states))


def test_clip_pools_without_a_projection_and_passes_over_added_ids() -> None:
    ours, theirs = clip_pair(CLIP)
    ids = torch.tensor([[1, 30, 59, 0, 0]])
    assert_near(ours.both(ids)[1], theirs(ids).pooler_output)
    assert ours.ends(torch.tensor([[1, 75, 59, 0], [1, 61, 62, 59]])).tolist() == [2, 3]


def test_clip_of_the_pocket_model() -> None:
    ours, theirs = clip_pair(pocket("text_encoder"))
    ids = torch.randint(4, 378, (3, 24), generator=torch.Generator().manual_seed(1))
    assert_near(ours(ids), theirs(ids).last_hidden_state)


def test_clip_refuses_more_tokens_than_it_has_positions() -> None:
    ours, _ = clip_pair(CLIP)
    with pytest.raises(ValueError, match="21 tokens"):
        ours(torch.zeros(1, 21, dtype=torch.long))
    with pytest.raises(ValueError, match="cannot skip 3 of 3"):
        ours(torch.zeros(1, 5, dtype=torch.long), skip=3)
