from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.sampling.guidance import combine, needs_cond, needs_uncond

U, C = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5])


def test_scale_one_needs_the_words_only_and_zero_needs_none() -> None:
    assert (needs_uncond(1), needs_cond(1)) == (False, True)
    assert (needs_uncond(0), needs_cond(0)) == (True, False)
    assert all(needs_uncond(s) and needs_cond(s) for s in (0.5, 1.5, 7.5))


def test_the_dropped_answer_is_not_even_read() -> None:
    bad = torch.full((2,), torch.nan)
    assert torch.equal(combine(bad, C, 1), C)
    assert torch.equal(combine(U, bad, 0), U)


@given(scale=st.floats(0, 30))
def test_linear_in_scale(scale: float) -> None:
    assert torch.allclose(combine(U, C, scale), (1 - scale) * U + scale * C, atol=1e-4)


def test_past_the_words() -> None:
    assert combine(U, C, 2).tolist() == pytest.approx([5.0, 3.0])
