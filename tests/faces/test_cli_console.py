"""What a terminal of 80 columns gets: names and words whole, the home folder as ~; a pipe gets all as it is."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from limner.cli.console import fail, homely, table, wrapped
from limner.cli.main import cli
from limner.cli.sheet import sheet
from limner.errors import InvalidRequest
from limner.sampling.catalog import SOLVERS
from tests.faces.calling import limner_in


class Terminal(io.StringIO):
    """What stdout is while somebody looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")


def seen(tell: Callable[[], object]) -> str:
    """What ``tell`` prints to a terminal."""
    with contextlib.redirect_stdout(Terminal()) as terminal:
        tell()
    return re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue())


def command(*words: str) -> str:
    def run() -> None:
        with pytest.raises(SystemExit):
            cli.main(list(words))

    return seen(run)


def test_no_word_of_a_table_is_broken() -> None:
    words = ["photographs", "and", "art", "by", "CreativeML", "under", "an", "OpenRAIL-M", "licence"]
    row = ("sd-turbo-of-stability", *[" ".join(words)] * 3)
    shown = seen(lambda: table(("model", "draws", "licence", "says"), [row]))
    assert max(map(len, shown.splitlines())) <= 80
    assert set(words) <= set(shown.split())
    assert "sd-turbo-of-stability" in shown


def test_models_and_solvers_show_names_whole() -> None:
    shown = command("solvers")
    assert set(SOLVERS) <= set(shown.split())
    assert "in diffusers" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "diffusers" in command("solvers", "--all")
    shown = command("models")
    assert {"sd-turbo", "flux-schnell", "CreativeML"} <= set(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_a_sheet_is_wrapped_at_words_and_home_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("USERPROFILE", "/home/ada")
    facts = [("library", "/home/ada/pictures (writable)"), ("long", "unbroken words " * 12)]
    lines = seen(lambda: sheet(facts)).splitlines()
    assert lines[0] == "  library  ~/pictures (writable)"
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(" " * 11) for line in lines[2:])
    assert "".join(lines[1:]).count("unbroken") == 12
    assert homely("/home/adam and /mnt/home/ada/x") == "/home/adam and /mnt/home/ada/x"
    sheet([("library", "/home/ada/" + "x" * 90)])
    assert capsys.readouterr().out == f"  library  /home/ada/{'x' * 90}\n"


def test_wrapped_keeps_indentation_and_what_cannot_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert wrapped("  a sentence that is longer than thirty") == "  a sentence that is longer\n  than thirty"
    assert wrapped("/a/" + "b" * 60) == "/a/" + "b" * 60


def test_styles_are_a_line_each_and_shown_by_name(tmp_path: Path) -> None:
    limner = limner_in(tmp_path)
    listed = limner("styles").stdout
    assert "a plain, believable photograph" in listed
    assert "{prompt}" not in listed
    shown = limner("styles", "show", "photo").stdout
    assert "photograph of {prompt}" in shown
    assert "illustration, painting" in shown
    assert limner("styles", "show", "fotto").exit_code == 2


def test_refusals_are_wrapped_for_people_and_whole_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    error = InvalidRequest("short", hint="many words " * 12)
    with contextlib.redirect_stderr(Terminal()) as shown:
        fail(error)
    assert len(shown.getvalue().splitlines()) == 3
    assert all(line.startswith("  ") for line in shown.getvalue().splitlines()[1:])
    fail(error)
    assert len(capsys.readouterr().err.splitlines()) == 2
