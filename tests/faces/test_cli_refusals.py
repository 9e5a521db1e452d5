"""Bad input: one clear line, the right exit code, no traceback, nothing drawn, and torch never imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faces.calling import assert_refused, limner_in
from tests.faces.fake_drawing import fake_drawing

REFUSED = {
    "empty prompt": ([""], 2, "is empty"),
    "only blanks": (["  \t "], 2, "is empty"),
    "100 kB prompt": (["fox " * 25_000], 2, "limit is 20,000"),
    "control characters": (["a red \x07 fox"], 2, "U+0007"),
    "escape": (["\x1b[2Jfox"], 2, "U+001B"),
    "0 steps": (["a fox", "--steps", "0"], 2, "limner: steps must be 1 to 1000, not 0\n"),
    "no words": (["draw"], 2, "\n  for example"),
    "a prompt that begins with a dash": (["-foo"], 2, "limner draw -- -foo"),
    "a prompt that begins with two": (["--a prompt"], 2, "limner draw -- '--a prompt'"),
    "an option misspelt": (["--sede", "3", "a"], 2, "'--sede'\n  did you mean --seed or "),
    "delete what": (["gallery", "delete"], 2, "\n  for example: limner gallery delete last"),
    "help as a word": (["help"], 2, "`limner --help`? to draw it: limner draw -- help"),
    "version as a word": (["version"], 2, "`limner --version`?"),
    "stars in words": (["gallery", "rate", "last", "five"], 2, "'five' is not a number from 1 to 5"),
    "steps in words": (["a fox", "--steps", "many"], 2, "'--steps'"),
    "NaN guidance": (["a fox", "--guidance", "nan"], 2, "finite"),
    "infinite guidance": (["a fox", "--guidance", "inf"], 2, "guidance"),
    "0 pictures": (["a fox", "-n", "0"], 2, "n:"),
    "negative seed": (["a fox", "--seed", "-1"], 2, "seed"),
    "huge seed": (["a fox", "--seed", str(2**60)], 2, "seed"),
    "no size": (["a fox", "--size", "big"], 2, "not a size"),
    "tiny size": (["a fox", "--size", "4x4"], 2, "width"),
    "giant size": (["a fox", "--size", "99999x64"], 2, "width"),
    "unknown solver": (["a fox", "--solver", "eulr"], 2, "euler"),
    "unknown model": (["a fox", "-m", "pokcet"], 2, "pocket"),
    "unknown style": (["a fox", "--style", "cinematik"], 2, "cinematic"),
    "unknown dtype": (["a fox", "--dtype", "int3"], 2, "float32"),
    "unknown device": (["a fox", "--device", "tpu"], 2, "device"),
    "unknown option": (["a fox", "--bogus"], 2, "--bogus"),
    "a folder that is no model": (["a fox", "-m", "./nowhere"], 3, "nowhere"),
    "a picture for a model": (["a fox", "-m", "here.png"], 3, "is a picture, not a model"),
    "a text for a model": (["a fox", "-m", "./here.txt"], 3, "here.txt is not a model"),
    "no such folder": (["a fox", "-o", "nowhere/fox.png"], 4, "does not exist"),
    "no picture format": (["a fox", "-o", "fox.gif"], 2, ".png"),
    "nothing kept": (["a fox", "--no-keep"], 2, "-o"),
    "no prompt file": (["--from", "nowhere.txt"], 2, "nowhere.txt"),
    "words and a file": (["a fox", "--from", "prompts.txt"], 2, "--from"),
    "replay of nothing": (["replay", "nowhere.png"], 7, "nowhere.png"),
    "vary by too much": (["vary", "x", "--amount", "1.5"], 2, "amount"),
    "vary by NaN": (["vary", "x", "--amount", "nan"], 2, "amount"),
    "vary nothing": (["vary", "0000"], 7, "0000"),
    "one frame": (["morph", "a fox", "a cat", "--frames", "1"], 2, "\n  frames: 2 to 100"),
    "odd size": (["a fox", "--size", "130x130"], 2, "multiples of"),
    "morph into nothing": (["morph", "", "a cat"], 2, "is empty"),
    "morph by an unknown solver": (["morph", "a fox", "a cat", "--solver", "eulr"], 2, "euler"),
    "lint of nothing": (["lint", " "], 2, "is empty"),
    "styles of nothing": (["styles", "import", "nowhere.csv"], 2, "nowhere.csv"),
}

EARLY = (
    "unknown style",
    "unknown model",
    "unknown solver",
    "a folder that is no model",
    "a picture for a model",
    "no prompt file",
    "no such folder",
    "morph by an unknown solver",
)


def files(folder: Path) -> None:
    """What the cases name."""
    (folder / "here.png").write_bytes(b"\x89PNG")
    (folder / "here.txt").write_text("words")
    (folder / "lines.csv").write_text("prompt,styles,size\na fox,cinematik,\na cat,,130x130\n")


@pytest.mark.parametrize("case", REFUSED)
def test_one_clear_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args, code, word = REFUSED[case]
    drawn = fake_drawing(monkeypatch)
    files(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert_refused(limner_in(tmp_path / "home")(*args), code, word)
    assert drawn.plans == []
    assert not (tmp_path / "home" / "library" / "images").exists()


def test_a_single_refusal_is_json_when_json_is_asked_for(tmp_path: Path) -> None:
    result = limner_in(tmp_path)("a fox", "--json", "--steps", "0")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert json.loads(result.stderr)["error"]["code"] == "invalid_request"


PROGRAM = """
import json, sys
from limner.cli.main import cli
codes, late = {}, sys.argv[1]
for name, args in json.load(sys.stdin).items():
    try: cli.main(args)
    except SystemExit as end: codes[name] = end.code
    assert late not in sys.modules, name
print(json.dumps(codes))
"""


def codes_without(late: str, asked: dict[str, list[str]], home: Path) -> object:
    """The exit codes of runs in one process of its own, which must not import the module ``late``."""
    files(home)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, late],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=home,
        env={"LIMNER_HOME": str(home), "PATH": "", "HF_HUB_CACHE": str(home)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_refusals_do_not_wait_for_torch(tmp_path: Path) -> None:
    lines = {"lines that cannot be planned": (["--from", "lines.csv"], 2, "")}
    cases = REFUSED | lines
    codes = codes_without("torch", {name: args for name, (args, _code, _word) in cases.items()}, tmp_path)
    assert codes == {name: code for name, (_args, code, _word) in cases.items()}


def test_names_are_looked_up_before_the_slow_imports(tmp_path: Path) -> None:
    asked = {name: REFUSED[name][0] for name in EARLY}
    assert codes_without("limner.session", asked, tmp_path) == {name: REFUSED[name][1] for name in EARLY}


def test_a_file_that_is_named_as_a_model_is_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = fake_drawing(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pocket").write_text("not a model")
    assert limner_in(tmp_path / "home")("a fox", "-m", "pocket").exit_code == 0
    assert len(drawn.plans) == 1


def test_a_library_that_cannot_be_written_is_found_before_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = fake_drawing(monkeypatch)
    (tmp_path / "file").write_text("in the way")
    result = limner_in(tmp_path, LIMNER_LIBRARY=str(tmp_path / "file" / "library"))("a fox")
    assert_refused(result, 4, "is not a folder")
    assert drawn.plans == []
