"""Files out of the library, into it, and whether they are still there."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.library.imports import Importer
from tests.faces import pictures
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.faces.pictures import file_of


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path) -> Limner:
    return limner_in(home)


@pytest.fixture
def ids(home: Path) -> list[str]:
    """A red fox, a blue cat, two dogs at the beach."""
    return pictures.fill(home / "library")


def test_export_by_id_and_by_search(limner: Limner, home: Path, ids: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert "exported 2 pictures" in limner("gallery", "export", ids[0], "last", str(folder)).stderr
    copy = folder / f"{ids[0]}.png"
    assert copy.read_bytes() == file_of(home, ids[0]).read_bytes()
    limner("gallery", "export", "--search", "cat", str(folder))
    assert {path.stem for path in folder.iterdir()} == set(ids)


@pytest.mark.parametrize("args", [[], ["--search", "fox", "@1"]])
def test_export_wants_ids_or_options(limner: Limner, ids: list[str], tmp_path: Path, args: list[str]) -> None:
    assert_refused(limner("gallery", "export", *args, str(tmp_path / "out")), 2, "which pictures")
    assert not (tmp_path / "out").exists()


def test_export_goes_on_past_a_lost_file(limner: Limner, home: Path, ids: list[str], tmp_path: Path) -> None:
    file_of(home, ids[1]).unlink()
    result = limner("gallery", "export", *ids, str(tmp_path / "out"))
    assert result.exit_code == 7
    assert "exported 2 pictures" in result.stderr
    assert ids[1] in result.stderr
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {ids[0], ids[2]}


def test_export_to_a_file_is_refused(limner: Limner, ids: list[str], tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    assert_refused(limner("gallery", "export", ids[0], str(taken)), 4, "taken")
    assert taken.read_text() == "mine"


@pytest.fixture
def strangers(tmp_path: Path) -> Path:
    folder = tmp_path / "strangers"
    pictures.a1111(folder / "a.png")
    pictures.invokeai(folder / "deep" / "er" / "b.png")
    pictures.png(folder / "bare.png", {}, seed=50)
    pictures.cut_short(pictures.a1111(folder / "torn.png", seed=51))
    (folder / "fake.png").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("no picture either")
    return folder


def test_import_reports_each_kind_and_names_the_damaged(limner: Limner, strangers: Path) -> None:
    result = limner("gallery", "import", str(strangers))
    assert result.exit_code == 0
    for words in (
        "5 pictures found",
        "3  imported",
        "A1111 1",
        "InvokeAI 1",
        "2  could not be read",
        "torn.png",
        "fake.png",
    ):
        assert words in result.stdout, (words, result.stdout)
    assert "from" in limner("gallery").stdout.splitlines()[0]
    shown = limner("gallery", "show", str(strangers / "a.png")).stdout
    assert "what a1111 wrote" in shown
    assert "a lighthouse at dusk" in shown


def test_import_again_finds_nothing_new(limner: Limner, strangers: Path) -> None:
    limner("gallery", "import", str(strangers))
    report = said(limner("gallery", "import", str(strangers), "--json"))
    assert isinstance(report, dict)
    assert (report["added"], report["known"]) == (0, 3)
    assert {Path(problem["path"]).name for problem in report["problems"]} == {"torn.png", "fake.png"}


def test_import_leaves_files_or_copies_them(limner: Limner, home: Path, strangers: Path) -> None:
    limner("gallery", "import", str(strangers), "--copy")
    for entry in said(limner("gallery", "--json")):  # type: ignore[attr-defined]
        assert Path(entry["path"]).is_relative_to(home / "library")
    assert (strangers / "a.png").exists()


def test_deleting_an_imported_picture_leaves_its_file(limner: Limner, strangers: Path) -> None:
    limner("gallery", "import", str(strangers))
    asked = limner("gallery", "delete", str(strangers / "a.png"), input="y\n")
    assert "outside the library will stay" in asked.stderr
    assert (strangers / "a.png").exists()


def test_import_interrupted_says_how_to_go_on(limner: Limner, strangers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Importer, "run", interrupted)
        assert_refused(limner("gallery", "import", str(strangers)), 130, "goes on from here")
    assert "3  imported" in limner("gallery", "import", str(strangers)).stdout


def test_import_of_no_folder(limner: Limner, tmp_path: Path) -> None:
    assert_refused(limner("gallery", "import", str(tmp_path / "nowhere")), 7, "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no PNG, JPEG or WebP" in limner("gallery", "import", str(tmp_path / "empty")).stdout


def test_check_marks_lost_files_and_takes_up_strays(limner: Limner, home: Path, ids: list[str]) -> None:
    assert "no file is missing" in limner("gallery", "check").stdout
    away = file_of(home, ids[0])
    kept = away.rename(home / "kept.png")
    stray = pictures.a1111(file_of(home, ids[1]).parent / "stray.png")
    report = said(limner("gallery", "check", "--json"))
    assert isinstance(report, dict)
    assert [lost["id"] for lost in report["lost"]] == [ids[0]]
    assert len(report["adopted"]) == 1
    assert f"(file lost) {'a red fox'}" in limner("gallery").stdout
    assert str(stray) in limner("gallery", "show", report["adopted"][0]).stdout
    kept.rename(away)
    assert "1 lost file there again" in limner("gallery", "check").stdout
