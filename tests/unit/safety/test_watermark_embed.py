"""Marking: how much it changes, which pictures it refuses, that it is the same every time."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from limner.errors import InvalidRequest
from limner.safety.watermark import Marked, detect, embed, payload_of, remark
from limner.safety.watermark.embed import SMALLEST
from tests.unit.safety.watermark_pictures import clouds, flat, ramp, saved

GOLDEN = "590b754d78c406729c2501ad3a23d3b3bf3b4cffe1221d049c6d558ca4e867be"
OLD = Path(__file__).parents[2] / "fixtures" / "watermark_v1.png"
COLOURS = [
    (0, 0, 0),
    (255, 255, 255),
    (128, 128, 128),
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 0),
    (3, 250, 128),
]


@pytest.mark.parametrize("colour", COLOURS)
def test_flat_pictures_keep_40_db_and_are_found(colour: tuple[int, int, int]) -> None:
    marked = embed(flat(colour), 0xABCDEF01)
    assert marked.psnr >= 40
    assert detect(marked.pixels).payload == 0xABCDEF01
    assert detect(saved(marked.pixels, "jpeg", 90)).present


def test_noise_keeps_40_db() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    assert embed(pixels, 1).psnr >= 40


@given(st.integers(1, 140), st.integers(1, 140), st.sampled_from([*COLOURS, None]))
@settings(max_examples=25, deadline=None)
def test_any_size_comes_back_in_that_size_and_says_whether_it_is_marked(
    height: int, width: int, colour: tuple[int, int, int] | None
) -> None:
    pixels = ramp(height, width) if colour is None else flat(colour, height, width)
    before = pixels.copy()
    marked = embed(pixels, 3)
    assert np.array_equal(pixels, before)
    assert marked.pixels.shape == pixels.shape
    assert marked.pixels.dtype == np.uint8
    assert not math.isnan(marked.psnr)
    assert marked.psnr >= 40
    if min(height, width) < SMALLEST:
        assert marked.strength == 0
        assert not marked.found
        assert f"{width}x{height}" in marked.why_not
        assert np.array_equal(marked.pixels, pixels)
    else:
        assert marked.strength > 0
        assert not marked.why_not


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (31, 64), (33, 47), (64, 64)])
def test_tiny_unmarked_pictures_are_not_found(shape: tuple[int, int]) -> None:
    found = detect(ramp(*shape))
    assert not found.present
    assert math.isfinite(found.score)


def test_the_same_picture_and_payload_give_the_bytes_that_were_frozen() -> None:
    marked = embed(ramp(192, 230), payload_of("sha256:" + "5e" * 32))
    assert hashlib.sha256(marked.pixels.tobytes()).hexdigest() == GOLDEN


def test_pictures_that_were_marked_before_are_still_read() -> None:
    found = detect(np.asarray(Image.open(OLD).convert("RGB")))
    assert found.payload == payload_of("sha256:" + "5e" * 32)


def test_the_strength_of_a_record_makes_the_same_bytes() -> None:
    first = embed(clouds(), 9)
    assert np.array_equal(embed(clouds(), 9, strength=first.strength).pixels, first.pixels)


def test_gentle_changes_even_pictures_less() -> None:
    gentle, plain = embed(flat((120, 170, 225)), 9, gentle=True), embed(flat((120, 170, 225)), 9)
    assert gentle.psnr > plain.psnr + 3
    assert detect(gentle.pixels).payload == 9
    assert gentle.found
    assert not gentle.sure


def test_gentle_marks_texture_as_surely() -> None:
    gentle = embed(clouds(512, 512), 9, gentle=True)
    assert gentle.sure
    assert detect(saved(gentle.pixels, "jpeg", 75)).payload == 9


def test_a_picture_that_hides_the_mark_says_so() -> None:
    pixels = np.random.default_rng(1).normal(128, 70, (96, 96, 3)).clip(0, 255).astype(np.uint8)
    marked = embed(pixels, 9)
    assert marked.strength == 1
    assert not marked.found
    assert not marked.sure


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)],
)
def test_other_arrays_are_refused_by_name(pixels: np.ndarray) -> None:
    for way in (lambda: embed(pixels, 1), lambda: detect(pixels)):
        with pytest.raises(InvalidRequest, match="x"):
            way()


@pytest.mark.parametrize(("payload", "strength"), [(-1, None), (2**32, None), (1, 0.0), (1, 1.5), (1, math.nan)])
def test_payloads_and_strengths_out_of_range_are_refused(payload: int, strength: float | None) -> None:
    with pytest.raises(InvalidRequest, match=r"payload|strength"):
        embed(ramp(), payload, strength=strength)


def test_read_only_and_strided_pixels_are_marked_alike() -> None:
    pixels = clouds(200, 200)
    strided = np.repeat(pixels, 2, axis=1)[:, ::2]
    pixels.flags.writeable = False
    assert np.array_equal(embed(pixels, 4).pixels, embed(strided, 4).pixels)


def test_the_payload_begins_with_the_version_and_the_key() -> None:
    assert payload_of("sha256:0123456789abcdef" + "0" * 48) == 0x10123456
    assert payload_of("not a hash") >> 28 == 1
    assert payload_of("not a hash") != payload_of("not a hash either")


def test_a_picture_with_a_clear_mark_keeps_it() -> None:
    marked = embed(clouds(), 7).pixels
    again = remark(marked, 8)
    assert np.array_equal(again.pixels, marked)
    assert (again.payload, again.strength) == (7, 0)
    assert "made from" in again.why_not


def test_a_picture_without_one_is_marked() -> None:
    first = remark(clouds(), 8)
    assert isinstance(first, Marked)
    assert detect(first.pixels).payload == 8


def test_a_second_mark_is_still_a_mark() -> None:
    twice = embed(embed(clouds(), 7).pixels, 8)
    assert detect(twice.pixels).present
