"""Preprocessing is the published one: transformers' processor, and the plain steps of CLIP's own code and of HPSv2."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from limner.errors import InvalidRequest
from limner.evaluate.towers_pixels import MEAN, STD, padded, processor_crop, torchvision_crop
from tests.scorers import pictures

SIZES = ((64, 64), (40, 57), (91, 33), (224, 225), (33, 100), (300, 211), (10, 7))


@pytest.mark.parametrize("size", SIZES)
def test_processor_crop_is_transformers(size: tuple[int, int]) -> None:
    (picture,) = pictures(1, size=size)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    theirs = processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(processor_crop(picture, 32), theirs, atol=2e-6, rtol=0)


@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_torchvision_crop_steps(height: int, width: int, seed: int) -> None:
    """Resize(S) and CenterCrop(S) of torchvision, step by step: short side S, long side floored, offset rounded."""
    side = 16
    (picture,) = pictures(1, seed, (height, width))
    tall = width <= height
    size = (side, int(side * height / width)) if tall else (int(side * width / height), side)
    resized = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    top, left = round((size[1] - side) / 2.0), round((size[0] - side) / 2.0)
    cropped = np.asarray(resized)[top : top + side, left : left + side].astype(np.float64) / 255
    expected = (cropped - np.array(MEAN)) / np.array(STD)
    got = torchvision_crop(picture, side).permute(1, 2, 0).double().numpy()
    np.testing.assert_allclose(got, expected, atol=5e-6)


def test_the_two_crops_differ_where_half_pixels_round_differently() -> None:
    (picture,) = pictures(1, size=(16, 19))  # three to spare: 1.5 rounds to 2, and down to 1
    assert not torch.equal(torchvision_crop(picture, 16), processor_crop(picture, 16))


def test_padded_shows_all_and_black_around() -> None:
    white = np.full((20, 40, 3), 255, np.uint8)
    seen = padded(white, 16) * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    torch.testing.assert_close(seen[:, 4:12], torch.ones(3, 8, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, :4], torch.zeros(3, 4, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, 12:], torch.zeros(3, 4, 16), atol=1e-5, rtol=0)


def test_padded_resizes_floats_without_clipping() -> None:
    """As torch's antialiased bicubic on 0..1, overshoot kept; odd rows go below, as published."""
    (picture,) = pictures(1, size=(30, 47))
    floats = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    inner = torch.nn.functional.interpolate(floats[None], (10, 16), mode="bicubic", antialias=True)[0]
    expected = torch.zeros(3, 16, 16)
    expected[:, 3:13] = inner
    expected = (expected - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(padded(picture, 16), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InvalidRequest, match="a picture is"):
        padded(bad, 16)


def test_a_thread_of_a_picture_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="too narrow"):
        torchvision_crop(np.zeros((2, 2000, 3), np.uint8), 224)
