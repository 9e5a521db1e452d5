"""Picture files: whole or not there, decoded within limits."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner import disk
from limner.disk import write_atomic
from limner.errors import InvalidRequest, PictureNotFound, StorageError, UnreadablePicture
from limner.library.files import decode, encode, format_name, format_of, opened, pixel_hash
from limner.library.metadata import read
from tests.unit.library.making import pixels, record


def test_png_and_lossless_webp_give_the_pixels_back(tmp_path: Path) -> None:
    image = pixels(1)
    for name, format, quality in (("a.png", "png", 92), ("a.webp", "webp", 100)):
        (tmp_path / name).write_bytes(encode(image, record(), format, quality=quality))  # type: ignore[arg-type]
        assert np.array_equal(decode(tmp_path / name), image)


def test_jpeg_is_near(tmp_path: Path) -> None:
    image = np.full((32, 48, 3), (200, 30, 90), np.uint8)
    (tmp_path / "a.jpg").write_bytes(encode(image, record(), "jpeg"))
    assert np.abs(decode(tmp_path / "a.jpg").astype(int) - image).max() <= 4


def test_no_metadata_leaves_no_word_of_the_prompt() -> None:
    for format in ("png", "jpeg", "webp"):
        data = encode(pixels(), record("xyzzy"), format, metadata="none")  # type: ignore[arg-type]
        assert b"xyzzy" not in data
        assert b"x\x00y\x00z" not in data


def test_unknown_format_and_suffix_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="gif"):
        encode(pixels(), record(), "gif")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"out\.bmp"):
        format_of(Path("out.bmp"))
    assert format_of(Path("a/B.JPEG")) == "jpeg"


def test_pixel_hash_sees_shape_and_bytes() -> None:
    image = pixels()
    other = image.copy()
    other[0, 0, 0] ^= 1
    assert pixel_hash(image) != pixel_hash(other)
    assert pixel_hash(image) != pixel_hash(image.reshape(48, 32, 3))
    assert pixel_hash(image) == pixel_hash(np.asfortranarray(image))
    assert pixel_hash(np.zeros((1, 1, 3), np.uint8)) == ("sha256:" + hashlib.sha256(b"1x1x3:\x00\x00\x00").hexdigest())


@pytest.mark.parametrize("stage", ["mkstemp", "write", "fsync", "replace", "folder_fsync"])
@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "not writable"), (errno.EIO, "could not")]
)
def test_a_failing_disk_leaves_no_torn_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, number: int, words: str
) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if stage == "mkstemp":
        monkeypatch.setattr(disk.tempfile, "mkstemp", fail)
    elif stage == "folder_fsync":
        monkeypatch.setattr(disk, "_sync_folder", fail)
    else:
        monkeypatch.setattr(disk.os, stage, fail)
    with pytest.raises(StorageError, match=words) as caught:
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert "picture.png" in caught.value.message
    assert caught.value.hint
    assert path.read_bytes() == (b"new" if stage == "folder_fsync" else b"old")
    assert list(tmp_path.iterdir()) == [path]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(disk.os, "write", lambda handle, data: write(handle, bytes(data[:7])))
    data = bytes(range(100))
    write_atomic(tmp_path / "a.bin", data)
    assert (tmp_path / "a.bin").read_bytes() == data


def test_a_disk_that_fills_up_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    calls = 0

    def fills(handle: int, data: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.ENOSPC, "full")
        return write(handle, bytes(data[:10]))

    monkeypatch.setattr(disk.os, "write", fills)
    with pytest.raises(StorageError, match="full"):
        write_atomic(tmp_path / "a.bin", bytes(100))
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_are_on_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(disk.os, name, lambda *a, real=real, name=name: (order.append(name), real(*a))[1])
    write_atomic(tmp_path / "new" / "a.png", b"x")
    assert order == ["fsync", "replace", "fsync"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_pictures_get_ordinary_permissions(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.png", b"x")
    (tmp_path / "b.png").touch()
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == stat.S_IMODE((tmp_path / "b.png").stat().st_mode)


def test_a_file_where_a_folder_should_be_and_an_endless_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        write_atomic(tmp_path / "file" / "a.png", b"x")
    with pytest.raises(StorageError, match="too long"):
        write_atomic(tmp_path / ("a" * 400 + ".png"), b"x")


def _png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    data = zlib.compress(bytes(1_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_what_is_no_picture_or_too_large_is_refused(tmp_path: Path) -> None:
    whole = encode(pixels(), record(), "png")
    cases = {
        "empty.png": (b"", "not a PNG"),
        "words.png": (b"hello", "not a PNG"),
        "cut.png": (whole[: len(whole) - 600], "damaged"),
        "bomb.png": (_png_claiming(30_000, 30_000), "pixels"),
        "wide.png": (_png_claiming(9_000, 9_000), "pixels"),
    }
    for name, (data, words) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UnreadablePicture, match=words) as caught:
            decode(tmp_path / name)
        assert name in caught.value.message
    with pytest.raises(PictureNotFound):
        decode(tmp_path / "absent.png")
    with pytest.raises(UnreadablePicture):
        decode(tmp_path)


def test_other_formats_are_not_tried(tmp_path: Path) -> None:
    Image.fromarray(pixels()).save(tmp_path / "a.png", "GIF")
    with pytest.raises(UnreadablePicture, match="not a PNG"):
        decode(tmp_path / "a.png")


def test_a_text_bomb_is_refused(tmp_path: Path) -> None:
    chunks = PngInfo()
    chunks.add_text("parameters", "a" * 50_000_000, zip=True)
    Image.fromarray(pixels()).save(tmp_path / "a.png", pnginfo=chunks)
    assert (tmp_path / "a.png").stat().st_size < 1_000_000
    with pytest.raises(UnreadablePicture):
        decode(tmp_path / "a.png")


def test_every_mode_becomes_rgb_and_orientation_is_applied(tmp_path: Path) -> None:
    grey = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    deep = decode(tmp_path / "deep.png")
    assert deep.shape == (8, 8, 3)
    assert deep[0, 1, 0] == 1024 // 257
    assert deep[7, 7, 0] == 64512 // 257
    Image.fromarray(pixels()).convert("RGBA").save(tmp_path / "alpha.png")
    assert decode(tmp_path / "alpha.png").shape == (32, 48, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels()).save(tmp_path / "turned.jpg", exif=exif)
    assert decode(tmp_path / "turned.jpg").shape == (48, 32, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_does_not_hide_good_pixels(tmp_path: Path) -> None:
    image = pixels()
    for name, exif in (("a.webp", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"), ("b.webp", b"\x00\x01rubbish")):
        Image.fromarray(image).save(tmp_path / name, lossless=True, exif=exif)
        assert np.array_equal(decode(tmp_path / name), image)
        assert read(tmp_path / name).source == "none"


def test_a_phones_two_picture_jpeg_is_a_jpeg(tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels(k)) for k in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    with opened(tmp_path / "a.jpg") as image:
        assert format_name(image) == "jpeg"
    assert decode(tmp_path / "a.jpg").shape == (32, 48, 3)
