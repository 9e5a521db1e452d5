"""Counts of DALL-E mini agree with its modules: parameters exactly, operations within 2 % of torch's counter."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from limner.models.estimates import dalle as estimate_dalle
from limner.models.nets.bart import Bart
from limner.models.nets.dalle_configs import DalleConfig, VqganConfig
from limner.models.nets.vqgan import Vqgan

TINY = DalleConfig.from_json(
    {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 3,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 40,
        "encoder_vocab_size": 100,
        "max_text_length": 8,
        "image_vocab_size": 64,
        "image_length": 16,
    }
)
TINY_VQGAN = VqganConfig.from_json(
    {"ch": 32, "ch_mult": [1, 2, 1], "attn_resolutions": [4], "resolution": 16, "z_channels": 16, "embed_dim": 8}
)


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("config", [TINY, DalleConfig.from_json({"image_length": 4})])
@pytest.mark.parametrize(("branches", "pictures"), [(1, 1), (2, 3)])
def test_the_transformer(config: DalleConfig, branches: int, pictures: int) -> None:
    with torch.device("meta"):
        net = Bart(config)
        tally = estimate_dalle.writer(config, branches, pictures)
        assert tally.parameters == parameters(net)
        mask = torch.ones(branches, config.text_length)
        with FlopCounterMode(display=False) as counter:
            states = net.encode(torch.zeros(branches, config.text_length, dtype=torch.long), mask)
            slots = net.slots(net.remember(states, mask), pictures)
            for _ in range(config.image_length):
                net.decode(torch.zeros(branches * pictures, 1, dtype=torch.long), slots)
    assert tally.flops == pytest.approx(counter.get_total_flops(), rel=0.02)
    held = sum(cache.numel() for cache in slots.layers)
    assert tally.peak > held


@pytest.mark.parametrize("config", [TINY_VQGAN, VqganConfig.from_json({})])
def test_the_image_decoder(config: VqganConfig) -> None:
    with torch.device("meta"):
        net = Vqgan(config)
        with FlopCounterMode(display=False) as counter:
            net.decode(torch.zeros(1, config.grid**2, dtype=torch.long))
    tally = estimate_dalle.drawer(config)
    assert tally.parameters == parameters(net)
    assert tally.flops == pytest.approx(counter.get_total_flops(), rel=0.02)
