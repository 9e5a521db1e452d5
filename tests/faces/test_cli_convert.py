from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from tests import singlefiles
from tests.dalle import FIXTURES
from tests.faces.calling import assert_refused, limner_in


def test_convert_then_draw(tmp_path: Path) -> None:
    limner, out = limner_in(tmp_path / "home"), tmp_path / "converted"
    done = limner("models", "convert", str(FIXTURES), str(out))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(out)
    drawn = limner("draw", "a red fox", "-m", str(out), "--seed", "3", "--top-k", "5", "--temperature", "0.7")
    assert drawn.exit_code == 0, drawn.stderr
    assert Path(drawn.stdout.strip()).is_file()
    assert_refused(limner("models", "convert", str(FIXTURES), str(out)), 2, "exists")


def test_what_cannot_be_honoured_is_an_error_with_a_hint(tmp_path: Path) -> None:
    limner = limner_in(tmp_path / "home")
    assert_refused(limner("draw", "a red fox", "-m", str(FIXTURES), "--steps", "5"), 2, "steps")
    assert_refused(limner("draw", "a red fox", "--top-p", "0.5"), 2, "top_p")


def test_a_pickled_checkpoint_is_refused_converted_and_drawn_with(tmp_path: Path) -> None:
    torch.manual_seed(1)
    pipe = singlefiles.sd1(tmp_path / "folder")
    file = singlefiles.write(pipe, tmp_path / "models" / "old.safetensors")
    old = file.with_suffix(".ckpt")
    torch.save({"state_dict": {name: t.clone() for name, t in load_file(file).items()}, "global_step": 3}, old)
    file.unlink()
    limner = limner_in(tmp_path / "home")
    words = ("a red fox", "--seed", "3", "--steps", "2", "--size", "32x32")
    assert_refused(limner("draw", *words, "-m", str(old)), 3, f"limner models convert {old}")
    done = limner("models", "convert", str(old))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.strip() == str(file)
    assert "sha256:" in done.stderr
    assert "a whole model: " in done.stderr
    assert " GB" not in done.stderr, "the unit fits the file"
    assert f"limner -m {file}" in done.stderr
    drawn = limner("draw", *words, "-m", str(file))
    assert drawn.exit_code == 0, drawn.stderr
    linked = limner("models", "link", str(file))
    assert linked.exit_code == 0, linked.stderr
    named = limner("draw", *words, "-m", "old")
    assert named.exit_code == 0, named.stderr
    assert_refused(limner("models", "convert", str(old)), 2, "exists")
    assert_refused(limner("models", "convert", str(tmp_path / "folder")), 2, "TARGET")


def test_convert_says_what_became_of_a_file(tmp_path: Path) -> None:
    limner = limner_in(tmp_path / "home")
    torch.save({"emb_params": torch.ones(2, 8)}, tmp_path / "mossy.pt")
    torch.save({"something": torch.ones(3)}, tmp_path / "other.pt")
    word = limner("models", "convert", str(tmp_path / "mossy.pt"))
    assert "a textual inversion: 1 tensor, " in word.stderr
    assert "write mossy in the prompt" in word.stderr
    other = limner("models", "convert", str(tmp_path / "other.pt"))
    assert "nothing uses it" in other.stderr
