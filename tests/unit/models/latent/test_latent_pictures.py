"""Start pictures and masks brought to size, and what a mask means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from limner.errors import InvalidRequest, UnreadablePicture
from limner.models.latent import pictures


def saved(path: Path, array: np.ndarray, **more: object) -> Path:  # type: ignore[type-arg]
    Image.fromarray(array).save(path, **more)  # type: ignore[arg-type]
    return path


def wide() -> Image.Image:
    """40 x 20: red left half, blue right half."""
    array = np.zeros((20, 40, 3), np.uint8)
    array[:, :20, 0] = 255
    array[:, 20:, 2] = 255
    return Image.fromarray(array)


def test_crop_cuts_both_sides_alike() -> None:
    found = np.asarray(pictures.bring(wide(), (20, 20), "crop"))
    assert found.shape == (20, 20, 3)
    assert (found[10, 2] == (255, 0, 0)).all()
    assert (found[10, 17] == (0, 0, 255)).all()


def test_fit_keeps_the_whole_picture_and_repeats_its_edge() -> None:
    tall = wide().rotate(90, expand=True)  # blue above red
    found = np.asarray(pictures.bring(tall, (40, 40), "fit"))
    assert found.shape == (40, 40, 3)
    assert (found[2, 0] == found[2, 20]).all()
    assert (found[37, 39] == found[37, 20]).all()
    assert found[2, 0, 2] > 250


def test_stretch_changes_proportions() -> None:
    found = np.asarray(pictures.bring(wide(), (20, 20), "stretch"))
    assert found[0, 0, 0] > 250
    assert found[0, 19, 2] > 250


def test_what_is_transparent_lies_on_white(tmp_path: Path) -> None:
    array = np.zeros((4, 4, 4), np.uint8)
    array[:, 2:, 3] = 255
    found = np.asarray(pictures.rgb(saved(tmp_path / "a.png", array)))
    assert (found[:, :2] == 255).all()
    assert (found[:, 2:] == 0).all()


def test_a_phone_picture_is_turned_upright(tmp_path: Path) -> None:
    image = wide()
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert pictures.size_of(tmp_path / "a.jpg") == (20, 40)
    assert pictures.rgb(tmp_path / "a.jpg").size == (20, 40)


def test_a_mask_is_white_or_transparent(tmp_path: Path) -> None:
    grey = np.zeros((4, 4), np.uint8)
    grey[:2] = 255
    assert pictures.read_mask(saved(tmp_path / "grey.png", grey), (4, 4), None, invert=False)[:, 0].tolist() == [
        1,
        1,
        0,
        0,
    ]
    assert pictures.read_mask(tmp_path / "grey.png", (4, 4), None, invert=True)[:, 0].tolist() == [0, 0, 1, 1]
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[2:, :, 3] = 255  # opaque below: the upper half is redrawn
    assert pictures.read_mask(saved(tmp_path / "rgba.png", clear), (4, 4), None, invert=False)[:, 0].tolist() == [
        1,
        1,
        0,
        0,
    ]
    opaque = np.full((4, 4, 4), 255, np.uint8)
    opaque[2:, :, :3] = 0  # nothing is transparent: its colours count
    assert pictures.read_mask(saved(tmp_path / "opaque.png", opaque), (4, 4), None, invert=False)[:, 0].tolist() == [
        1,
        1,
        0,
        0,
    ]
    deep = np.zeros((4, 4), np.uint16)
    deep[:2] = 65535
    assert pictures.read_mask(saved(tmp_path / "deep.png", deep), (4, 4), None, invert=False)[:, 0].tolist() == [
        1,
        1,
        0,
        0,
    ]


def test_a_mask_of_another_size_needs_a_word(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", np.full((8, 6), 255, np.uint8))
    with pytest.raises(InvalidRequest, match="6x8 and the start picture 12x16"):
        pictures.read_mask(path, (12, 16), None, invert=False)
    assert pictures.read_mask(path, (12, 16), "stretch", invert=False).shape == (16, 12)


@pytest.mark.parametrize(("value", "word"), [(0, "nothing"), (255, "everything")])
def test_a_mask_must_leave_something_to_do(value: int, word: str) -> None:
    with pytest.raises(InvalidRequest, match=word):
        pictures.check_mask(np.full((4, 4), value / 255, np.float32))


def test_a_damaged_file_is_said_so(tmp_path: Path) -> None:
    wide().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(UnreadablePicture, match="damaged"):
        pictures.rgb(tmp_path / "b.png")


@given(
    shape=st.tuples(st.integers(4, 80), st.integers(4, 80)),
    corner=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    extent=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    padding=st.integers(0, 30),
    drawn=st.sampled_from([(64, 64), (96, 64), (32, 128)]),
)
def test_a_region_holds_the_mask_and_its_padding(
    shape: tuple[int, int],
    corner: tuple[int, int],
    extent: tuple[int, int],
    padding: int,
    drawn: tuple[int, int],
) -> None:
    hard = np.zeros(shape, np.float32)
    hard[corner[0] : corner[0] + extent[0], corner[1] : corner[1] + extent[1]] = 1
    assume(hard.any())
    left, top, right, bottom = pictures.region(hard, padding, drawn)
    assert 0 <= left < right <= shape[1]
    assert 0 <= top < bottom <= shape[0]
    rows, columns = np.flatnonzero(hard.any(axis=1)), np.flatnonzero(hard.any(axis=0))
    assert top <= max(rows[0] - padding, 0)
    assert bottom >= min(rows[-1] + 1 + padding, shape[0])
    assert left <= max(columns[0] - padding, 0)
    assert right >= min(columns[-1] + 1 + padding, shape[1])


def test_a_feather_is_between_and_no_blur_changes_nothing() -> None:
    hard = np.zeros((32, 32), np.float32)
    hard[:, 16:] = 1
    soft = pictures.feather(hard, 3)
    assert soft.dtype == np.float32
    assert (np.diff(soft[16]) >= 0).all()
    assert 0 < soft[16, 14] < 0.5 < soft[16, 17] < 1
    assert pictures.feather(hard, 0) is hard
