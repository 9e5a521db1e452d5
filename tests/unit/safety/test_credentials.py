"""Content Credentials: what is signed validates with the official reader, and no change of a file goes unseen."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import get_args

import c2pa
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.errors import SigningError
from limner.safety import keys
from limner.safety.credentials import MIME, Claim, Format, Parent, sign
from limner.safety.credentials_read import read
from limner.safety.signing import Signing

KEY = keys.new_key()
CLAIM = Claim("trainedAlgorithmicMedia", "2026-11-22T10:00:00Z", {"image_key": "sha256:ab", "watermark": "1234abcd"})
FORMATS: tuple[Format, ...] = get_args(Format)


def picture(format: str = "png", width: int = 9, height: int = 7, text: str = "") -> bytes:
    pixels = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    out, chunks = io.BytesIO(), PngInfo()
    chunks.add_text("parameters", text)
    options = {"pnginfo": chunks} if format == "png" else {"exif": b"Exif\0\0" + text.encode()} if text else {}
    Image.fromarray(pixels).save(out, format, **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def signed() -> dict[Format, bytes]:
    return {format: sign(picture(format), format, CLAIM, KEY) for format in FORMATS}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 300), (257, 31), (640, 480)])
@pytest.mark.parametrize("length", [0, 1, 253, 60_000])
def test_every_file_validates_with_the_official_reader(format: Format, width: int, height: int, length: int) -> None:
    data = sign(picture(format, width, height, "x" * length), format, CLAIM, KEY)
    reader = c2pa.Reader(MIME[format], io.BytesIO(data))
    assert reader.get_validation_state() == "Valid"
    failures = reader.get_validation_results()["activeManifest"]["failure"]
    assert [each["code"] for each in failures] == ["signingCredential.untrusted"]  # self-signed, as we say
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (width, height)
        image.load()


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_read_is_what_was_signed(signed: dict[Format, bytes], format: Format) -> None:
    found = read(signed[format], format, local=KEY.authority)
    assert (found.state, found.here, found.source) == ("intact", True, CLAIM.source)
    assert dict(found.picture) == dict(CLAIM.picture)
    assert found.generator.startswith("Limner ")
    assert found.when == CLAIM.created
    assert not read(signed[format], format, local=keys.new_key().authority).here
    trusted = read(signed[format], format, anchors=KEY.authority)
    assert trusted.state == "trusted"


@pytest.mark.parametrize("format", FORMATS)
def test_no_flipped_bit_is_reported_intact(signed: dict[Format, bytes], format: Format) -> None:
    """Every third byte: of the picture, of the manifest, and of its wrapping, which the standard does not hash."""
    data = bytearray(signed[format])
    assert read(bytes(data), format).good
    for place in range(0, len(data), 3):
        data[place] ^= 1 << (place % 8)
        assert not read(bytes(data), format).good, place
        data[place] ^= 1 << (place % 8)


ALTERED: dict[str, Callable[[bytes, str, Random], bytes]] = {
    "cut short": lambda data, _, chance: data[: chance.randrange(len(data))],
    "longer": lambda data, _, chance: data + bytes(chance.randrange(1, 9)),
    "a piece gone": lambda data, _, chance: _without(data, chance.randrange(len(data) - 40), chance.randrange(1, 40)),
    "a piece new": lambda data, _, chance: _with(data, chance.randrange(len(data)), chance.randbytes(5)),
    "saved anew": lambda data, format, chance: _saved(data, format, chance.randrange(60, 96)),
}


def _without(data: bytes, start: int, count: int) -> bytes:
    return data[:start] + data[start + count :]


def _with(data: bytes, start: int, more: bytes) -> bytes:
    return data[:start] + more + data[start:]


def _saved(data: bytes, format: str, quality: int) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.save(out, format, quality=quality)
    return out.getvalue()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("how", ALTERED)
def test_no_altered_file_is_reported_intact(signed: dict[Format, bytes], format: Format, how: str) -> None:
    chance = Random(f"{format} {how}")
    for _ in range(30):
        data = ALTERED[how](signed[format], format, chance)
        assert not read(data, format).good


def test_a_parent_is_an_ingredient_and_its_changes_are_seen(signed: dict[Format, bytes]) -> None:
    claim = Claim(
        "compositeWithTrainedAlgorithmicMedia", CLAIM.created, {}, over=True, parent=Parent(signed["png"], "png")
    )
    data = bytearray(sign(picture("jpeg"), "jpeg", claim, KEY))
    found = read(bytes(data), "jpeg")
    assert (found.state, found.parents, found.source) == ("intact", 1, claim.source)
    for place in range(0, len(data), 41):
        data[place] ^= 4
        assert not read(bytes(data), "jpeg").good, place
        data[place] ^= 4


def test_a_start_picture_that_is_gone_is_told_of() -> None:
    data = sign(picture(), "png", Claim(CLAIM.source, CLAIM.created, {}, over=True), KEY)
    found = read(data, "png")
    assert found.good
    assert found.parents == 0
    assert found.picture["drawn_over_a_picture"] is True


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_not_signed_is_absent(format: Format) -> None:
    assert read(picture(format), format).state == "absent"
    assert read(b"", format).state == "absent"
    assert read(b"not a picture", format).state == "absent"


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "credentials"
    assert Signing(folder).prepare() == ()
    (path,) = folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert Signing(folder).prepare() == ()
    assert path.read_bytes() == before
    data, notices = Signing(folder).sign(picture(), "png", CLAIM)
    assert read(data, "png", local=keys.recognised(folder)).here
    assert notices == ()


@pytest.mark.parametrize("broken", [b"", b"not a key", keys.new_key().private])
def test_an_unreadable_key_is_replaced_and_said(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / keys.FILE).write_bytes(broken)
    (notice,) = Signing(tmp_path).prepare()
    assert notice.code == "new-signing-key"
    assert len(list(tmp_path.iterdir())) == 2  # the old one is kept


def test_an_expired_key_is_replaced_and_said(tmp_path: Path) -> None:
    old = keys.new_key(start=datetime.now(UTC) - timedelta(days=800), years=2)
    (tmp_path / keys.FILE).write_bytes(old.private + old.chain)
    with pytest.raises(SigningError, match="expired"):
        sign(picture(), "png", CLAIM, old)
    signing = Signing(tmp_path)
    (notice,) = signing.prepare()
    assert "expired" in notice.message
    assert read(signing.sign(picture(), "png", CLAIM)[0], "png").good


def test_a_home_that_cannot_be_written_gives_a_key_for_this_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    signing = Signing(tmp_path / "file" / "credentials")
    (notice,) = signing.prepare()
    assert notice.code == "signing-key-not-kept"
    assert read(signing.sign(picture(), "png", CLAIM)[0], "png").good


def test_ones_own_certificate_signs(tmp_path: Path) -> None:
    own = keys.new_key()
    (tmp_path / "c.pem").write_bytes(own.chain)
    (tmp_path / "k.pem").write_bytes(own.private)
    signing = Signing(tmp_path / "credentials", tmp_path / "c.pem", tmp_path / "k.pem")
    assert signing.prepare() == ()
    assert read(signing.sign(picture(), "png", CLAIM)[0], "png", anchors=own.authority).state == "trusted"
    assert not (tmp_path / "credentials").exists()


@pytest.mark.parametrize("wrong", ["another's key", "no file", "no key", "damaged"])
def test_ones_own_certificate_that_does_not_sign_is_said(tmp_path: Path, wrong: str) -> None:
    own = keys.new_key()
    (tmp_path / "c.pem").write_bytes(own.chain if wrong != "damaged" else own.chain[:200])
    (tmp_path / "k.pem").write_bytes(own.private if wrong != "another's key" else keys.new_key().private)
    private = {"no file": tmp_path / "none.pem", "no key": None}.get(wrong, tmp_path / "k.pem")
    signing = Signing(tmp_path / "credentials", tmp_path / "c.pem", private)
    (notice,) = signing.prepare()
    assert notice.code == "own-certificate"
    assert read(signing.sign(picture(), "png", CLAIM)[0], "png", local=keys.recognised(tmp_path / "credentials")).here


def test_a_time_stamp_authority_that_does_not_answer_costs_only_the_stamp(tmp_path: Path) -> None:
    data, (notice,) = Signing(tmp_path, timestamp="http://127.0.0.1:9/").sign(picture(), "png", CLAIM)
    assert notice.code == "no-time-stamp"
    assert read(data, "png").good


def test_without_the_library_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signed: dict[Format, bytes]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(SigningError, match="c2pa-python"):
        Signing(tmp_path).prepare()
    assert read(signed["png"], "png").state == "unreadable"
    assert read(picture(), "png").state == "absent"
