"""Names of the original code and ours: each way is the other's inverse, whatever the network's depth."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import UNet, UNetConfig
from limner.models.singlefiles import compvis, shapes
from tests import singlefiles


@st.composite
def unets(draw: st.DrawFn) -> UNetConfig:
    levels = draw(st.integers(1, 4))
    attends = draw(st.lists(st.booleans(), min_size=levels, max_size=levels))
    depths = draw(st.lists(st.sampled_from([1, 2, 11]), min_size=levels, max_size=levels))
    layers = draw(st.integers(1, 2))
    added = draw(st.booleans())
    more: dict[str, Any] = {}
    if added:
        more = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 64 + 6 * 256,
        }
    return UNetConfig(
        in_channels=draw(st.sampled_from([4, 9])),
        block_out_channels=(64,) * levels,
        down_block_types=tuple("CrossAttnDownBlock2D" if yes else "DownBlock2D" for yes in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends)),
        layers_per_block=(layers,) * levels,
        transformer_layers_per_block=tuple(
            depth if yes or k == levels - 1 else 1 for k, (depth, yes) in enumerate(zip(depths, attends, strict=True))
        ),
        heads=(1,) * levels,
        cross_attention_dim=32,
        use_linear_projection=draw(st.booleans()),
        time_embedding_dim=256,
        **more,
    )


def seen(config: UNetConfig) -> Any:
    """The network as the test's writer wants it: its config with one number of layers, and its state."""
    with torch.device("meta"):
        state = UNet(config).state_dict()
    said = SimpleNamespace(
        block_out_channels=config.block_out_channels,
        layers_per_block=config.layers_per_block[0],
        up_block_types=config.up_block_types,
    )
    return SimpleNamespace(config=said, state_dict=lambda: state)


@settings(max_examples=10, deadline=None)
@given(config=unets())
def test_any_unet_comes_back_under_our_names_and_says_its_config(config: UNetConfig) -> None:
    network = seen(config)
    state = network.state_dict()
    theirs = singlefiles.unet(network)
    names = compvis.unet_names(theirs)
    assert sorted(names.values()) == sorted(state)
    assert all(theirs[old] is state[new] for old, new in names.items())
    held = {new: tuple(theirs[old].shape) for old, new in names.items()}
    assert UNetConfig.from_json(shapes.unet(held, lambda _: 1)) == config


@settings(max_examples=10, deadline=None)
@given(config=unets())
def test_averaged_weights_get_their_dots_back(config: UNetConfig) -> None:
    names = [f"diffusion_model.{name}" for name in singlefiles.unet(seen(config))]
    flat = {f"model_ema.{name.replace('.', '')}": f"model.{name}" for name in names}
    assert len(flat) == len(names)
    assert compvis.averaged_names(flat) == flat


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 5])
def test_any_autoencoder(levels: int) -> None:
    config = AutoencoderConfig(
        block_out_channels=tuple(32 * (1 + k) for k in range(levels)), layers_per_block=2, latent_channels=4
    )
    with torch.device("meta"):
        state = Autoencoder(config).state_dict()
    theirs = singlefiles.vae(SimpleNamespace(config=config, state_dict=lambda: state))
    names = compvis.vae_names(theirs)
    assert sorted(names.values()) == sorted(state)
    held = {new: tuple(theirs[old].shape) for old, new in names.items()}
    assert AutoencoderConfig.from_json(shapes.autoencoder(held)) == config
    assert f"decoder.up.{levels - 1}.block.2.conv1.weight" in names


def test_a_text_tower_in_three_for_one() -> None:
    with torch.device("meta"):
        state = ClipText(ClipTextConfig(hidden_size=64, num_attention_heads=1, projection_dim=64)).state_dict()
    model = SimpleNamespace(config=SimpleNamespace(num_hidden_layers=12), state_dict=lambda: state)
    names = compvis.open_clip_names(singlefiles.open_clip(model), None)
    assert sorted(new for news in names.values() for new in news) == sorted(state)
    assert names["transformer.resblocks.11.attn.in_proj_weight"] == (
        "encoder.layers.11.self_attn.q_proj.weight",
        "encoder.layers.11.self_attn.k_proj.weight",
        "encoder.layers.11.self_attn.v_proj.weight",
    )
    assert not any("layers.5." in new for news in compvis.open_clip_names(names, 5).values() for new in news)


def test_names_of_other_things_are_left_out() -> None:
    foreign = [
        "input_blocks.0",
        "betas",
        "output_blocks.x.0.weight",
        "",
        "middle_block.9.weight",
        "time_embed.1.weight",
    ]
    assert compvis.unet_names(foreign) == {}
    assert compvis.vae_names([*foreign, "loss.weight", "encoder.mid.block_3.conv1.weight"]) == {}
    assert compvis.open_clip_names([*foreign, "visual.proj"], None) == {}
