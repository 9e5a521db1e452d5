"""From the shell to a file: real processes with the built-in model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limner.library.files import decode
from limner.library.store import Library
from tests.builtin import SIDE


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIMNER_", "HF_"))}
    return {**kept, "LIMNER_HOME": str(home), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}


def limner(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limner", *args]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, check=False, timeout=120)


def test_a_picture_and_its_replay(tmp_path: Path) -> None:
    made = limner(tmp_path, "a", "red", "fox", "--steps", "2", "--seed", "3", "-o", f"{tmp_path}/fox.png", "--offline")
    assert made.returncode == 0, made.stderr
    assert made.stdout == f"{tmp_path}/fox.png\n"
    assert decode(tmp_path / "fox.png").shape == (SIDE, SIDE, 3)
    again = limner(tmp_path, "replay", f"{tmp_path}/fox.png", "--json", "--offline")
    assert (again.returncode, json.loads(again.stdout)["verdict"]) == (0, "identical"), again.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_a_real_run_in_order(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "limner", "a red fox", "-n", "500", "--steps", "2"]
    with subprocess.Popen(
        command, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        running.send_signal(signal.SIGINT)
        rest, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    paths = [Path(line) for line in (first + rest).split()]
    assert 1 <= len(paths) < 500
    assert all(path.is_file() for path in paths)
    assert Library(tmp_path / "library").count() == len(paths)
    assert "finished and kept" in said
    assert "Traceback" not in said


def test_a_killed_run_of_a_file_goes_on_picture_by_picture(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a red fox\na cat on the beach\na castle\na balloon\n")
    words = ("--from", f"{tmp_path}/p.txt", "-n", "3", "--steps", "2", "--offline")
    command = [sys.executable, "-m", "limner", *words]
    with subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        told = [running.stdout.readline() for _ in range(2)]
        running.kill()
    assert all(told)
    kept = Library(tmp_path / "library").count()
    again = limner(tmp_path, *words)
    assert again.returncode == 0, again.stderr
    assert len(again.stdout.splitlines()) == 12 - kept
    entries = Library(tmp_path / "library").list()
    assert len(entries) == len({(entry.prompt, entry.seed) for entry in entries}) == 12
    assert [len({entry.record.request.seed for entry in entries if entry.record and entry.prompt == prompt})
            for prompt in ("a red fox", "a cat on the beach", "a castle", "a balloon")] == [1, 1, 1, 1]  # fmt: skip
    assert limner(tmp_path, *words).stdout == ""


@pytest.mark.skipif(os.name == "nt", reason="no SIGPIPE on Windows")
def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "limner", "solvers"], env=environment(tmp_path), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        said = running.stderr.read()
    assert said == ""
    assert running.returncode == 1
