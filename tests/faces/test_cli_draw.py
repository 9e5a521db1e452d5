"""Drawing from the command line: what goes to stdout, what to stderr, copies, Ctrl-C, the first screen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from limner.cli import drawing
from limner.cli.drawing import Telling
from limner.cli.firstscreen import first_screen
from limner.cli.progress import Progress, Steps
from limner.cli.targets import Target, slug
from limner.errors import InvalidRequest, StorageError
from limner.library.files import decode
from limner.library.metadata import read
from limner.library.store import Library
from limner.models.catalog import Catalog
from limner.models.machine import Machine, gigabytes
from limner.models.state import state
from limner.types import Step
from tests.faces.calling import Limner, assert_refused, limner_in
from tests.faces.fake_drawing import FakeBackend, fake_drawing


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    return fake_drawing(monkeypatch)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home" / "library")


def test_paths_go_to_stdout_and_words_to_stderr(limner: Limner, backend: FakeBackend, library: Library) -> None:
    result = limner("a", "red", "fox", "-n", "2", "--seed", "7")
    assert result.exit_code == 0, result.stderr
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert sorted(paths) == sorted(entry.path for entry in library.list())
    assert [read(path).record.seed.seed for path in paths] == [7, 8]  # type: ignore[union-attr]
    assert "1/2  seed 7 · 32x16 · 0.25 s" in result.stderr
    assert backend.plans[0].prompt == "a red fox"


def test_every_option_reaches_the_request(limner: Limner, backend: FakeBackend) -> None:
    dials = (
        "--seed 3 --size 96x64 --steps 5 --guidance 2.5 --solver dpmpp-2m --negative blue --device cpu --dtype float32"
    )
    result = limner("a fox", "-m", "pocket", *dials.split(), "--speed", "exact", "--batching", "shared")
    assert result.exit_code == 0, result.stderr
    asked = backend.plans[0].asked
    assert asked.model_dump(exclude_unset=True) == {
        "prompt": "a fox", "model": "pocket", "seed": 3, "width": 96, "height": 64, "steps": 5, "guidance": 2.5,
        "solver": "dpmpp-2m", "negative": "blue", "device": "cpu", "dtype": "float32", "speed": "exact",
        "batching": "shared",
    }  # fmt: skip


def test_nought_is_a_value(limner: Limner, backend: FakeBackend) -> None:
    assert limner("draw", "a fox", "--seed", "0", "--guidance", "0", "--no-show").exit_code == 0
    assert (backend.plans[0].request.seed, backend.plans[0].request.guidance) == (0, 0)
    assert_refused(limner("draw", "a fox", "--steps", "0"), 2, "steps must be")


def test_styles_are_repeated_and_reach_the_words(limner: Limner, backend: FakeBackend) -> None:
    result = limner("a fox", "--style", "cinematic", "--style", "anime")
    assert result.exit_code == 0, result.stderr
    assert backend.plans[0].asked.styles == ("cinematic", "anime")
    assert "anime" in backend.plans[0].prompt


def test_words_that_are_commands_are_drawn_after_dashes(limner: Limner, backend: FakeBackend) -> None:
    assert limner("draw", "--", "gallery").exit_code == 0
    assert limner("--", "--help").exit_code == 0
    assert [plan.prompt for plan in backend.plans] == ["gallery", "--help"]


def test_json_is_all_there_is_on_stdout_and_stderr(limner: Limner, backend: FakeBackend) -> None:
    result = limner("a fox", "-n", "2", "--seed", "1", "--json")
    made = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["seed"] for one in made] == [1, 2]
    assert made[0]["prompt"] == "a fox"
    assert made[0]["model"] == "pocket"
    assert (made[0]["width"], made[0]["height"], made[0]["seconds"]) == (32, 16, 0.25)
    assert Path(made[0]["path"]).is_file()
    assert result.stderr == ""


def test_warnings_come_before_the_picture_even_when_quiet(limner: Limner, backend: FakeBackend) -> None:
    result = limner("a moose", "--quiet")
    assert "warning: pocket does not know 'moose'" in result.stderr
    told = json.loads(limner("a moose", "--json").stdout)["warnings"]
    # The stand-in's pictures are too small for a watermark, which is said too.
    assert [notice["code"] for notice in told] == ["unknown-subject", "no-watermark"]


@pytest.mark.parametrize(
    ("output", "n", "written"),
    [
        ("fox.png", 1, ["fox.png"]),
        ("fox.jpg", 2, ["fox-1.jpg", "fox-2.jpg"]),
        ("new/deep/", 1, ["new/deep/a-fox-5.png"]),
        ("there", 2, ["there/0001-a-fox-5.png", "there/0002-a-fox-6.png"]),
    ],
)
def test_copies(
    limner: Limner,
    backend: FakeBackend,
    library: Library,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    n: int,
    written: list[str],
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    result = limner("a fox", "-n", str(n), "--seed", "5", "-o", output)
    assert result.exit_code == 0, result.stderr
    assert [Path(line) for line in result.stdout.splitlines()] == [Path(name) for name in written]
    assert all(read(tmp_path / name).record is not None for name in written)
    assert library.count() == n  # the library keeps its own


def test_no_keep_writes_the_copy_alone(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    result = limner("a fox", "--no-keep", "-o", str(tmp_path / "fox.webp"))
    assert result.exit_code == 0, result.stderr
    assert decode(tmp_path / "fox.webp").shape == (16, 32, 3)
    assert not (tmp_path / "home" / "library").exists()


def test_ctrl_c_keeps_what_is_finished(limner: Limner, backend: FakeBackend, library: Library) -> None:
    backend.interrupt_after = 2
    result = limner("a fox", "-n", "5")
    assert result.exit_code == 130
    assert len(result.stdout.splitlines()) == library.count() == 2
    assert "stopping at the next step" in result.stderr
    assert "limner: stopped; 2 of 5 pictures finished and kept" in result.stderr


def test_ctrl_c_before_anything_is_finished(limner: Limner, backend: FakeBackend) -> None:
    backend.interrupt_after = 0
    result = limner("a fox")
    assert (result.exit_code, result.stdout) == (130, "")
    assert "nothing was finished" in result.stderr


def test_a_failure_is_told_with_its_code(limner: Limner, backend: FakeBackend) -> None:
    assert_refused(limner("unlucky", "--quiet"), 5, "nonsense", "try another seed")


def test_the_first_screen_is_shown_once(limner: Limner, backend: FakeBackend) -> None:
    first, second = limner("a fox"), limner("a fox")
    assert "small emoji-style scenes" in first.stderr
    assert "-m sd15" in first.stderr
    assert "Welcome" not in first.stdout
    assert "Welcome" not in second.stderr


@pytest.mark.parametrize("flag", ["--quiet", "--json"])
def test_no_first_screen_for_programs(limner: Limner, backend: FakeBackend, flag: str) -> None:
    assert "Welcome" not in limner("a fox", flag).stderr
    assert "Welcome" in limner("a fox").stderr  # it is still there for people


def test_the_first_screen_says_whether_a_real_model_fits() -> None:
    def machine(gigabytes: float) -> Machine:
        memory = int(gigabytes * 1e9)
        return Machine("Linux", "x86_64", "cpu", 2, frozenset(), memory, memory)

    assert "it fits" in first_screen(Catalog.load(), machine(32))
    assert "does not fit" in first_screen(Catalog.load(), machine(4))
    assert "4.3 GB to download" in first_screen(Catalog.load(), machine(4))
    listed = state(Catalog.load().get("sd15"), machine(32))
    assert listed.memory is not None
    assert f"{gigabytes(listed.memory)} needed" in first_screen(Catalog.load(), machine(32))  # as `models` says


def test_showing_goes_to_stdout_in_half_blocks(limner: Limner, backend: FakeBackend) -> None:
    result = limner("a fox", "--show")
    assert result.stdout.count("▀") > 100
    assert "▀" not in limner("a fox").stdout  # stdout is no terminal here


def test_previews_are_asked_for(limner: Limner, backend: FakeBackend) -> None:
    assert limner("a fox", "--preview").exit_code == 0
    assert backend.previews


def test_a_folder_is_tried_before_drawing(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        Target.of(str(tmp_path / "no" / "fox.png"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="could not be made"):
        Target.of(str(tmp_path / "file") + "/")
    with pytest.raises(InvalidRequest, match="does not end like a picture"):
        Target.of(str(tmp_path / "fox"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_failing_copy_says_where_the_picture_is(
    limner: Limner, backend: FakeBackend, tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Target, image: object, label: str) -> Path:
        return tmp_path / "gone" / "\0" / "fox.png"

    monkeypatch.setattr(drawing, "Target", Target)
    monkeypatch.setattr(Target, "file", full)
    result = limner("a fox", "-o", str(tmp_path / "fox.png"))
    assert result.exit_code != 0
    assert "Traceback" not in result.stderr
    assert library.count() == 1


@pytest.mark.parametrize(
    ("prompt", "name"),
    [("A Red Fox!", "a-red-fox"), ("../../etc", "etc"), ("???", "picture"), ("füchse " * 20, "füchse-" * 5 + "füchs")],
)
def test_slugs(prompt: str, name: str) -> None:
    assert slug(prompt) == name


def test_steps_are_counted_over_pictures_in_turn_and_together() -> None:
    turn = Steps(2)
    for k, (index, step) in enumerate([(0, 1), (0, 2), (0, 1), (0, 2)]):  # two requests of one picture
        turn.add(Step(index, step, 2), now=k * 0.5)
    assert (turn.begun, turn.share, turn.rate) == (2, 2.0, 2.0)
    together = Steps(2)
    for index, step in [(0, 1), (1, 1), (0, 2)]:
        together.add(Step(index, step, 4), now=0.0)
    assert (together.begun, together.share, together.rate) == (2, 0.75, None)


def test_quiet_has_no_progress_and_no_pictures() -> None:
    telling = Telling.of(as_json=False, quiet=True, preview=True)
    assert not telling.preview
    assert not telling.show
    with Progress() as silent:
        silent.step(Step(0, 1, 2, np.zeros((2, 2, 3), np.uint8)))
