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
    assert decode(tmp_path / "fox.png").shape == (128, 128, 3)
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
