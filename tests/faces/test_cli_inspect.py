from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from limner.library.files import encode
from limner.types import Pixels, Record, Seed
from tests.faces import pictures
from tests.faces.calling import Limner, assert_refused, limner_in, said


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


def written(path: Path, record: Record | None = None, shown: Pixels | None = None, format: str = "png") -> Path:
    """One of our files: ``shown`` are its pixels, which the Record need not be of."""
    drawn = pictures.pixels(3)
    data = encode(drawn if shown is None else shown, record or pictures.record(drawn), format)  # type: ignore[arg-type]
    path.write_bytes(data)
    return path


def inspected(limner: Limner, path: Path) -> Mapping[str, object]:
    found = said(limner("inspect", str(path), "--json"))
    assert isinstance(found, dict)
    return found


def test_our_own_file_is_intact_and_marked(limner: Limner, tmp_path: Path) -> None:
    path = written(tmp_path / "ours.png")
    text = limner("inspect", str(path)).stdout
    for words in (
        "Limner",
        "intact",
        "agrees with itself",
        "made by a trained model",
        "a red fox",
        "A1111 text",
        "euler",
    ):
        assert words in text, (words, text)
    found = inspected(limner, path)
    assert (found["source"], found["pixels"], found["record_consistent"]) == ("limner", "intact", True)
    assert found["marked_as_generated"] is True


def test_looking_at_a_file_makes_no_library(limner: Limner, tmp_path: Path) -> None:
    limner("inspect", str(written(tmp_path / "ours.png")))
    assert not (tmp_path / "home").exists()


def test_changed_pixels_under_the_same_record_are_told(limner: Limner, tmp_path: Path) -> None:
    painted = pictures.pixels(3).copy()
    painted[0, 0] ^= 1
    path = written(tmp_path / "painted.png", shown=painted)
    assert inspected(limner, path)["pixels"] == "altered"
    assert "ALTERED" in limner("inspect", str(path)).stdout


def test_an_edited_record_is_told(limner: Limner, tmp_path: Path) -> None:
    honest = pictures.record(pictures.pixels(3))
    edited = honest.model_copy(update={"seed": Seed(seed=honest.seed.seed + 1)})
    path = written(tmp_path / "edited.png", edited)
    assert inspected(limner, path)["record_consistent"] is False
    assert "EDITED" in limner("inspect", str(path)).stdout


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_lossy_formats_are_not_called_altered(limner: Limner, tmp_path: Path, format: str) -> None:
    path = written(tmp_path / f"ours.{format}", format=format)
    found = inspected(limner, path)
    assert (found["pixels"], found["marked_as_generated"], found["source"]) == ("lossy", True, "limner")
    assert f"{format.upper()} does not keep pixels exactly" in limner("inspect", str(path)).stdout


def test_another_size_is_altered_in_any_format(limner: Limner, tmp_path: Path) -> None:
    path = written(tmp_path / "small.jpg", shown=pictures.pixels(3, width=16, height=16), format="jpeg")
    assert inspected(limner, path)["pixels"] == "altered"


def test_marks_none_is_not_marked(limner: Limner, tmp_path: Path) -> None:
    unmarked = pictures.record(pictures.pixels(3), marks="none")
    path = written(tmp_path / "bare.png", unmarked)
    assert inspected(limner, path)["marked_as_generated"] is False
    assert "not marked as made by a model" in limner("inspect", str(path)).stdout


def test_only_the_a1111_text_is_left(limner: Limner, tmp_path: Path) -> None:
    source = written(tmp_path / "ours.png")
    with Image.open(source) as image:
        text = str(image.info["parameters"])
    path = pictures.png(tmp_path / "stripped.png", {"parameters": text})
    found = inspected(limner, path)
    assert found["record"] is None
    assert found["fields"]["prompt"] == "a red fox"  # type: ignore[index]
    assert "a red fox" in limner("inspect", str(path)).stdout


def test_other_programs_are_named(limner: Limner, tmp_path: Path) -> None:
    a1111 = limner("inspect", str(pictures.a1111(tmp_path / "a.png"))).stdout
    assert "A1111's web UI" in a1111
    assert "Euler a" in a1111
    assert "not marked" in a1111
    invokeai = limner("inspect", str(pictures.invokeai(tmp_path / "i.png"))).stdout
    assert "InvokeAI (says the file)" in invokeai
    assert "a clay robot" in invokeai


def test_a_file_that_says_nothing(limner: Limner, tmp_path: Path) -> None:
    text = limner("inspect", str(pictures.png(tmp_path / "bare.png", {}))).stdout
    assert "carries no text" in text
    assert "how it was made cannot be read" in text


def test_text_nobody_understands_is_shown_cut_short(limner: Limner, tmp_path: Path) -> None:
    path = pictures.png(tmp_path / "odd.png", {"Comment": "drawn on a Sunday " * 100})
    text = limner("inspect", str(path)).stdout
    assert "there is text that Limner does not understand" in text
    assert "drawn on a Sunday" in text
    assert "1,800 characters" in text
    assert len(inspected(limner, path)["texts"]["Comment"]) == 1800  # type: ignore[index]


def test_a_torn_file_still_tells_what_its_head_says(limner: Limner, tmp_path: Path) -> None:
    path = pictures.cut_short(pictures.a1111(tmp_path / "torn.png"), keep=0.7)
    assert inspected(limner, path)["pixels"] == "damaged"
    text = limner("inspect", str(path)).stdout
    assert "DAMAGED" in text
    assert "a lighthouse at dusk" in text


def test_a_record_that_cannot_be_read_is_noted(limner: Limner, tmp_path: Path) -> None:
    path = pictures.png(tmp_path / "odd.png", {"limner": '{"schema": 99}', "parameters": pictures.A1111_TEXT})
    text = limner("inspect", str(path)).stdout
    assert "record in the file cannot be read" in text
    assert "a lighthouse at dusk" in text


def test_pictures_of_the_library_go_by_id(limner: Limner, tmp_path: Path) -> None:
    ids = pictures.fill(tmp_path / "home" / "library")
    assert "a red fox" in limner("inspect", ids[0]).stdout
    assert "two dogs at the beach" in limner("inspect", "last").stdout


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("nowhere.png", None, 7),
        ("text.png", b"plain words", 7),
        ("empty.png", b"", 7),
        ("head.png", b"\x89PNG\r\n\x1a\n", 7),
        ("tool.gif", b"GIF89a" + bytes(20), 7),
    ],
)
def test_what_is_no_picture(limner: Limner, tmp_path: Path, name: str, content: bytes | None, code: int) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert_refused(limner("inspect", str(path)), code, name)


def test_a_folder_is_no_picture(limner: Limner, tmp_path: Path) -> None:
    assert_refused(limner("inspect", str(tmp_path)), 7)


def test_without_a_name_the_usage_is_told(limner: Limner) -> None:
    assert_refused(limner("inspect"), 2, "missing argument")
