"""Tiles cover a map, and put together they are the map again."""

from __future__ import annotations

from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.models.latent.tiles import blend, spans, tiles

sizes = st.integers(1, 200)
tile_sizes = st.integers(4, 64)


@given(length=sizes, size=tile_sizes, share=st.floats(0, 0.5))
def test_spans_cover_everything_and_overlap(length: int, size: int, share: float) -> None:
    overlap = int(size * share)
    found = spans(length, size, overlap)
    assert found[0][0] == 0
    assert found[-1][1] == length
    assert all(stop - start == min(size, length) for start, stop in found)
    assert all(before[1] - after[0] >= overlap for before, after in pairwise(found))


@given(height=st.integers(1, 60), width=st.integers(1, 60), size=st.integers(4, 24), share=st.floats(0, 0.5))
def test_a_map_cut_and_blended_is_the_map(height: int, width: int, size: int, share: float) -> None:
    overlap = int(size * share)
    whole = torch.rand(2, height, width, generator=torch.Generator().manual_seed(height * 61 + width))
    cut = [(t, whole[:, t.top : t.bottom, t.left : t.right]) for t in tiles(height, width, size, overlap)]
    assert torch.allclose(blend(height, width, cut, overlap), whole, atol=1e-6)


def test_a_seam_is_a_slope() -> None:
    """Two tiles that disagree: the step between them is spread over the overlap."""
    left, right = tiles(4, 24, 16, 8)
    made = blend(4, 24, [(left, torch.zeros(1, 4, 16)), (right, torch.ones(1, 4, 16))], 8)
    row = made[0, 0].tolist()
    assert row[:8] == [0] * 8
    assert row[16:] == [1] * 8
    assert all(0 < step < 0.2 for step in (b - a for a, b in pairwise(row[7:17])))
