"""The door: words are a prompt, a first word that is a command runs it, a misspelt one is answered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from limner import __version__
from limner.cli import main
from limner.cli.console import clean, one_line
from limner.cli.draw import command as draw
from limner.cli.faults import exit_code_of
from limner.cli.main import cli, nearest, routed
from limner.cli.usage import EXAMPLES
from limner.errors import OutOfMemory
from tests.faces.calling import assert_refused, limner_in

DIALS = ("--model", "-n", "--seed", "--size", "--steps", "--guidance", "--solver", "--negative", "--style", "--output")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["a", "red", "fox"], ["draw", "a", "red", "fox"]),
        (["a red fox", "-n", "4"], ["draw", "a red fox", "-n", "4"]),
        (["-m", "pocket", "a fox"], ["draw", "-m", "pocket", "a fox"]),
        (["--", "serve"], ["draw", "--", "serve"]),
        (["model", "airplane"], ["draw", "model", "airplane"]),
        (["galery", "of", "mirrors"], ["draw", "galery", "of", "mirrors"]),
        (["fox"], ["draw", "fox"]),
        (["the gallery"], ["draw", "the gallery"]),
        (["help", "me"], ["draw", "help", "me"]),
    ],
)
def test_words_are_drawn(typed: list[str], meant: list[str]) -> None:
    assert routed(typed) == meant


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        (["galery"], "gallery"),
        (["Gallery"], "gallery"),
        (["modls", "list"], "models"),
        (["stlyes"], "styles"),
        (["doctr", "--json"], "doctor"),
        (["help"], "--help"),
        (["Version"], "--version"),
        (["castle"], None),
        (["--steps"], None),
    ],
)
def test_a_misspelt_command_is_seen(typed: list[str], near: str | None) -> None:
    assert nearest(typed) == near


def test_a_misspelt_command_is_answered_where_nobody_can_be_asked(tmp_path: Path) -> None:
    result = limner_in(tmp_path)("galery")
    assert_refused(result, 2, "did you mean `limner gallery`?", "limner draw -- galery")
    assert not (tmp_path / "library").exists()


def test_help_names_every_command_and_the_common_options(tmp_path: Path) -> None:
    result = limner_in(tmp_path)("--help")
    assert result.exit_code == 0
    shown = result.stdout
    assert all(name in shown for name in main.COMMANDS)
    options = {flag for parameter in draw.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    told = {word.rstrip(",") for line, _ in main.COMMON for word in line.split() if word.startswith("-")}
    assert told <= options, told - options
    assert options >= set(DIALS)


def test_no_words_at_all_show_help(tmp_path: Path) -> None:
    assert "PROMPT..." in limner_in(tmp_path)().stdout


def test_version(tmp_path: Path) -> None:
    assert limner_in(tmp_path)("--version").stdout.strip() == f"limner {__version__}"


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_is_there_and_helps(tmp_path: Path, name: str) -> None:
    result = limner_in(tmp_path)(name, "--help")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"Usage: limner {name}")


def test_help_imports_nothing_but_click() -> None:
    program = (
        "import sys, runpy\n"
        "sys.argv = ['limner', '--help']\n"
        "try: runpy.run_module('limner', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)), file=sys.stderr)\n"
        "print(sorted(name for name in sys.modules if name.startswith('limner.')), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    third, ours = (json.loads(line.replace("'", '"')) for line in done.stderr.splitlines()[-2:])
    assert {"pydantic", "rich", "numpy", "torch", "PIL", "tokenizers"}.isdisjoint(third)
    # limner.evaluate is its docstring: the package is made callable where the public names are.
    assert set(ours) <= {"limner.cli", "limner.cli.main", "limner.cli.faults", "limner.version", "limner.evaluate"}


def test_an_unexpected_fault_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError("by nothing\nat all")

    assert exit_code_of(broken, []) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: by nothing at all" in said
    assert "LIMNER_DEBUG=1" in said
    assert len(said.splitlines()) == 2


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DEBUG", "1")
    assert exit_code_of(lambda: 1 // 0, []) == 1
    assert "Traceback" in capsys.readouterr().err


def test_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise OutOfMemory("does not fit", hint="use a smaller size")

    assert exit_code_of(full, ["a", "fox", "--json"]) == 4
    error = json.loads(capsys.readouterr().err)["error"]
    assert error == {"code": "out_of_memory", "message": "does not fit", "hint": "use a smaller size"}


def test_a_reader_that_has_gone_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    def gone() -> None:
        raise BrokenPipeError

    assert exit_code_of(gone, []) == 1
    assert capsys.readouterr().err == ""


def test_ctrl_c_before_drawing(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert exit_code_of(interrupted, []) == 130
    assert capsys.readouterr().err == "limner: stopped\n"


def test_nothing_printed_can_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"
    assert clean("zwei Füchse 🦊\n") == "zwei Füchse 🦊\n"
    assert one_line("a\nb   c" + "d" * 90, 10) == "a b cdddd…"


def test_the_group_is_clicks() -> None:
    assert isinstance(cli, click.Group)


def test_every_example_of_a_missing_argument_is_a_command_that_needs_one() -> None:
    for path, example in EXAMPLES.items():
        found: click.Command | None = cli
        for word in path.split()[1:]:
            assert isinstance(found, click.Group)
            found = found.get_command(click.Context(found), word)
        assert found is not None, path
        assert example.startswith(f"{path} ")
        assert any(isinstance(each, click.Argument) and each.required for each in found.params), path
