"""Configs are honoured or refused by name; never half understood."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import limner
from limner.errors import CorruptFile, MismatchedWeights
from limner.models.nets.configs import AutoencoderConfig, ClipTextConfig, UNetConfig

CLIP_POOLING = "CLIPTextModelWithProjection"
POCKET = Path(limner.__file__).parent / "assets" / "pocket"


def pocket(part: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((POCKET / part / "config.json").read_text())
    return config


def test_an_empty_config_means_the_documented_defaults() -> None:
    assert UNetConfig.from_json({}) == UNetConfig()
    assert AutoencoderConfig.from_json({}) == AutoencoderConfig()
    assert ClipTextConfig.from_json({}) == ClipTextConfig(eos_token_id=49407)


def test_pocket() -> None:
    said = {part: pocket(part) for part in ("unet", "vae", "text_encoder")}
    unet = UNetConfig.from_json(said["unet"])
    heads = said["unet"]["attention_head_dim"]  # by its name a width, by its meaning how many
    assert unet.heads == (tuple(heads) if isinstance(heads, list) else (heads,) * 3)
    assert (unet.in_channels, unet.downsample_factor, unet.sample_size) == (said["unet"]["in_channels"], 4, 16)
    vae = AutoencoderConfig.from_json(said["vae"])
    assert (vae.latent_channels, vae.shift_factor) == (unet.in_channels, 0.0)
    assert vae.downsample_factor * unet.sample_size == said["vae"]["sample_size"]
    assert vae.scaling_factor == said["vae"]["scaling_factor"] != 1
    clip = ClipTextConfig.from_json(said["text_encoder"])
    texts = said["text_encoder"]
    assert (clip.max_position_embeddings, clip.num_hidden_layers, clip.hidden_act) == (
        texts["max_position_embeddings"],
        texts["num_hidden_layers"],
        "quick_gelu",
    )


def test_head_counts_by_either_name() -> None:
    assert UNetConfig.from_json({"attention_head_dim": [5, 10, 20, 20]}).heads == (5, 10, 20, 20)
    assert UNetConfig.from_json({"attention_head_dim": 64, "num_attention_heads": 4}).heads == (4, 4, 4, 4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("addition_embed_type", "image"),
        ("addition_embed_type", "text_time"),
        ("class_embed_type", "timestep"),
        ("num_class_embeds", 10),
        ("only_cross_attention", True),
        ("only_cross_attention", [True, True, True, False]),
        ("dual_cross_attention", True),
        ("resnet_time_scale_shift", "scale_shift"),
        ("resnet_skip_time_act", True),
        ("resnet_out_scale_factor", 0.7),
        ("mid_block_type", "UNetMidBlock2DSimpleCrossAttn"),
        ("mid_block_scale_factor", 2),
        ("conv_in_kernel", 1),
        ("time_embedding_type", "fourier"),
        ("encoder_hid_dim_type", "ip_image_proj"),
        ("attention_type", "gated"),
        ("act_fn", "gelu"),
        ("center_input_sample", True),
        ("class_embeddings_concat", 1),
        ("an_idea_of_next_year", "yes"),
        ("down_block_types", ["DownBlock2D", "SimpleCrossAttnDownBlock2D"]),
        ("up_block_types", ["UpBlock2D", "AttnUpBlock2D"]),
        ("block_out_channels", [320, 640, 1280, 1281]),
        ("attention_head_dim", 7),
        ("norm_num_groups", 3),
        ("layers_per_block", 10**9),
        ("in_channels", 0),
    ],
)
def test_a_unet_we_do_not_have_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(MismatchedWeights, match=r"UNet config sets \w+ = ") as caught:
        UNetConfig.from_json({key: value})
    if key != "block_out_channels":
        assert key in caught.value.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("in_channels", "4"),
        ("in_channels", True),
        ("in_channels", 4.5),
        ("norm_eps", "small"),
        ("norm_eps", float("inf")),
        ("block_out_channels", []),
        ("block_out_channels", 320),
        ("block_out_channels", [320, "640"]),
        ("down_block_types", ["DownBlock2D"]),
        ("down_block_types", [1, 2, 3, 4]),
        ("attention_head_dim", [8, 8]),
        ("use_linear_projection", 1),
    ],
)
def test_a_value_of_the_wrong_type_is_corrupt(key: str, value: object) -> None:
    with pytest.raises(CorruptFile, match=key):
        UNetConfig.from_json({key: value})


@pytest.mark.parametrize("key", ["_class_name", "_whatever"])
def test_notes_are_passed_over(key: str) -> None:
    assert UNetConfig.from_json({key: "anything"}) == UNetConfig()


def test_what_xl_is_told_of_the_picture() -> None:
    sizes = {"addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}
    base = UNetConfig.from_json({"addition_embed_type": "text_time"} | sizes)
    refiner = UNetConfig.from_json({**sizes, "projection_class_embeddings_input_dim": 2560})
    assert (base.added_numbers(1280), refiner.added_numbers(1280)) == (6, 5)
    for pooled in (768, 2817):
        with pytest.raises(MismatchedWeights, match=f"a text of {pooled}"):
            base.added_numbers(pooled)


def test_a_text_encoder_has_a_projection_where_its_class_says_so() -> None:
    plain, projecting = ({"architectures": [name], "projection_dim": 9} for name in ("CLIPTextModel", CLIP_POOLING))
    assert ClipTextConfig.from_json(plain).projection_dim is None
    assert ClipTextConfig.from_json(projecting).projection_dim == 9
    assert ClipTextConfig.from_json(plain, projected=True).projection_dim == 9


def test_unknown_keys_that_ask_for_nothing_are_passed_over() -> None:
    assert UNetConfig.from_json({"a": None, "b": False, "dropout": 0.1}) == UNetConfig()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latents_mean", [0.1, 0.2]),
        ("act_fn", "relu"),
        ("down_block_types", ["AttnDownEncoderBlock2D"]),
        ("scaling_factor", 0.0),
        ("norm_num_groups", 48),
    ],
)
def test_an_autoencoder_we_do_not_have_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(MismatchedWeights, match=key):
        AutoencoderConfig.from_json({key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("model_type", "t5"), ("hidden_act", "relu"), ("use_attention_mask", True), ("num_attention_heads", 7)],
)
def test_a_text_encoder_we_do_not_have_is_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(MismatchedWeights, match=key):
        ClipTextConfig.from_json({key: value})


def test_configs_do_not_load_torch() -> None:
    code = "import sys, limner.models.nets.configs; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
