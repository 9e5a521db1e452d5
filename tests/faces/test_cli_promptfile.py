"""Prompts from a file: a second run draws only what is missing, and a bad line does not stop the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner.engine.ticket import Ticket
from limner.library.entries import Query
from limner.library.store import Library
from limner.types import Plan
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


def prompts(tmp_path: Path, text: str, name: str = "prompts.txt") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def test_a_second_run_draws_only_what_is_missing(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(tmp_path, "a fox\na cat\na fox\n")
    assert limner("--from", file).exit_code == 0
    assert [plan.prompt for plan in backend.plans] == ["a fox", "a cat", "a fox"]
    again = limner("--from", file)
    assert (again.exit_code, again.stdout, len(backend.plans)) == (0, "", 3)
    assert "3 of 3 prompts are drawn already" in again.stderr

    prompts(tmp_path, "# more of them\na dog\na fox\na cat\na fox\n")
    assert limner("--from", file).exit_code == 0
    assert [plan.prompt for plan in backend.plans[3:]] == ["a dog"]


def test_what_was_deleted_is_missing(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(tmp_path, "a fox\na cat\n")
    first = limner("--from", file)
    Library(tmp_path / "home" / "library").delete([Path(first.stdout.splitlines()[1]).stem])
    limner("--from", file)
    assert [plan.prompt for plan in backend.plans] == ["a fox", "a cat", "a cat"]


def test_other_options_are_another_run(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(tmp_path, "a fox\n")
    for options in (["--steps", "3"], ["--steps", "4"], ["--steps", "4"], ["--steps", "4", "--again"]):
        assert limner("--from", file, *options).exit_code == 0
    assert [plan.request.steps for plan in backend.plans] == [3, 4, 4]


def test_a_lines_own_fields_win(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(
        tmp_path, "prompt\tsteps\tnegative\tCategory\na fox\t5\tblue\tAnimals\na cat\t\t\tAnimals\n", "p.tsv"
    )
    result = limner("--from", file, "--steps", "2", "--json")
    assert [(plan.request.steps, plan.negative) for plan in backend.plans] == [(5, "blue"), (2, "")]
    made = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(one["line"], one["tags"]) for one in made] == [(2, {"Category": "Animals"}), (3, {"Category": "Animals"})]


def test_a_bad_line_does_not_stop_the_rest(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(tmp_path, 'prompt,steps\na fox,3\na cat,0\n"unlucky",3\na dog,3\n', "p.csv")
    result = limner("--from", file)
    assert len(result.stdout.splitlines()) == 2
    assert "p.csv, line 3: steps" in result.stderr
    assert "p.csv, line 4: the network answered nonsense" in result.stderr
    assert "2 pictures drawn; 2 lines failed" in result.stderr
    assert result.exit_code == 1  # the lines' errors are of two kinds
    assert "Traceback" not in result.stderr


def test_the_exit_code_is_the_lines_own_where_they_agree(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    assert limner("--from", prompts(tmp_path, "unlucky\nunlucky too\na fox\n")).exit_code == 5


def test_an_interrupted_run_goes_on(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(tmp_path, '{"prompt": "a fox"}\n{"prompt": "a cat", "n": 3}\n', "p.jsonl")
    backend.interrupt_after = 1
    assert limner("--from", file).exit_code == 130
    backend.interrupt_after = None
    backend.plans.clear()
    assert limner("--from", file).exit_code == 0
    assert [plan.prompt for plan in backend.plans] == ["a cat"]


def test_a_stopped_run_goes_on_picture_by_picture(
    limner: Limner, backend: FakeBackend, tmp_path: Path, library: Library
) -> None:
    file, folder = prompts(tmp_path, "a fox\na {red|blue|green} cat\na dog\na bird\n"), tmp_path / "out"
    words = ("--from", file, "-n", "3", "-o", f"{folder}/")
    backend.interrupt_after = 2
    assert limner(*words).exit_code == 130
    kept = library.list()
    assert len(kept) == len(list(folder.iterdir())) == 2
    backend.interrupt_after = None
    backend.plans.clear()
    result = limner(*words)
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == sum(len(plan.seeds) for plan in backend.plans) == 10
    assert "10 pictures drawn" in result.stderr
    foxes = [entry.record for entry in library.list(Query(text="fox", descending=False))]
    # The same line as without a break: one request, its seeds in order.
    assert [fox.index for fox in foxes if fox] == [0, 1, 2]
    assert len({fox.request for fox in foxes if fox}) == 1
    assert [fox.seed.seed - fox.request.seed for fox in foxes if fox and fox.request.seed is not None] == [0, 1, 2]
    assert len(list(folder.iterdir())) == library.count() == 12
    assert limner(*words).stdout == ""


def test_a_picture_stored_but_not_noted_is_not_drawn_again(
    limner: Limner, backend: FakeBackend, tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = prompts(tmp_path, "a {red|blue} fox\na cat\n"), tmp_path / "out"
    words = ("--from", file, "-n", "3", "-o", f"{folder}/")

    def killed(*note: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Library, "run_add", killed)
        limner(*words)
    before = library.count()
    backend.plans.clear()
    assert limner(*words).exit_code == 0
    assert before >= 1
    assert sum(len(plan.seeds) for plan in backend.plans) == 6 - before
    assert library.count() == len(list(folder.iterdir())) == 6


def test_one_deleted_picture_of_a_line_is_drawn_as_it_was(
    limner: Limner, backend: FakeBackend, tmp_path: Path, library: Library
) -> None:
    file = prompts(tmp_path, "a {red|blue|green} fox\n")
    made = [json.loads(line) for line in limner("--from", file, "-n", "4", "--json").stdout.splitlines()]
    library.delete([made[2]["id"]])
    again = [json.loads(line) for line in limner("--from", file, "-n", "4", "--json").stdout.splitlines()]
    same = ("index", "seed", "prompt", "image_key", "pixel_hash")
    assert [[one[name] for name in same] for one in again] == [[made[2][name] for name in same]]


def test_again_draws_other_pictures(limner: Limner, backend: FakeBackend, tmp_path: Path, library: Library) -> None:
    file = prompts(tmp_path, "a fox\n")
    for options in ([], ["--again"]):
        assert limner("--from", file, "-n", "2", *options).exit_code == 0
    assert len({entry.seed for entry in library.list()}) == 4


def test_copies_of_what_is_drawn_already(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file, first, second = prompts(tmp_path, "a fox\na cat\n"), tmp_path / "one", tmp_path / "two"
    assert limner("--from", file, "-n", "2", "-o", f"{first}/").exit_code == 0
    backend.plans.clear()
    result = limner("--from", file, "-n", "2", "-o", f"{second}/")
    assert result.exit_code == 0, result.stderr
    assert backend.plans == []
    names = sorted(path.name for path in first.iterdir())
    assert sorted(path.name for path in second.iterdir()) == names
    assert sorted(Path(line).name for line in result.stdout.splitlines()) == names
    assert "4 copies written" in result.stderr
    (second / names[1]).write_text("not a picture")
    (second / names[2]).unlink()
    assert [Path(line).name for line in limner("--from", file, "-n", "2", "-o", f"{second}/").stdout.splitlines()] == (
        names[1:3]
    )
    assert (second / names[1]).read_bytes() == (first / names[1]).read_bytes()


def test_a_number_from_the_settings_counts_too(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text("[defaults]\nn = 2\n")
    file, folder = prompts(tmp_path, "a fox\n"), tmp_path / "out"
    folder.mkdir()
    result = limner("--from", file, "-o", str(folder / "x.png"))
    assert sorted(path.name for path in folder.iterdir()) == ["x-1-1.png", "x-1-2.png"]
    assert "2/2" in result.stderr
    assert limner("a cat", "-o", str(folder / "cat.png")).exit_code == 0
    assert sorted(path.name for path in folder.glob("cat*")) == ["cat-1.png", "cat-2.png"]


def test_lines_that_cannot_be_planned_do_not_reach_the_backend(
    limner: Limner, backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("limner.cli.promptfile.Faults.add", lambda self, line, error: told.append(line.prompt))
    submit = FakeBackend.submit

    def submitted(self: FakeBackend, plan: Plan, *, previews: bool = False) -> Ticket:
        told.append("the backend")  # where torch would be imported
        return submit(self, plan, previews=previews)

    monkeypatch.setattr(FakeBackend, "submit", submitted)
    file = prompts(tmp_path, "prompt,styles,size\na fox,cinematik,\na cat,,130x130\na dog,,\n", "p.csv")
    limner("--from", file)
    assert told == ["a fox", "a cat", "the backend"]


def test_copies_are_named_by_line(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    file = prompts(tmp_path, "a fox\n\na cat\n")
    folder = tmp_path / "out"
    assert limner("--from", file, "--seed", "4", "-o", f"{folder}/").exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["0001-a-fox-4.png", "0003-a-cat-4.png"]
    assert limner("--from", file, "--again", "-n", "2", "-o", str(folder / "x.webp")).exit_code == 0
    assert sorted(path.name for path in folder.glob("x*")) == ["x-1-1.webp", "x-1-2.webp", "x-3-1.webp", "x-3-2.webp"]


def test_an_option_that_no_line_could_use_is_refused_first(
    limner: Limner, backend: FakeBackend, tmp_path: Path
) -> None:
    assert_refused(limner("--from", prompts(tmp_path, "a fox\n"), "--steps", "0"), 2, "steps")
    assert_refused(limner("--from", prompts(tmp_path, "\n\n"), "--steps", "3"), 2, "holds no prompt")


def test_a_misspelt_column_is_said(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    result = limner("--from", prompts(tmp_path, "prompt,sed,Category\na fox,7,animals\n", "p.csv"), "--json")
    assert result.exit_code == 0
    assert "column 'sed' is no setting" in result.stderr
    assert "did you mean 'seed'?" in result.stderr
    assert "Category" not in result.stderr
