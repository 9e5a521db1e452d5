from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.sampling.noise import Noise, slerp

SHAPE = (4, 8, 6)


def test_seed_gives_what_diffusers_draws() -> None:
    randn_tensor = pytest.importorskip("diffusers.utils.torch_utils").randn_tensor
    generator = torch.Generator("cpu").manual_seed(42)
    theirs = [randn_tensor((1, *SHAPE), generator=generator, dtype=torch.float32)[0] for _ in range(3)]
    noise = Noise(42, SHAPE)
    assert torch.equal(noise.first(), theirs[0])
    assert torch.equal(noise.next(), theirs[1])
    assert torch.equal(noise.next(), theirs[2])


def test_first_can_be_asked_again_and_spoilt() -> None:
    noise = Noise(1, SHAPE)
    noise.first().zero_()
    assert torch.equal(noise.first(), Noise(1, SHAPE).first())


def test_images_do_not_touch_each_other_nor_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    alone = [Noise(7, SHAPE).first()]
    a, b = Noise(7, SHAPE), Noise(8, SHAPE)
    woven = [b.next(), a.first(), b.next(), a.next()]
    assert torch.equal(woven[1], alone[0])
    lonely = Noise(7, SHAPE)
    assert torch.equal(woven[3], lonely.next())
    assert torch.equal(torch.get_rng_state(), before)


def test_variation_turns_only_the_first_draw() -> None:
    plain, other = Noise(1, SHAPE), Noise(2, SHAPE)
    varied = Noise(1, SHAPE, variation_seed=2, variation=0.3)
    assert torch.allclose(varied.first(), slerp(plain.first(), other.first(), 0.3))
    assert torch.equal(varied.next(), plain.next())
    assert torch.allclose(Noise(1, SHAPE, variation_seed=2, variation=1.0).first(), other.first(), atol=1e-6)
    assert torch.equal(Noise(1, SHAPE, variation_seed=2, variation=0.0).first(), plain.first())


def test_variation_of_itself_is_itself() -> None:
    assert torch.equal(Noise(1, SHAPE, variation_seed=1, variation=0.5).first(), Noise(1, SHAPE).first())


@settings(max_examples=40, deadline=None)
@given(t=st.floats(0, 1), seeds=st.tuples(st.integers(0, 50), st.integers(51, 99)))
def test_slerp_keeps_the_norm_between(t: float, seeds: tuple[int, int]) -> None:
    a, b = (Noise(seed, SHAPE).first() for seed in seeds)
    length = slerp(a, b, t).norm().item()
    assert length == pytest.approx((1 - t) * a.norm().item() + t * b.norm().item(), rel=1e-5)
    assert torch.allclose(slerp(a, b, t), slerp(b, a, 1 - t), atol=1e-5)


def test_slerp_ends_and_middle() -> None:
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert torch.allclose(slerp(a, b, 0.0), a)
    assert torch.allclose(slerp(a, b, 1.0), b)
    assert torch.allclose(slerp(a, b, 0.5), torch.tensor([0.5**0.5, 0.5**0.5]))


def test_slerp_of_parallel_and_zero_is_a_straight_line() -> None:
    a = torch.tensor([1.0, 2.0])
    for b in (a, 2 * a, -a, torch.zeros(2)):
        assert torch.allclose(slerp(a, b, 0.25), 0.75 * a + 0.25 * b)
