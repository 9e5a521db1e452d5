from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from limner.sampling.tokens import candidates, choose, uniforms
from tests.dalle import FIXTURES

DALLE = np.load(FIXTURES / "reference" / "dalle.npz")


def scattered(logits: Tensor, temperature: float, top_k: int, top_p: float) -> Tensor:
    values, ids = candidates(logits, temperature, top_k, top_p)
    return torch.full_like(logits, float("-inf")).scatter(-1, ids, values)


@pytest.mark.parametrize(
    ("name", "temperature", "top_k", "top_p"),
    [("a", 1.0, 5, 1.0), ("b", 1.0, 0, 0.8), ("c", 0.6, 10, 0.7), ("d", 2.0, 50, 1.0)],
)
def test_filters_as_the_original(name: str, temperature: float, top_k: int, top_p: float) -> None:
    found = scattered(torch.from_numpy(DALLE["filter_in"]), temperature, top_k, top_p)
    wanted = torch.from_numpy(DALLE[f"filter_out_{name}"])
    assert torch.equal(found.isinf(), wanted.isinf())
    assert torch.allclose(found[~found.isinf()], wanted[~wanted.isinf()], atol=1e-5)


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (4, 1.0), (0, 0.6)])
def test_choices_are_as_frequent_as_probable(top_k: int, top_p: float) -> None:
    logits = torch.tensor([[0.3, 2.0, -1.0, 1.2, 0.9, -3.0]])
    count = 4000
    evenly = (torch.arange(count) + 0.5) / count
    chosen = choose(logits.expand(count, -1), evenly, 0.8, top_k, top_p)
    share = torch.bincount(chosen, minlength=6) / count
    assert torch.allclose(share, scattered(logits, 0.8, top_k, top_p).softmax(-1)[0], atol=2 / count)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-24])
def test_what_is_ruled_out_is_never_chosen(uniform: float) -> None:
    logits = torch.randn(64, 200, generator=torch.Generator().manual_seed(0))
    chosen = choose(logits, torch.full((64,), uniform), 1.0, 0, 0.3)
    assert not scattered(logits, 1.0, 0, 0.3).gather(-1, chosen[:, None]).isinf().any()


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.0, 50, 1.0), (1.0, 1, 1.0), (1.0, 0, 0.0)])
def test_greedy(temperature: float, top_k: int, top_p: float) -> None:
    logits = torch.randn(8, 50, generator=torch.Generator().manual_seed(1))
    assert torch.equal(choose(logits, torch.full((8,), 0.99), temperature, top_k, top_p), logits.argmax(-1))


def test_more_candidates_than_tokens_are_all() -> None:
    logits = torch.randn(2, 7)
    assert candidates(logits, 1.0, 50, 1.0)[0].shape == (2, 7)


def test_uniforms_are_the_seeds_own() -> None:
    assert torch.equal(uniforms(5, 16), uniforms(5, 16))
    assert not torch.equal(uniforms(5, 16), uniforms(6, 16))
    assert torch.equal(uniforms(5, 32)[:16], uniforms(5, 16))
