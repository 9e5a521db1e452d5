"""From pixels and a Record to a file: marks by level, once each, and never missing in silence."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from limner.config import Settings
from limner.errors import SigningError
from limner.image import Image
from limner.library import embed
from limner.library.files import Format, decode, pixel_hash
from limner.library.metadata import read as read_metadata
from limner.library.store import Library
from limner.marking import Marking, watermarked
from limner.safety.credentials_read import read
from limner.safety.signing import Signing
from limner.safety.watermark import detect, payload_of
from limner.types import Brief, Pixels, Record
from tests.unit.library.making import record

FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp")


def smooth(seed: int = 0, side: int = 256) -> Pixels:
    """Soft shapes with a little grain: what a model might draw."""
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    planes = [120 + 60 * np.sin(9 * x * chance.random() + k) + 40 * np.cos(7 * y + seed) for k in range(3)]
    return (np.stack(planes, -1) + chance.normal(0, 3, (side, side, 3))).clip(0, 255).astype(np.uint8)


PIXELS = smooth()
BIRTH = record(image=PIXELS, marks="full")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(tmp_path, {})


@pytest.fixture
def marking(settings: Settings) -> Marking:
    return Marking.of(settings)


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_file_carries_every_mark(marking: Marking, tmp_path: Path, format: Format) -> None:
    file = marking.file(PIXELS, BIRTH, format)
    path = tmp_path / f"picture.{format}"
    path.write_bytes(file.data)
    found = read(file.data, format)
    assert found.state == "intact"
    seen = detect(decode(path))
    assert seen.payload == payload_of(BIRTH.image_key)
    assert found.picture["watermark"] == f"{seen.payload:08x}"
    told = read_metadata(path)
    assert told.record == file.record
    assert any(embed.DIGITAL_SOURCE in text for text in told.raw.values())
    assert file.record.watermark is not None
    assert file.record.pixel_hash == pixel_hash(PIXELS)
    if format == "png":
        assert file.record.watermark.pixel_hash == pixel_hash(decode(path))


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_leaves_the_pixels_and_none_leaves_all(marking: Marking, tmp_path: Path, format: Format) -> None:
    some = marking.file(PIXELS, BIRTH.model_copy(update={"marks": "metadata"}), format)
    assert read(some.data, format).good
    assert some.record.watermark is None
    bare = marking.file(PIXELS, BIRTH.model_copy(update={"marks": "none"}), format)
    assert read(bare.data, format).state == "absent"
    assert b"digitalsourcetype" not in bare.data
    for k, file in enumerate((some, bare)):
        path = tmp_path / f"{k}.{format}"
        path.write_bytes(file.data)
        assert not detect(decode(path)).present


@pytest.mark.parametrize("format", FORMATS)
def test_minimal_keeps_every_word_out_of_the_file(marking: Marking, tmp_path: Path, format: Format) -> None:
    secret = "a very particular zebra"
    asked = BIRTH.request.but(prompt=secret, negative="unwanted gnu")
    birth = BIRTH.model_copy(
        update={"prompt": secret, "negative": "unwanted gnu", "request": asked, "metadata": "minimal"}
    )
    file = marking.file(PIXELS, birth, format)
    path = tmp_path / f"picture.{format}"
    path.write_bytes(file.data)
    for word in ("zebra", "gnu", "Steps:", "guidance"):
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            assert word.encode(encoding) not in file.data
    told = read_metadata(path)
    assert told.record is None
    assert told.brief == Brief.of(file.record)
    assert (told.source, told.fields) == ("limner", {"model": "pocket"})
    assert file.record.prompt == secret  # the library's row has it


def test_marking_again_gives_the_same_pixels_and_no_second_mark(marking: Marking) -> None:
    first, told = watermarked(PIXELS, BIRTH)
    again, same = watermarked(PIXELS, told)
    assert np.array_equal(first, again)
    assert same == told
    kept, same = watermarked(first, told)
    assert kept is first
    assert same == told
    assert np.abs(first.astype(int) - PIXELS).max() > 0


def test_a_picture_drawn_over_a_marked_one_keeps_that_mark(marking: Marking, tmp_path: Path) -> None:
    below, _ = watermarked(smooth(side=512), record(image=smooth(side=512), marks="full", seed=1))
    over = record(image=below, marks="full", seed=2)
    over = over.model_copy(update={"request": over.request.but(init="sha256:" + "0" * 64)})
    shown, told = watermarked(below, over)
    assert np.array_equal(shown, below)
    assert told.watermark is not None
    assert told.watermark.payload == f"{payload_of(record(seed=1).image_key):08x}"
    assert "watermark-of-parent" in [notice.code for notice in told.notices]


def test_a_start_picture_decides_the_source(marking: Marking, tmp_path: Path) -> None:
    plain, ours = tmp_path / "photo.png", tmp_path / "ours.png"
    Image(PIXELS, BIRTH).pil.save(plain)
    ours.write_bytes(marking.file(PIXELS, BIRTH).data)
    over = BIRTH.model_copy(update={"request": BIRTH.request.but(init="sha256:" + "0" * 64)})
    larger = over.model_copy(update={"recipe": over.recipe.model_copy(update={"family": "upscale"})})
    sources = {
        "compositeWithTrainedAlgorithmicMedia": marking.file(PIXELS, over, parent=plain),
        "algorithmicallyEnhanced": marking.file(PIXELS, larger, parent=plain),
        "trainedAlgorithmicMedia": marking.file(PIXELS, over, parent=ours),
    }
    for source, file in sources.items():
        found = read(file.data, "png")
        assert (found.state, found.source, found.parents) == ("intact", source, 1)
        assert file.record.source == source
        assert source.encode() in file.data


def test_a_picture_too_small_is_kept_and_it_is_said(marking: Marking) -> None:
    tiny = PIXELS[:40, :40]
    file = marking.file(tiny, record(image=tiny, marks="full"))
    assert read(file.data, "png").good
    assert [notice.code for notice in file.record.notices] == ["no-watermark"]


def test_what_cannot_be_signed_is_kept_and_it_is_said(
    marking: Marking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Signing) -> None:
        raise SigningError("the library is not here")

    monkeypatch.setattr(Signing, "prepare", refused)
    file = marking.file(PIXELS, BIRTH)
    assert file.record.notices[-1].code == "not-signed"
    (tmp_path / "x.png").write_bytes(file.data)
    assert read_metadata(tmp_path / "x.png").record == file.record  # said inside of the file, too
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        Image(PIXELS, BIRTH, marking=marking).save(tmp_path / "y.png")
    assert any("without a signed manifest" in str(each.message) for each in heard)


def test_a_watermark_that_fails_costs_no_picture(marking: Marking, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*args: object, **named: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("limner.safety.watermark.embed", out_of_memory)
    file = marking.file(PIXELS, BIRTH)
    assert file.record.watermark is None
    assert [notice.code for notice in file.record.notices] == ["no-watermark"]
    assert read(file.data, "png").good


def test_a_copy_in_the_same_format_is_the_librarys_file(marking: Marking, settings: Settings, tmp_path: Path) -> None:
    from limner.canonical import tagged

    library = Library(settings.library_root)
    file = marking.file(PIXELS, BIRTH)
    entry = library.add_encoded(file.data, file.record, "png", size=(256, 256))
    image = Image(PIXELS, file.record, entry.id, str(entry.path), marking=marking, kept=tagged(file.data))
    assert image.save(tmp_path / "copy.png").read_bytes() == entry.path.read_bytes()
    lossy = image.save(tmp_path / "copy.jpg")
    assert read(lossy.read_bytes(), "jpeg").good
    assert detect(decode(lossy)).payload == payload_of(BIRTH.image_key)
    entry.path.write_bytes(file.data[:-30])  # the library's file was changed behind our back
    assert read(image.save(tmp_path / "other.png").read_bytes(), "png").good


def test_the_library_knows_its_own_files_again(marking: Marking, settings: Settings, tmp_path: Path) -> None:
    library = Library(settings.library_root)
    births: dict[str, Record] = {}
    for k, metadata in enumerate(("full", "minimal")):
        pixels = smooth(k)
        file = marking.file(pixels, record(seed=k, image=pixels, marks="full", metadata=metadata))
        births[library.add_encoded(file.data, file.record, "png", size=(256, 256)).id] = file.record
    copies = library.export(list(births), tmp_path / "out")
    for name, copy in zip(births, copies, strict=True):
        assert library.get(str(copy)).id == name
    report = library.import_folder(tmp_path / "out")
    assert (report.added, report.duplicates) == (0, 2)
    fresh = Library(tmp_path / "elsewhere")
    assert fresh.import_folder(tmp_path / "out", copy=True).added == 2
    for entry in fresh.list():
        (birth,) = [each for each in births.values() if each.image_key == entry.image_key]
        assert entry.pixel_hash == birth.pixel_hash
        assert entry.source == "limner"
