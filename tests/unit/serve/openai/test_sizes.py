"""Sizes that a model cannot draw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.serve.openai.sizes import FAR, nearest, read_size

NATIVE = st.sampled_from([(128, 8), (512, 64), (768, 64), (1024, 64), (1024, 128)])
SIDE = st.integers(16, 4_096)


@given(native=NATIVE, width=SIDE, height=SIDE)
def test_the_nearest_size_is_one_that_the_model_draws(native: tuple[int, int], width: int, height: int) -> None:
    side, multiple = native
    found = nearest((width, height), (side, side), multiple)
    assert all(each % multiple == 0 and side / FAR < each < side * FAR for each in found)
    assert (found[0] >= found[1]) == (width >= height) or found[0] == found[1]


@given(native=NATIVE, ratio=st.floats(1, 1.7))
def test_it_has_the_proportions_and_the_pixels(native: tuple[int, int], ratio: float) -> None:
    side, multiple = native
    width, height = nearest((round(ratio * 1_000), 1_000), (side, side), multiple)
    assert abs(width - side * ratio**0.5) <= multiple
    assert abs(height - side / ratio**0.5) <= multiple


@pytest.mark.parametrize("text", ["", "x", "1024", "1024X1024", "-1x5", "1x1", "5000x100", "4096x4096", "1e3x100"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_size(text)


def test_sizes_are_read() -> None:
    assert read_size("auto") is None
    assert read_size("3840x2160") == (3840, 2160)
