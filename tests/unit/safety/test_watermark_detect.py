"""Finding the mark: after what happens to pictures, and not where there is none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from limner.safety.watermark import detect, embed
from limner.safety.watermark.detect import detect_with
from limner.safety.watermark.keys import draw
from limner.safety.watermark.pattern import pattern_of
from limner.safety.watermark.search import FORMS, TESTS, surfaces
from limner.safety.watermark.spectrum import Spectrum
from limner.types.base import Pixels
from tests.unit.safety.watermark_pictures import clouds, flat, ramp, saved, scaled

PAYLOAD = 0x1C0FFEE5
Change = Callable[[Pixels], Pixels]


@pytest.fixture(scope="module")
def marked() -> Pixels:
    return embed(clouds(512, 512), PAYLOAD).pixels


@pytest.fixture(scope="module")
def even() -> Pixels:
    return embed(flat((90, 140, 200), 512, 512), PAYLOAD).pixels


def apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The larger distance of two offsets in the tile, around which they wrap."""
    return max(abs((a - b + 62.5) % 125 - 62.5) for a, b in zip(one, other, strict=True))


CHANGES: dict[str, Change] = {
    "nothing": lambda x: x,
    "jpeg 90": lambda x: saved(x, "jpeg", 90),
    "jpeg 75": lambda x: saved(x, "jpeg", 75),
    "webp 80": lambda x: saved(x, "webp", 80),
    "half": lambda x: scaled(x, 0.5),
    "three quarters": lambda x: scaled(x, 0.75),
    "one and a half": lambda x: scaled(x, 1.5),
    "double": lambda x: scaled(x, 2.0),
    "half the area": lambda x: x[73:435, 101:463],
    "half the area, as jpeg": lambda x: saved(np.ascontiguousarray(x[11:373, 97:459]), "jpeg", 75),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_found_after(marked: Pixels, even: Pixels, change: Change) -> None:
    for pixels in (marked, even):
        found = detect(change(pixels))
        assert found.present
        assert found.payload == PAYLOAD


@pytest.mark.parametrize(("left", "top"), [(0, 0), (37, 0), (3, 130), (124, 99)])
def test_cropping_tells_what_was_cut_off(marked: Pixels, left: int, top: int) -> None:
    found = detect(marked[top:, left:])
    assert apart(found.offset, (left, top)) < 0.3
    assert found.scale == pytest.approx((1, 1), abs=2e-3)


@pytest.mark.parametrize("by", [0.5, 0.8, 1.3, 2.0])
def test_scaling_tells_by_how_much(marked: Pixels, by: float) -> None:
    found = detect(scaled(marked, by))
    assert found.scale == pytest.approx((by, by), rel=4e-3)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_mirroring_and_turning_are_told(marked: Pixels, mirror: bool, turns: int) -> None:
    changed = np.rot90(marked[:, ::-1] if mirror else marked, -turns)
    found = detect(changed)
    assert (found.mirrored, found.turned, found.payload) == (mirror, 90 * turns, PAYLOAD)


def test_the_eight_forms_are_different() -> None:
    assert len({(form.mirrored, form.turned) for form in FORMS}) == 8


@pytest.mark.parametrize("size", [(1300, 520), (1501, 1203)])
def test_large_pictures_are_found_in_two_views(size: tuple[int, int]) -> None:
    height, width = size
    pixels = embed(ramp(height, width), PAYLOAD).pixels
    found = detect(pixels)
    assert found.payload == PAYLOAD
    assert apart(found.offset, (0, 0)) < 0.5
    # what the middle lost the whole still has
    middle = pixels.copy()
    top, left = (max(0, size - 1024) // 2 for size in (height, width))
    middle[top : top + 1024, left : left + 1024] = 128
    if max(height, width) > 1400:
        assert detect(middle).present


def stripes() -> Pixels:
    y, x = np.mgrid[0:256, 0:256]
    return np.where(((x + 2 * y) // 7 % 2)[:, :, None], 240, 20).astype(np.uint8).repeat(3, 2)


def wallpaper() -> Pixels:
    """A texture with the mark's own period."""
    tile = np.random.default_rng(3).integers(90, 160, (125, 125, 3)).astype(np.uint8)
    return np.tile(tile, (3, 3, 1))[:300, :300]


UNMARKED = {
    "flat": flat((200, 30, 90)),
    "black": flat((0, 0, 0)),
    "white": flat((255, 255, 255)),
    "ramp": ramp(),
    "clouds": clouds(seed=5),
    "clouds as jpeg": saved(clouds(seed=6), "jpeg", 60),
    "noise": np.random.default_rng(2).integers(0, 256, (256, 300, 3)).astype(np.uint8),
    "stripes": stripes(),
    "wallpaper": wallpaper(),
}


@pytest.mark.parametrize("pixels", UNMARKED.values(), ids=UNMARKED)
def test_nothing_is_found_where_nothing_is(pixels: Pixels) -> None:
    found = detect(pixels)
    assert not found.present
    assert found.payload is None
    assert found.score < 7


def test_another_key_does_not_see_ours(marked: Pixels) -> None:
    assert not detect_with(pattern_of(draw(b"another")), marked).present


@pytest.mark.parametrize("pixels", [stripes(), wallpaper(), clouds(256, 256)], ids=["stripes", "wallpaper", "clouds"])
def test_no_picture_beats_the_bound_over_keys(pixels: Pixels) -> None:
    """P(z > x) <= exp(-x**2 / 2) for random keys, whatever the picture is: what the thresholds stand on."""
    lines = Spectrum(pixels).read(np.ones(1), np.ones(1))
    scores = np.concatenate([surfaces(pattern_of(draw(bytes([n]))), lines).reshape(-1) for n in range(60)])
    for x in (2.0, 2.5, 3.0, 3.5):
        assert float((scores > x).mean()) <= math.exp(-(x**2) / 2)


def test_the_search_is_no_larger_than_the_thresholds_allow() -> None:
    views = 2
    alone = views * TESTS * math.exp(-(8.1**2) / 2)
    with_payload = views * TESTS * math.exp(-(6.7**2) / 2) * 2**-16
    assert alone + with_payload <= 6e-7
