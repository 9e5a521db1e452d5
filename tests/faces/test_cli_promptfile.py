"""Prompts from a file: a second run draws only what is missing, and a bad line does not stop the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner.library.store import Library
from tests.faces.calling import Limner, assert_refused, limner_in
from tests.faces.fake_drawing import FakeBackend, fake_drawing


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    return fake_drawing(monkeypatch)


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
