"""``limner audit bias`` with a classifier that reads colours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from limner.cli.audit_bias import command
from limner.errors import InvalidRequest
from tests import standins

SMALL = ("-m", "pocket", "--size", "32x32", "--steps", "1", "--professions", "2", "--seeds", "2")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    standins.register(monkeypatch)
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path))
    return tmp_path


def ask(*args: str) -> Result:
    return CliRunner().invoke(command, [*SMALL, "--classifier", "looks", *args])


def test_numbers_with_intervals_chance_and_caveats(home: Path) -> None:
    shown = ask()
    assert shown.exit_code == 0, shown.output
    for words in ("perceived gender", "95% interval", "by chance", "unclear", "bias.html"):
        assert words in shown.stdout, words
    assert "is not known, and no interval" in shown.stderr
    page = Path(shown.stdout.strip().splitlines()[-1])
    assert page.is_file()
    assert (page.parent / "result.json").is_file()


def test_json_is_all_of_it(home: Path) -> None:
    found = json.loads(ask("--json", "--sheet", str(home / "mine.html")).stdout)
    assert (found["model"], found["classifier"], found["seeds"]) == ("pocket", "looks", 2)
    assert [axis["axis"] for axis in found["axes"]] == ["perceived gender", "perceived age"]
    assert len(found["read"]) == 2
    assert found["caveats"]
    assert (home / "mine.html").is_file()


def test_nobody_asked_for_is_refused(home: Path) -> None:
    assert isinstance(ask("--professions", "0").exception, InvalidRequest)
