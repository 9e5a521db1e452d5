"""--marks and --metadata on the commands that write pictures, and what inspect says of the files."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from limner.config import Settings
from limner.image import Image
from limner.inspecting import marks
from limner.library.store import Library
from limner.marking import Marking
from limner.safety.credentials_read import Credentials
from limner.types import Pixels
from tests.faces import pictures
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.faces.fake_drawing import FakeBackend, fake_drawing


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path) -> Limner:
    return limner_in(home)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    return fake_drawing(monkeypatch)


def shapes(side: int = 192) -> Pixels:
    y, x = np.mgrid[0:side, 0:side] / side
    planes = [120 + 60 * np.sin(9 * x + k) + 40 * np.cos(7 * y) for k in range(3)]
    grain = np.random.default_rng(1).normal(0, 3, (side, side, 3))
    return (np.stack(planes, -1) + grain).clip(0, 255).astype(np.uint8)


def kept(home: Path, **changes: object) -> tuple[str, Path, Image]:
    """A marked picture in the library: its id, its file, and the picture."""
    settings, pixels = Settings.load(home, {}), shapes()
    birth = pictures.record(pixels, **{"marks": "full", **changes})
    file = Marking.of(settings).file(pixels, birth)
    size = (pixels.shape[1], pixels.shape[0])
    entry = Library(settings.library_root).add_encoded(file.data, file.record, "png", size=size)
    return entry.id, entry.path, Image(pixels, file.record, entry.id, str(entry.path), marking=Marking.of(settings))


def told(limner: Limner, picture: object) -> dict[str, dict[str, object]]:
    found = said(limner("inspect", str(picture), "--json"))
    assert isinstance(found, dict)
    marks = found["marks"]
    assert isinstance(marks, dict)
    return {**marks, "whole": found}


def test_inspect_tells_each_mark_in_plain_words(limner: Limner, home: Path) -> None:
    _, path, _ = kept(home)
    text = limner("inspect", str(path)).stdout
    assert "as the Record says" in text
    assert "as this installation wrote it" in text
    assert "this installation's own key, with Limner" in text
    assert "made by a trained model (IPTC trainedAlgorithmicMedia)" in text
    assert "intact: exactly those that were drawn" in text


def test_an_older_certificate_of_others_is_not_taken_at_its_word() -> None:
    signer = "Limner, this installation, self-signed, not verified"
    others = dict(marks.facts(marks.Marks(Credentials("intact", signer=signer), "", False, None, None)))
    assert others["signed by"] == "Limner, an installation, self-signed, not verified"
    own = dict(marks.facts(marks.Marks(Credentials("intact", signer=signer, here=True), "", False, None, None)))
    assert own["signed by"] == "this installation's own key"


def test_inspect_elsewhere_says_what_is_not_proven(home: Path, tmp_path: Path) -> None:
    _, path, _ = kept(home)
    text = limner_in(tmp_path / "another").__call__("inspect", str(path)).stdout
    assert "who it was is not proven" in " ".join(text.split())
    assert re.search(r"Limner, an installation \([0-9a-f]{8}\)", " ".join(text.split()))
    assert "this installation" not in text
    (home / "credentials" / "signing.pem").rename(tmp_path / "signing.pem")
    (tmp_path / "trusting").mkdir()
    (tmp_path / "trusting" / "config.toml").write_text(f'[safety]\ntrust = "{tmp_path / "authority.pem"}"\n')
    from limner.safety.keys import FILE, recognised

    (tmp_path / FILE).rename(tmp_path / "credentials.pem")
    (tmp_path / "c").mkdir()
    (tmp_path / "credentials.pem").rename(tmp_path / "c" / FILE)
    (tmp_path / "authority.pem").write_bytes(recognised(tmp_path / "c"))
    text = limner_in(tmp_path / "trusting").__call__("inspect", str(path)).stdout
    assert "intact and trusted" in text


def test_inspect_sees_a_change(limner: Limner, home: Path, tmp_path: Path) -> None:
    _, path, image = kept(home)
    words = image.save(tmp_path / "words.jpg")
    words.write_bytes(words.read_bytes().replace(b"a red fox", b"a red dog"))
    found = told(limner, words)
    assert found["c2pa"]["state"] == "altered"
    assert found["whole"]["fields"]["prompt"] == "a red dog"  # type: ignore[index]
    assert "hearsay" in limner("inspect", str(words)).stdout
    PillowImage.open(path).save(tmp_path / "again.png")
    found = told(limner, tmp_path / "again.png")
    assert found["c2pa"]["state"] == "absent"
    assert found["watermark"]["present"] is True
    assert found["watermark"]["payload"] == image.record.watermark.payload  # type: ignore[union-attr]
    cut = tmp_path / "cut.png"
    cut.write_bytes(path.read_bytes()[:-4000])
    found = told(limner, cut)
    assert found["c2pa"]["state"] in ("altered", "unreadable")
    assert found["watermark"] is None


def test_inspect_of_other_programs_files(limner: Limner, tmp_path: Path) -> None:
    """A web UI's text, a damaged XMP packet, an animation: each said, none a stop."""
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add_text("parameters", pictures.A1111_TEXT)
    chunks.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF broken')
    PillowImage.fromarray(shapes()).save(tmp_path / "theirs.png", pnginfo=chunks)
    found = told(limner, tmp_path / "theirs.png")
    assert found["c2pa"]["state"] == "absent"
    assert found["xmp"] == {"source": "", "damaged": True}
    assert found["watermark"]["present"] is False
    assert found["whole"]["source"] == "a1111"
    frames = [PillowImage.fromarray(np.roll(shapes(), k, 0)) for k in range(3)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:])
    assert "3, an animation" in limner("inspect", str(tmp_path / "moving.webp")).stdout


@pytest.mark.parametrize(
    ("marks", "state", "marked"), [("full", "intact", True), ("metadata", "intact", False), ("none", "absent", False)]
)
def test_marks_on_drawing(
    limner: Limner, backend: FakeBackend, tmp_path: Path, marks: str, state: str, marked: bool
) -> None:
    target = tmp_path / "fox.png"
    assert limner("draw", "a fox", "--size", "128", "--marks", marks, "-o", str(target)).exit_code == 0
    found = told(limner, target)
    assert found["c2pa"]["state"] == state
    notices = found["whole"]["record"]["notices"]  # type: ignore[index]
    assert ("no-watermark" in [each["code"] for each in notices]) is marked  # 24x16 pixels are too few, and it is said
    assert (found["xmp"]["source"] != "") is (marks != "none")


def test_minimal_files_say_which_picture_and_no_word(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    target = tmp_path / "fox.webp"
    made = limner("draw", "a very particular zebra", "--metadata", "minimal", "-o", str(target), "--json")
    row = json.loads(made.stdout)
    assert b"zebra" not in target.read_bytes()
    assert b"zebra" not in Path(row["path"]).read_bytes()
    assert "zebra" not in limner("inspect", str(target)).stdout
    assert "zebra" in limner("inspect", row["id"]).stdout  # the library's row has it
    assert limner("replay", row["id"]).exit_code == 0
    elsewhere = limner_in(tmp_path / "another")
    assert_refused(elsewhere("replay", str(target)), 7, "minimal")


def test_export_writes_other_marks(limner: Limner, home: Path, tmp_path: Path) -> None:
    name, path, _ = kept(home, prompt="a hidden gnu")
    out = tmp_path / "out"
    assert limner("gallery", "export", name, str(out)).exit_code == 0
    assert (out / f"{name}.png").read_bytes() == path.read_bytes()
    result = limner("gallery", "export", name, str(tmp_path / "bare"), "--marks", "none", "--metadata", "minimal")
    assert "stays" in " ".join(result.stderr.split())  # the watermark is in the pixels
    bare = tmp_path / "bare" / f"{name}.png"
    assert b"gnu" not in bare.read_bytes()
    found = told(limner, bare)
    assert found["c2pa"]["state"] == "absent"
    assert found["watermark"]["present"] is True
    assert found["whole"]["pixels"] == "intact"


def test_export_marks_what_was_not(limner: Limner, home: Path, tmp_path: Path) -> None:
    name, _, _ = kept(home, marks="none")
    limner("gallery", "export", name, str(tmp_path), "--marks", "full")
    found = told(limner, tmp_path / f"{name}.png")
    assert (found["c2pa"]["state"], found["watermark"]["present"]) == ("intact", True)


def test_a_key_that_cannot_be_kept_is_said_on_the_screen(home: Path, backend: FakeBackend, tmp_path: Path) -> None:
    home.mkdir()
    (home / "credentials").write_text("in the way")
    target = tmp_path / "fox.png"
    result = limner_in(home).__call__("draw", "a fox", "--size", "128", "-o", str(target))
    assert "key for this run alone" in " ".join(result.stderr.split())
    with PillowImage.open(io.BytesIO(target.read_bytes())) as image:
        image.load()
