"""The audit log: a chain in which an edited, removed or added line is found; several writers; homes that take none."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from limner.errors import CorruptFile, StorageError
from limner.safety.audit import Audit

WRITER = """
import sys
from pathlib import Path
from limner.safety.audit import Audit
for k in range(10):
    Audit(Path(sys.argv[1])).append("refusal", prompt=f"{sys.argv[2]} {k}", level="standard")
"""


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    made = Audit(tmp_path)
    for k in range(5):
        made.append(
            "refusal", prompt=f"words {k}", level="standard", category="sexual", rule="sexual.nudity", model=None
        )
    return made


def rewritten(audit: Audit, lines: list[bytes]) -> list[str]:
    audit.path.write_bytes(b"".join(lines))
    return [problem.message for problem in audit.verify()]


def test_an_untouched_log_is_intact(audit: Audit) -> None:
    assert audit.verify() == []
    assert [line["line"] for line in audit.lines()] == [1, 2, 3, 4, 5]


def test_no_log_is_no_problem(tmp_path: Path) -> None:
    assert Audit(tmp_path).verify() == []
    assert list(Audit(tmp_path).lines()) == []
    assert list(tmp_path.iterdir()) == []


def test_prompts_are_hashed_with_a_key_of_this_machine(audit: Audit, tmp_path: Path) -> None:
    assert b"words" not in audit.path.read_bytes()
    hashes = [line["prompt_hmac"] for line in audit.lines()]
    assert len(set(hashes)) == 5
    audit.append("refusal", prompt="words 0")
    assert list(audit.lines())[-1]["prompt_hmac"] == hashes[0]
    other = Audit(tmp_path / "other")
    other.append("refusal", prompt="words 0")
    assert next(other.lines())["prompt_hmac"] != hashes[0]
    assert stat.S_IMODE((tmp_path / "audit.key").stat().st_mode) == 0o600


def test_plain_where_opted_in(tmp_path: Path) -> None:
    Audit(tmp_path, plain=True).append("refusal", prompt="these words")
    assert next(Audit(tmp_path).lines())["prompt"] == "these words"


@pytest.mark.parametrize("place", range(5))
def test_an_edited_line_is_found(audit: Audit, place: int) -> None:
    lines = audit.path.read_bytes().splitlines(keepends=True)
    changed = {**json.loads(lines[place]), "level": "adult"}
    lines[place] = json.dumps(changed).encode() + b"\n"
    audit.path.write_bytes(b"".join(lines))
    assert (place + 1, "was changed") in [(each.line, each.message) for each in audit.verify()]


@pytest.mark.parametrize("place", range(5))
def test_a_removed_line_is_found(audit: Audit, place: int) -> None:
    lines = audit.path.read_bytes().splitlines(keepends=True)
    assert "removed" in rewritten(audit, lines[:place] + lines[place + 1 :])[0]


def test_moved_and_doubled_lines_are_found(audit: Audit) -> None:
    lines = audit.path.read_bytes().splitlines(keepends=True)
    assert rewritten(audit, [lines[1], lines[0], *lines[2:]])
    assert rewritten(audit, [*lines, lines[4]])
    assert rewritten(audit, [])
    audit.path.unlink()
    assert audit.verify()


def test_a_torn_line_is_told_and_the_log_goes_on(audit: Audit) -> None:
    with audit.path.open("ab") as stream:
        stream.write(b'{"line": 6, "ti')
    audit.append("refusal", prompt="after the power cut")
    assert [(each.line, each.message) for each in audit.verify()] == [(6, "is no line of a log")]
    assert [line["line"] for line in audit.lines()] == [1, 2, 3, 4, 5, 6]


def test_a_lost_key_cannot_verify(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "audit.key").unlink()
    with pytest.raises(CorruptFile, match="key"):
        audit.verify()


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(k)]) for k in range(3)]
    assert [each.wait(60) for each in started] == [0, 0, 0]
    assert Audit(tmp_path).verify() == []
    assert len(list(Audit(tmp_path).lines())) == 30


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError):
        Audit(tmp_path / "file").append("refusal")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="audit"):
        Audit(tmp_path).append("refusal")
