"""``--safety`` and refusals on the command line, and the audit log's commands. Nothing refused is ever drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.faces.fake_drawing import FakeBackend, fake_drawing


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    return fake_drawing(monkeypatch)


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path)


REFUSED = {
    "draw": ["a nude woman"],
    "plan": ["plan", "a nude woman"],
    "refine": ["refine", "a nude woman"],
    "morph": ["morph", "a fox", "a nude woman"],
    "compare": ["compare", "--prompt", "a fox", "--prompt", "a nude woman"],
    "a model that is not here": ["a nude woman", "-m", "sdxl"],
    "negative": ["a woman", "--negative", "clothes"],
    "adult": ["a nude child", "--safety", "adult"],
    "strict": ["a sexy woman", "--safety", "strict"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, limner: Limner, backend: FakeBackend) -> None:
    assert_refused(limner(*REFUSED[name]), 6, "refused", "what passes")
    assert backend.plans == []


def test_refused_in_json(limner: Limner) -> None:
    result = limner("a nude woman", "--json")
    assert result.exit_code == 6
    error = json.loads(result.stderr)["error"]
    assert (error["code"], error["category"], error["rule"]) == ("moderation_blocked", "sexual", "sexual.nudity")
    assert error["quoted"] == ["nude"]
    assert error["passes"]


def test_a_file_of_prompts_goes_on(limner: Limner, backend: FakeBackend, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a fox\na nude woman\na hen\n")
    result = limner("--from", str(tmp_path / "prompts.txt"))
    assert result.exit_code != 0
    assert [plan.prompt for plan in backend.plans] == ["a fox", "a hen"]
    assert "sexual" in result.stderr


def test_a_level_by_flag(limner: Limner, backend: FakeBackend) -> None:
    result = limner("a fox", "--safety", "adult", "--json")
    assert result.exit_code == 0, result.stderr
    (line,) = [json.loads(line) for line in limner("audit", "log", "--json").stdout.splitlines()]
    assert (line["event"], line["level"]) == ("level-change", "adult")
    assert_refused(limner("a nude woman"), 6)  # the flag was for that command


def test_adult_is_for_the_flag_alone(limner: Limner, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[safety]\nlevel = "adult"\n')
    assert_refused(limner("a fox"), 2, "adult", "flag")


def test_the_log(limner: Limner, tmp_path: Path) -> None:
    assert limner("audit", "verify").stdout == "there is no log yet\n"
    limner("a nude woman")
    limner("a naked man")
    assert "sexual.nudity" in limner("audit", "log").stdout
    assert said(limner("audit", "verify", "--json")) == {"intact": True, "lines": 2, "problems": []}
    log = tmp_path / "audit.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[1])
    result = limner("audit", "verify")
    assert result.exit_code == 1
    assert "removed" in result.stdout


def test_a_refusal_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom limner.cli.main import cli\n"
        "try:\n    cli.main(['a nude woman'])\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"LIMNER_HOME": str(tmp_path)}, check=True
    )
    assert ran.stdout.split() == ["6", "False"]
