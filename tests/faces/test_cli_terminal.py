"""In a terminal: the bar, the preview, the picture, and the question after a misspelt command."""

from __future__ import annotations

import os
import re
import select
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from limner.cli.progress import Bar
from limner.cli.terminal import HalfBlocks
from limner.types import Step
from tests.faces.test_cli_ends import environment

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")


def in_terminal(home: Path, *args: str, typed: bytes = b"") -> tuple[str, int]:
    """What a terminal got, and the exit code."""
    pid, master = pty.fork()
    if pid == 0:
        env = {**environment(home), "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", "LINES": "40"}
        os.execve(sys.executable, [sys.executable, "-m", "limner", *args], env)
    shown = b""
    os.write(master, typed)
    while select.select([master], [], [], 60)[0]:
        try:
            piece = os.read(master, 65_536)
        except OSError:  # Linux says end of file this way
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_picture_in_the_terminal(tmp_path: Path) -> None:
    shown, code = in_terminal(tmp_path, "a red fox", "--steps", "3", "--preview", "--offline")
    assert code == 0, shown
    assert "step " in shown
    assert str(next((tmp_path / "library" / "images").rglob("*.png"))) in shown
    after = shown[shown.rindex(".png") :]
    assert after.count("▀") > 200


@pytest.mark.parametrize(("answer", "said"), [(b"y\n", "limner solvers"), (b"\n", "limner solvers")])
def test_a_misspelt_command_is_asked_about(tmp_path: Path, answer: bytes, said: str) -> None:
    shown, code = in_terminal(tmp_path, "solvrs", typed=answer)
    assert code == 0, shown
    assert f"did you mean `{said}`?" in shown
    assert "euler-a" in shown


def test_half_blocks_hold_two_pixels_each() -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, :, 0] = 255
    pixels[1, :, 2] = 255
    console = Console(force_terminal=True, color_system="truecolor", width=40, legacy_windows=False)
    with console.capture() as captured:
        console.print(HalfBlocks(Image.fromarray(pixels), rows=1))
    assert captured.get().count("\x1b[38;2;255;0;0;48;2;0;0;255m▀") == 3


def test_half_blocks_keep_the_shape_in_a_narrow_terminal() -> None:
    console = Console(force_terminal=True, color_system="truecolor", width=10, height=60, legacy_windows=False)
    with console.capture() as captured:
        console.print(HalfBlocks(Image.new("RGB", (400, 200)), rows=20))
    lines = [line for line in captured.get().splitlines() if line]
    assert [line.count("▀") for line in lines] == [10] * 2  # 10 x 4 pixels: even rows, about twice as wide as high


def test_the_bar_leaves_room_for_the_echo_of_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    bar = Bar(50)
    for k in range(9):
        bar.step(Step(k, 20, 20))
    for stopping in (False, True):
        if stopping:
            bar.stopping()
        console = Console(force_terminal=True, width=80, legacy_windows=False)
        with console.capture() as captured:
            console.print(bar._drawn())
        lines = re.sub(r"\x1b\[[\d;]*m", "", captured.get()).splitlines()
        assert lines
        assert max(map(len, lines)) <= 76
