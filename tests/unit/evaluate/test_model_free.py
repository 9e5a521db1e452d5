"""The metrics that need no model: known values, laws, and the faults they are there to find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageFilter

from limner.errors import InvalidRequest
from limner.evaluate.blank import Blank, blank
from limner.evaluate.blur import Blur, blur
from limner.evaluate.clipped import Clipped, clipped
from limner.evaluate.duplicates import NEAR, Duplicates, distance, perceptual_hash
from limner.evaluate.metric import Embeddings
from limner.evaluate.model_free import faults
from limner.types import Pixels


class Nothing:
    """A cache that keeps nothing."""

    def get(self, key: str) -> None:
        return None

    def put(self, key: str, embedding: object) -> None: ...


CACHE: Embeddings = Nothing()


def flat(value: int = 120, side: int = 64) -> Pixels:
    return np.full((side, side, 3), value, np.uint8)


def scene(seed: int, side: int = 96) -> Pixels:
    """Soft blobs of colour with hard-edged discs, another composition for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(20, 235, (4, 4, 3), np.uint8))
    pixels = np.array(coarse.resize((side, side), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:side, :side]
    for _ in range(4):
        cx, cy, r = *rng.integers(10, side - 10, 2).tolist(), int(rng.integers(6, 20))
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = rng.integers(20, 235, 3)
    return pixels


def softened(pixels: Pixels, radius: float) -> Pixels:
    return np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def test_contrast_of_flat_and_of_half_and_half() -> None:
    assert blank(flat()) == 0
    halves = flat(0)
    halves[:32] = 255
    assert blank(halves) == pytest.approx(1.0)


def test_a_picture_in_colours_of_one_brightness_is_not_blank() -> None:
    pixels = flat(0)
    pixels[:32], pixels[32:] = (200, 0, 0), (0, 102, 0)
    assert blank(pixels) > 0.5


def test_share_of_clipped_values() -> None:
    pixels = flat(100)
    pixels[:16] = 255
    pixels[16:32, :, 0] = 0
    assert clipped(pixels) == pytest.approx(0.25 + 0.25 / 3)


@pytest.mark.parametrize("seed", range(4))
def test_the_softer_the_more_blurred(seed: int) -> None:
    sharp = scene(seed)
    values = [blur(sharp), *(blur(softened(sharp, r)) for r in (1, 2, 4))]
    assert values == sorted(values)
    assert values[0] < 0.65 < values[-1]


def test_no_detail_counts_as_blurred_and_noise_as_sharp() -> None:
    assert blur(flat()) == 1
    assert blur(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)) < 0.25


@given(arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
@settings(max_examples=60, deadline=None)
def test_values_stay_within_their_scale_for_any_picture(pixels: Pixels) -> None:
    assert 0 <= blank(pixels) <= 1
    assert 0 <= clipped(pixels) <= 1
    assert 0 <= blur(pixels) <= 1
    assert blur(pixels) == pytest.approx(blur(pixels.transpose(1, 0, 2)))
    assert 0 <= perceptual_hash(pixels) < 2**63


@pytest.mark.parametrize("seed", range(4))
def test_the_hash_outlives_scaling_and_compression_but_not_another_scene(seed: int) -> None:
    own, picture = perceptual_hash(scene(seed)), Image.fromarray(scene(seed))
    half = perceptual_hash(np.array(picture.resize((48, 48), Image.Resampling.LANCZOS)))
    assert distance(own, half) <= NEAR
    assert distance(own, perceptual_hash(softened(scene(seed), 1))) <= NEAR
    assert all(distance(own, perceptual_hash(scene(other))) > NEAR for other in range(10, 30))


def test_the_share_of_repeats() -> None:
    images = [scene(1), scene(2), softened(scene(1), 1), scene(3)]
    assert Duplicates().measure(images, [], CACHE).value == 0.25
    assert Duplicates().measure(images[:2], [scene(2)], CACHE).value == 0.5
    with pytest.raises(InvalidRequest):
        Duplicates().measure([], [], CACHE)


def test_faults_are_named() -> None:
    def found(pixels: Pixels) -> list[str]:
        scores = [metric.score([pixels], [], CACHE)[0] for metric in (Blank(), Clipped(), Blur())]
        return [notice.code for notice in faults(scores)]

    assert found(scene(0)) == []
    assert found(flat()) == ["picture_blank", "picture_blur"]
    assert found(flat(0)) == ["picture_blank", "picture_clipped", "picture_blur"]
    assert found(softened(scene(0), 8)) == ["picture_blur"]
    repeated = Duplicates().measure([scene(0), scene(0)], [], CACHE)
    assert [notice.code for notice in faults([repeated])] == ["picture_duplicates"]
