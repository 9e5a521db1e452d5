"""What is read, and what is said of what is not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from limner.errors import InvalidRequest, UnreadablePicture
from limner.tune.caching import read_square
from limner.tune.pictures import read_examples
from limner.tune.settings import TuneSettings
from limner.tune.words import wording
from tests.tuning import settings, write_pictures


def test_what_is_left_out_of_a_folder_is_counted(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    (folder / "more").mkdir()
    for name in ("b.gif", "c.heic", "lost.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "metadata.jsonl").write_text('{"file_name": "gone.png", "text": "a fox"}\n')
    said = "\n".join(read_examples(folder).notices)
    for words in ("2 files that are neither", "b.gif", "1 folders", "more", "lost.txt", "gone.png"):
        assert words in said


def test_sixteen_bits_of_grey_are_scaled_and_not_cut_off(tmp_path: Path) -> None:
    grey = np.full((32, 32), 0.25 * 65535, np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    pixels, _, _ = read_square(tmp_path / "a.png", 32)
    assert float(pixels.mean()) == pytest.approx(-0.5, abs=0.01)


def test_floating_point_pictures_are_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    Image.fromarray(np.zeros((32, 32), np.float32)).save(folder / "x.png", format="TIFF")
    with pytest.raises(UnreadablePicture, match="floating point"):
        read_examples(folder)


def test_lines_of_a_manifest_are_those_of_the_file(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    odd = [f'{{"image": "{k:02d}.png", "caption": "fox\u2028{k}"}}' for k in range(4)]
    (tmp_path / "m.jsonl").write_text("\n".join(odd), "utf-8")
    assert [each.caption for each in read_examples(tmp_path / "m.jsonl").found] == [f"fox {k}" for k in range(4)]
    lines = ["image,caption", '00.png,"a fox\non grass"', "", "01.png,b", "02.png,c", ",d"]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    with pytest.raises(InvalidRequest, match="line 7: no picture is named"):
        read_examples(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("\n".join(lines[:-1]))
    assert read_examples(tmp_path / "m.csv").found[0].caption == "a fox on grass"


@pytest.mark.parametrize("limit", [131_072, 50_000_000])
def test_a_quote_left_open_is_told_whatever_the_process_lets_csv_read(tmp_path: Path, limit: int) -> None:
    (tmp_path / "m.csv").write_text('image,caption\n00.png,"' + "x\n" * 100_000)
    before = csv.field_size_limit(limit)
    try:
        with pytest.raises(InvalidRequest, match="line 2: field larger"):
            read_examples(tmp_path / "m.csv")
    finally:
        csv.field_size_limit(before)


def test_a_picture_listed_twice_says_which_words_are_used(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    lines = [f'{{"image": "{name}.png", "caption": "{words}"}}' for name, words in
             (("00", "a fox"), ("00", "a cat"), ("01", "b"), ("02", "c"))]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    (said,) = read_examples(tmp_path / "m.jsonl").notices
    assert said == "00.png is listed more than once, and is used once, as 'a fox' and not as 'a cat'"


def test_names_are_found_as_whole_words(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a", 3)
    for k, words in enumerate(("a pink house", "a house in ink", "a (ink) house")):
        (folder / f"{k:02d}.txt").write_text(words)
    found = read_examples(folder).found
    styled = wording(TuneSettings.of(model="pocket", style="ink"), found)
    assert styled.captions == ("a pink house, ink style", "a house in ink", "a (ink) house")
    assert "1 of 3 captions do not say 'ink'" in wording(settings(subject="ink house"), found).notices[0]
