"""pocket-dalle's tokenizer of pictures: the published encoder, a codebook without dead codes, and it trains."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training import train_vqgan, vq_nets
from training.loop import Options
from training.sprites import Atlas

from limner.models.dalle.load import load_vqgan
from limner.models.family import Files
from limner.models.inspect import read_json
from limner.models.msgpack import FlaxFile
from limner.models.nets.dalle_configs import VqganConfig
from tests.dalle import FIXTURES, files_of

TINY = VqganConfig(32, (1, 1, 1, 1, 1), 1, (), 64, 32, 8, 24)  # 64 pixels, 4x4 codes


def options(out: Path, samples: int, **more: float) -> Options:
    return replace(Options(out=out, samples=samples, batch=4, warmup=2, save_every=60.0), **more)


def test_the_encoder_is_the_published_one() -> None:
    """Weights of the reference under their names give its codes and its pixels."""
    config = VqganConfig.from_json(read_json(FIXTURES / "vqgan" / "config.json"))
    model = vq_nets.PictureTokenizer(config).eval()
    weights = load_vqgan(Files(FIXTURES, files_of(FIXTURES)), "vqgan", torch.float32, torch.device("cpu")).state_dict()
    with FlaxFile(FIXTURES / "vqgan" / "flax_model.msgpack") as file:
        for name, leaf in file.leaves.items():
            if name.startswith(("encoder/", "quant_conv/")):
                (start, end), *_ = leaf.spans
                array = torch.from_numpy(np.frombuffer(file.data[start:end], np.float32).reshape(leaf.shape).copy())
                ours = re.sub(
                    r"/(down|block|attn)_(\d)(?=/(?:\d|block|attn|down|norm|conv|nin|q|k|v|proj))", r".\1.\2", name
                )
                ours = ours.replace("mid.block.", "mid/block_").replace("mid.attn.", "mid/attn_").replace("/", ".")
                ours = ours.replace(".kernel", ".weight").replace(".scale", ".weight")
                weights[ours] = array.permute(3, 2, 0, 1) if array.ndim == 4 else array
    model.load_published(weights)
    reference = np.load(FIXTURES / "reference" / "vqgan.npz")
    pixels = torch.from_numpy(reference["encode_pixels"]).permute(0, 3, 1, 2)
    with torch.no_grad():
        assert np.array_equal(model.tokenise(pixels).numpy(), reference["encode_indices"])
        found = model.quantise(model.encode(pixels))[0].permute(0, 2, 3, 1)
    assert np.array_equal(found.numpy(), reference["encode_quant"])


def test_dead_codes_are_revived_until_all_are_used() -> None:
    """Four clumps, eight codes, seven of them far away: a nearest-code rule alone would leave those seven dead."""
    torch.manual_seed(0)
    clumps = 5.0 * torch.eye(4)
    table = torch.cat([torch.zeros(1, 4), torch.full((7, 4), 100.0)])
    use = vq_nets.Use(8, 4)
    use.size += 1
    use.total += table

    def seen() -> torch.Tensor:
        return (clumps[torch.arange(64) % 4] + 0.1 * torch.randn(64, 4)).float()

    assert vq_nets.nearest(table, seen()).unique().tolist() == [0]
    born = [use.follow(table, seen(), revive=True) for _ in range(600)]
    assert sum(born) >= 7
    assert len(vq_nets.nearest(table, torch.cat([seen() for _ in range(20)])).unique()) == 8
    assert torch.cdist(table, clumps).min(1).values.max() < 1


def test_a_code_is_the_mean_of_what_chose_it() -> None:
    torch.manual_seed(0)
    table, use = torch.tensor([[-1.0], [1.0]]), vq_nets.Use(2, 1)
    use.size += 8
    use.total += 8 * table
    for _ in range(1500):
        use.follow(table, torch.tensor([[-3.0], [-1.0], [4.0], [4.0]]), revive=True)
    assert table.flatten().tolist() == pytest.approx([-2, 4], abs=1e-2)


def test_gradients_pass_codes_straight_through() -> None:
    torch.manual_seed(0)
    model = train_vqgan.build(TINY)
    vectors = torch.randn(2, 8, 3, 3, requires_grad=True)
    passed, off, rows = model.straight_through(vectors, torch.ones(()))
    assert torch.allclose(passed, model.quantise(vectors)[0], atol=1e-6)
    assert torch.allclose(off, vectors - passed, atol=1e-6)
    assert rows.shape == (18, 8)
    slope = torch.randn_like(passed)
    assert torch.equal(torch.autograd.grad(passed, vectors, slope)[0], slope)
    half = model.straight_through(vectors, torch.tensor(0.5))[0]
    assert torch.allclose(half, (vectors + passed) / 2, atol=1e-6)


def test_limners_own_decoder_carries_gradients() -> None:
    """Its activations work in place, which only drawing was written for: the slope is that of small differences."""
    torch.manual_seed(0)
    model = train_vqgan.build(replace(TINY, multipliers=(1, 1), resolution=4)).double()
    vectors = torch.randn(1, 8, 2, 2, dtype=torch.float64, requires_grad=True)
    (given,) = torch.autograd.grad(model.decode(vectors).square().sum(), vectors)
    way, eps = torch.randn_like(vectors), 1e-6
    with torch.no_grad():
        ends = [model.decode(vectors + side * eps * way).square().sum() for side in (1, -1)]
    assert (given * way).sum().item() == pytest.approx(((ends[0] - ends[1]) / (2 * eps)).item(), rel=1e-5)


def test_the_loss_falls_and_codes_are_used(atlas: Atlas, tmp_path: Path) -> None:
    trainer = train_vqgan.train(atlas, options(tmp_path, 40, rate=3e-3), variants=1, config=TINY, checked=4)
    model = trainer.modules["vqgan"]
    assert isinstance(model, vq_nets.PictureTokenizer)
    loaded = train_vqgan.load(tmp_path, "cpu")
    torch.manual_seed(0)
    untrained = train_vqgan.build(TINY)
    assert torch.equal(loaded.table, model.table)
    assert loaded.config == TINY
    scenes = train_vqgan.held_out_scenes(4, 9, atlas.things)[1]
    pixels = (train_vqgan.Renderer(atlas, 1, 64)(scenes) + 1) / 2
    after, before = (train_vqgan.psnr(train_vqgan.reconstructed(m, pixels), pixels) for m in (loaded, untrained))
    assert after > before + 1
    assert len(loaded.tokenise(pixels).unique()) > 4


def test_a_resumed_tokenizer_ends_where_an_unbroken_one_does(atlas: Atlas, tmp_path: Path) -> None:
    def train(name: str, **more: float) -> dict[str, torch.Tensor]:
        trainer = train_vqgan.train(atlas, options(tmp_path / name, 8, **more), variants=1, config=TINY, checked=2)
        return trainer.modules["vqgan"].state_dict()

    whole = train("whole")
    train("halves", stop_after=0.0)
    halves = train("halves")
    assert all(torch.equal(value, halves[name]) for name, value in whole.items())
