from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result

from limner.errors import InvalidRequest
from limner.library.moments import moment
from limner.library.store import Library
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
    """A red fox (10 November), a blue cat (11th), two dogs at the beach (12th)."""
    return pictures.fill(home / "library")


def listed(result: Result) -> list[str]:
    found = said(result)
    assert isinstance(found, list)
    return [each["prompt"] for each in found]


def test_an_empty_library_says_how_to_begin(limner: Limner) -> None:
    result = limner("gallery")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "no pictures yet" in result.stderr
    assert said(limner("gallery", "--json")) == []


def test_gallery_alone_lists_the_newest_first_with_whole_prompts(limner: Limner, ids: list[str]) -> None:
    result = limner("gallery")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["id", "when", "rated", "model", "seed", "size", "prompt"]
    assert [line.split()[0] for line in lines[1:]] == ids[::-1]
    assert lines[1].endswith("two dogs at the beach")
    assert limner("gallery", "list").stdout == result.stdout


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX terminal")
@pytest.mark.parametrize("columns", [64, 80, 120])
def test_in_a_terminal_each_picture_is_one_line(home: Path, columns: int) -> None:
    import pty

    ids = pictures.fill(home / "library", *(f"{k} lighthouses in the fog " * 10 for k in range(3)))
    ours, theirs = pty.openpty()
    env = {**os.environ, "LIMNER_HOME": str(home), "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-c", "from limner.cli.main import main; main()", "gallery"]
    done = subprocess.run(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=env, check=False)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in shown.splitlines()]
    assert all(len(line) <= columns for line in lines)
    assert [line.split()[0] for line in lines if "lighthouses" in line] == ids[::-1]
    assert sum(bool(line) for line in lines) == 2 + len(ids)  # head, rule, a line a picture


def test_limit_says_how_many_more_there_are(limner: Limner, ids: list[str]) -> None:
    result = limner("gallery", "-n", "2")
    assert len(result.stdout.splitlines()) == 3
    assert "2 of 3 pictures" in result.stderr
    assert len(listed(limner("gallery", "-n", "0", "--json"))) == 3


def test_options_choose_pictures(limner: Limner, ids: list[str]) -> None:
    limner("gallery", "rate", ids[0], "5")
    limner("gallery", "rate", ids[1], "2")
    assert listed(limner("gallery", "--search", "fox", "--json")) == ["a red fox"]
    assert listed(limner("gallery", "--rating", "3", "--json")) == ["a red fox"]
    assert listed(limner("gallery", "--sort", "rating", "--json")) == [
        "a red fox",
        "a blue cat",
        "two dogs at the beach",
    ]
    assert listed(limner("gallery", "--sort", "oldest", "-n", "1", "--json")) == ["a red fox"]
    assert listed(limner("gallery", "--since", "2026-11-11T09:00+00:00", "--json"))[-1] == "a blue cat"
    assert listed(limner("gallery", "--until", "2026-11-10T12:00+00:00", "--json")) == ["a red fox"]
    assert listed(limner("gallery", "--until", "2026-11-10", "--json")) == ["a red fox"]
    assert listed(limner("gallery", "--model", "POCKET", "--search", "cat", "--json")) == ["a blue cat"]
    assert listed(limner("gallery", "--search", "model:POCKET cat", "--json")) == ["a blue cat"]
    assert listed(limner("gallery", "--search", "rating:5 sort:oldest", "--json")) == ["a red fox"]


def test_nothing_that_fits_is_not_an_empty_library(limner: Limner, ids: list[str]) -> None:
    result = limner("gallery", "--search", "submarine")
    assert result.exit_code == 0
    assert "none of your 3 pictures fits" in result.stderr


@pytest.mark.parametrize("option", ["--search", "--model"])
def test_arguments_that_are_no_utf8_find_nothing(limner: Limner, ids: list[str], option: str) -> None:
    result = limner("gallery", option, "fo\udcffx")
    assert result.exit_code == 0
    assert "none of your 3" in result.stderr


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["--rating", "6"], "6"),
        (["--since", "someday"], "'someday' is not a date"),
        (["--since", "99999w"], "'99999w' is not a date"),
        (["-n", "-1"], "-1"),
        (["--sort", "size"], "newest"),
        (["--model"], "--model"),
    ],
)
def test_bad_options_are_named(limner: Limner, args: list[str], word: str) -> None:
    assert_refused(limner("gallery", *args), 2, word)


def test_a_misspelt_command_gets_the_nearest(limner: Limner) -> None:
    assert_refused(limner("gallery", "exprot", "x"), 2, "'exprot'", "did you mean export")


def test_a_date_means_the_local_day_and_counts_to_its_end() -> None:
    here = datetime(2026, 11, 22, 15, 0).astimezone()
    start = datetime(2026, 11, 21).astimezone().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    end = datetime(2026, 11, 22).astimezone().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert moment("2026-11-21", "since", now=here) == start
    assert moment("yesterday", "since", now=here) == start
    assert moment("2026-11-21", "until", end=True, now=here) == end
    hour_ago = here.astimezone(UTC).replace(hour=here.astimezone(UTC).hour - 1)
    assert moment("1h", "since", now=here) == hour_ago.strftime("%Y-%m-%dT%H:%M:%SZ")
    with pytest.raises(InvalidRequest, match="13th"):
        moment("the 13th", "since")


def test_show_tells_everything_in_the_record(limner: Limner, home: Path, ids: list[str]) -> None:
    result = limner("gallery", "show", ids[0])
    assert result.exit_code == 0
    for word in (ids[0], "a red fox", "blurry", "pocket", "euler", "24x16", "float32", "Test CPU", "zyx", "sha256:"):
        assert word in result.stdout, word
    assert str(file_of(home, ids[0])) in result.stdout


def test_show_json_holds_the_whole_record(limner: Limner, ids: list[str]) -> None:
    found = said(limner("gallery", "show", ids[1], "--json"))
    assert isinstance(found, dict)
    assert found["record"]["schema"] == 1
    assert found["record"]["seed"] == {"seed": 1, "variation_seed": None}
    assert found["scores"] == []


def test_pictures_go_by_a_piece_of_their_id_and_by_age(limner: Limner, ids: list[str]) -> None:
    for name, prompt in [
        (ids[0][-5:], "a red fox"),
        ("last", "two dogs at the beach"),
        ("@1", "two dogs at the beach"),
        ("@3", "a red fox"),
    ]:
        found = said(limner("gallery", "show", name, "--json"))
        assert isinstance(found, dict)
        assert found["prompt"] == prompt
    shown = said(limner("gallery", "show", "--json"))
    assert isinstance(shown, dict)
    assert shown["prompt"] == "two dogs at the beach"


@pytest.mark.parametrize("name", ["@0", "@4", "zzzzz", "x", "../../etc/passwd", "nowhere.png", "a\x00b.png", ""])
def test_a_picture_that_is_not_there(limner: Limner, ids: list[str], name: str) -> None:
    assert_refused(limner("gallery", "show", name), 7)


def test_a_piece_that_fits_several_names_them(limner: Limner, ids: list[str]) -> None:
    assert_refused(limner("gallery", "show", ids[0][:5]), 7, "fits 3 pictures", ids[2])


def test_rate_and_take_back(limner: Limner, ids: list[str]) -> None:
    assert "★★★★" in limner("gallery", "rate", ids[0], "@1", "4").stdout
    ratings = {each["id"]: each["rating"] for each in said(limner("gallery", "--json"))}  # type: ignore[attr-defined]
    assert ratings == {ids[0]: 4, ids[1]: None, ids[2]: 4}
    limner("gallery", "rate", ids[0], "none")
    shown = said(limner("gallery", "show", ids[0], "--json"))
    assert isinstance(shown, dict)
    assert shown["rating"] is None


@pytest.mark.parametrize("rating", ["0", "6", "four", "4.5", "-1"])
def test_a_rating_that_is_none(limner: Limner, ids: list[str], rating: str) -> None:
    assert_refused(limner("gallery", "rate", ids[0], "--", rating), 2)


def test_delete_asks_and_says_what_is_lost(limner: Limner, home: Path, ids: list[str]) -> None:
    limner("gallery", "rate", ids[0], "5")
    path = file_of(home, ids[0])
    asked = limner("gallery", "delete", ids[0], input="n\n")
    assert "deletes 1 file, 1 rating" in asked.stderr
    assert "nothing was deleted" in asked.stderr
    assert path.exists()
    assert "deleted 1 picture" in limner("gallery", "delete", ids[0], input="y\n").stderr
    assert not path.exists()
    assert len(listed(limner("gallery", "--json"))) == 2


def test_delete_with_nobody_to_ask_deletes_nothing(limner: Limner, home: Path, ids: list[str]) -> None:
    result = limner("gallery", "delete", ids[0])
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert file_of(home, ids[0]).exists()


def test_delete_keeps_the_file_when_told(limner: Limner, home: Path, ids: list[str]) -> None:
    path = file_of(home, ids[0])
    assert limner("gallery", "delete", "--yes", "--keep-file", ids[0]).exit_code == 0
    assert path.exists()
    assert len(listed(limner("gallery", "--json"))) == 2


def test_one_unknown_id_deletes_nothing(limner: Limner, ids: list[str]) -> None:
    assert_refused(limner("gallery", "delete", "-y", ids[0], "zzzzz"), 7, "'zzzzz'")
    assert len(listed(limner("gallery", "--json"))) == 3


def test_a_strangers_prompt_cannot_steer_the_terminal(limner: Limner, tmp_path: Path) -> None:
    hostile = pictures.A1111_TEXT.replace("lighthouse", "light\x1b]52;c;AAAA\x07\x1b[2Jhouse")
    path = pictures.png(tmp_path / "in" / "hostile.png", {"parameters": hostile})
    limner("gallery", "import", str(path.parent))
    for args in (["gallery"], ["gallery", "show"], ["gallery", "rate", "@1", "3"], ["inspect", str(path)]):
        result = limner(*args)
        assert result.exit_code == 0
        assert "house" in result.stdout
        assert "\x1b" not in result.output
        assert "\x07" not in result.output


def test_a_damaged_database_is_one_clear_line(limner: Limner, home: Path) -> None:
    (home / "library").mkdir(parents=True)
    (home / "library" / "limner.db").write_bytes(b"no database, whatever it is called " * 200)
    assert_refused(limner("gallery"), 7, "damaged")


def test_wrong_settings_are_one_clear_line(limner: Limner, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[defaults]\nstepps = 3\n")
    assert_refused(limner("gallery"), 2, "config.toml:2", "steps")


def test_errors_are_json_when_json_was_asked_for(limner: Limner, ids: list[str]) -> None:
    result = limner("gallery", "show", "zzzzz", "--json")
    assert result.exit_code == 7
    assert json.loads(result.stderr)["error"]["code"] == "picture_not_found"


def test_no_housekeeping_command_loads_torch(home: Path, ids: list[str]) -> None:
    """One process runs them all and then looks at what was imported."""
    program = """
import sys
from click.testing import CliRunner
from limner.cli.main import cli
for line in sys.stdin.read().splitlines():
    result = CliRunner().invoke(cli, line.split())
    assert result.exit_code == 0, (line, result.output)
print([name for name in ("torch", "diffusers", "transformers", "huggingface_hub") if name in sys.modules])
"""
    lines = [
        "gallery",
        "gallery show",
        "gallery rate @1 3",
        "gallery check",
        "inspect last",
        "models",
        "models show sd15",
    ]
    lines += ["doctor --json", "config show --origin", "config path", "config check", "gallery delete -y @1"]
    env = {**os.environ, "LIMNER_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program], input="\n".join(lines), capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_help_says_each_command_whole_in_80_columns(home: Path) -> None:
    shown = limner_in(home, COLUMNS="80")("gallery", "--help").stdout
    assert "..." not in shown.partition("Commands:")[2]
    assert "--search" in shown


def test_frames_of_a_morph_and_pictures_without_words_are_told_apart(
    limner: Limner, home: Path, tmp_path: Path
) -> None:
    library = Library(home / "library")
    for k, share in enumerate((0.0, 0.5, 1.0)):
        made = pictures.record(pictures.pixels(k), "a cat", seed=k)
        asked = made.request.but(morph_to="a dog", morph=share)
        recipe = made.recipe.model_copy(update={"morph": share})
        library.add(pictures.pixels(k), made.model_copy(update={"request": asked, "recipe": recipe}))
    library.close()
    pictures.png(tmp_path / "in" / "holiday.png", {})
    limner("gallery", "import", str(tmp_path / "in"))
    shown = limner("gallery").stdout
    assert [f"a cat → a dog {share} %" in shown for share in (0, 50, 100)] == [True] * 3
    assert "(holiday.png)" in shown
