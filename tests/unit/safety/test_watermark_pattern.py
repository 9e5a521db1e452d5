"""The watermark's frozen pattern: it may never change, or marked pictures are lost."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from limner.errors import CorruptFile
from limner.safety.watermark import keys
from limner.safety.watermark.arrays import halved, least_filter, mean_filter
from limner.safety.watermark.bands import PLANES, TILE
from limner.safety.watermark.pattern import pattern_of, shipped_pattern

TILES = "60355b39b8783a10d28a94bd4780c361dd0a84752a59a163d26edc1694d66a17"


def test_the_tiles_are_those_that_were_frozen() -> None:
    tiles = shipped_pattern().tiles(0x1234567)
    assert hashlib.sha256(b"".join(tile.astype("<f4").tobytes() for tile in tiles)).hexdigest() == TILES


def test_tiles_have_mean_zero_and_unit_power() -> None:
    for tile in shipped_pattern().tiles(0xFFFFFFFF):
        assert tile.shape == (TILE, TILE)
        assert abs(float(tile.mean())) < 1e-3
        assert float(tile.std()) == pytest.approx(1, abs=1e-3)


def test_payloads_share_their_pilots_only() -> None:
    one, other = (shipped_pattern().tiles(payload)[0].reshape(-1) for payload in (5, 0xABCDEF01))
    assert 0.3 < float(np.corrcoef(one, other)[0, 1]) < 0.9


def test_every_sign_of_the_code_has_a_slot() -> None:
    assert set(keys.shipped().slots.tolist()) == set(range(192))
    assert [len(band.kx) for band in PLANES] == [380, 92, 92]


def test_a_changed_fixture_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "FROZEN", "0" * 64)
    keys.shipped.cache_clear()
    with pytest.raises(CorruptFile, match=r"pattern\.json"):
        keys.shipped()
    monkeypatch.undo()
    keys.shipped.cache_clear()
    assert keys.shipped().slots.size == 226


def test_the_fixture_holds_whole_numbers_only() -> None:
    held = json.loads(keys.shipped().text())
    assert all(isinstance(phase, int) and 0 <= phase < 65536 for plane in held["phases"] for phase in plane)


def test_another_name_gives_another_pattern() -> None:
    ours = shipped_pattern().tiles(1)[0].reshape(-1)
    other = pattern_of(keys.draw(b"another")).tiles(1)[0].reshape(-1)
    assert abs(float(np.corrcoef(ours, other)[0, 1])) < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (30, 41)])
@pytest.mark.parametrize("width", [9, 11, 13])
def test_windows_are_what_they_say(shape: tuple[int, int], width: int) -> None:
    x = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    padded = np.pad(x, width // 2, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (width, width))
    assert np.allclose(mean_filter(x, width), windows.mean((2, 3)), atol=1e-3)
    assert np.array_equal(least_filter(x, width), windows.min((2, 3)))


def test_halving_takes_means_and_drops_the_odd_edge() -> None:
    x = np.arange(15, dtype=np.float32).reshape(3, 5)
    assert halved(x).tolist() == [[3.0, 5.0]]
