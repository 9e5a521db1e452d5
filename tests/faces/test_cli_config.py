from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limner.types import Request
from tests.faces.calling import Limner, assert_refused, limner_in, said


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def limner(home: Path) -> Limner:
    return limner_in(home)


@pytest.fixture
def write(home: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "config.toml") -> Path:
        home.mkdir(exist_ok=True)
        (home / name).write_text(text)
        return home / name

    return write


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:]}


def test_every_setting_is_shown_without_a_file(limner: Limner, home: Path) -> None:
    result = limner("config")
    assert result.exit_code == 0
    shown = rows(result.stdout)
    assert set(shown) >= {f"defaults.{name}" for name in Request.model_fields if name not in ("prompt", "init", "mask")}
    assert shown["defaults.steps"] == ["-"]
    assert shown["network.offline"] == ["false"]
    assert "not there yet" in result.stderr
    assert not home.exists()


def test_origin_names_the_line_or_the_variable(home: Path, write: Callable[[str], Path]) -> None:
    write('# mine\n[defaults]\nsteps = 12\nstyles = ["photo", "night"]\nseed = 1\n\n[models.sd15]\nguidance = 6.5\n')
    limner = limner_in(home, LIMNER_SEED="9")
    shown = rows(limner("config", "show", "--origin").stdout)
    assert shown["defaults.steps"] == ["12", "config.toml:3"]
    assert shown["defaults.styles"] == ["photo,", "night", "config.toml:4"]
    assert shown["defaults.seed"] == ["9", "environment", "LIMNER_SEED"]
    assert shown["models.sd15.guidance"] == ["6.5", "config.toml:8"]
    assert shown["defaults.solver"] == ["-", "built-in"]


def test_json_has_values_and_origins(limner: Limner, write: Callable[[str], Path]) -> None:
    path = write("[defaults]\nsteps = 12\n")
    found = said(limner("config", "show", "--json"))
    assert isinstance(found, dict)
    assert found["file"] == str(path)
    assert found["settings"]["defaults.steps"] == {"value": 12, "origin": "config.toml:2"}
    assert found["settings"]["defaults.seed"] == {"value": None, "origin": "built-in"}


@pytest.mark.parametrize("text", ["", "[broken", "[defaults]\nsteps = 0\n"])
def test_path_is_told_whatever_the_file_says(
    limner: Limner, home: Path, write: Callable[[str], Path], text: str
) -> None:
    if text:
        write(text)
    result = limner("config", "path")
    assert result.exit_code == 0
    assert result.stdout == f"{home / 'config.toml'}\n"


def test_path_is_told_whatever_the_environment_says(home: Path) -> None:
    assert limner_in(home, LIMNER_STEPS="many")("config", "path").stdout == f"{home / 'config.toml'}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[broken", ["config.toml is not valid TOML"]),
        ("[defaults]\nstepz = 3\n", ["config.toml:2", "did you mean steps"]),
        ("[defaults]\nsteps = 0\n", ["config.toml:2", "steps"]),
        ("[network]\noffline = 'maybe'\n", ["network.offline", "true or false"]),
    ],
)
@pytest.mark.parametrize("command", ["show", "check"])
def test_a_wrong_file_is_one_clear_line(
    limner: Limner, write: Callable[[str], Path], command: str, text: str, words: list[str]
) -> None:
    write(text)
    assert_refused(limner("config", command), 2, *words)


def test_check_passes_what_is_right(limner: Limner, write: Callable[[str], Path], tmp_path: Path) -> None:
    assert "0 settings of your own, all good" in limner("config", "check").stdout
    write(f'[defaults]\nmodel = "someone/their-model@v2"\nsolver = "Euler a"\n[models."{tmp_path}"]\nsteps = 3\n')
    result = limner("config", "check")
    assert result.exit_code == 0, result.stderr
    assert "3 settings of your own, all good" in result.stdout


def test_check_names_everything_that_will_fail(limner: Limner, write: Callable[[str], Path]) -> None:
    write('[defaults]\nmodel = "sd16"\nsolver = "eulr"\nstyles = ["photo", "phot"]\n[models.sd15]\nsolver = "haun"\n')
    result = limner("config", "check")
    assert_refused(result, 2, "4 settings will fail")
    for words in ("(config.toml:2): there is no model called 'sd16'", "'eulr' (did you mean euler", "'phot'", "'haun'"):
        assert words.replace("' (did", "' (did") in result.stderr, (words, result.stderr)
    assert "'photo'" not in result.stderr


def test_check_reads_the_users_styles(limner: Limner, home: Path, write: Callable[..., Path]) -> None:
    write('[defaults]\nstyles = ["mine"]\n')
    assert_refused(limner("config", "check"), 2, "'mine'")
    write('[mine]\nprompt = "{prompt}, as I like it"\n', "styles.toml")
    assert limner("config", "check").exit_code == 0
    write("[mine\n", "styles.toml")
    assert_refused(limner("config", "check"), 2, "styles.toml")


def test_there_is_no_set_and_the_file_is_named(limner: Limner) -> None:
    assert_refused(limner("config", "set", "steps", "3"), 2, "'set'")
    assert "file that you edit" in limner("config", "--help").stdout
