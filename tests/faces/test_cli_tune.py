"""``limner tune`` from the command line: what it says first, what it refuses, what a file says of itself."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("peft")

from limner.cli.tune_follow import STOPPED, Stop
from limner.errors import OutOfMemory
from limner.models.inspect import read_header
from limner.session import Session
from tests import checkpoints
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.tuning import tried as tried
from tests.tuning import untried as untried
from tests.tuning import write_pictures

QUICK = ("--steps", "2", "--rank", "2", "--batch", "2", "--size", "64", "--check-every", "1")


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "foxes")


def test_a_file_is_made_that_says_what_it_was_trained_on(limner: Limner, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "fox.safetensors"
    made = limner("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK)
    assert made.exit_code == 0, made.stderr
    assert made.stdout.strip() == str(out)
    assert "GiB of memory" in made.stderr
    assert "has no word 'sks'" in made.stderr
    assert (tmp_path / "fox.tune" / "loss.svg").read_text().startswith("<svg")
    shown = limner("tune", "show", str(out))
    assert shown.exit_code == 0, shown.stderr
    assert "a sks fox" in shown.stdout
    assert "pocket sha256:" in shown.stdout
    small = ("a sks fox", "--seed", "1", "--size", "64x64", "--steps", "1", "--json")
    plain, tuned = (said(limner(*small, *more)) for more in ((), ("--lora", str(out))))
    assert isinstance(plain, dict)
    assert isinstance(tuned, dict)
    assert plain["identity"] != tuned["identity"]
    cannot_see = "does not know the word 'sks'"
    assert cannot_see in limner(*small[:-1]).stderr
    assert cannot_see not in limner(*small[:-1], "--lora", str(out)).stderr
    again = limner("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK)
    assert_refused(again, 2, "holds a run already", "--resume", "remove fox.safetensors and fox.tune")


@pytest.mark.usefixtures("tried")
def test_a_dry_run_says_the_cost_and_makes_nothing(limner: Limner, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "fox.safetensors"
    args = ("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK)
    cost = said(limner(*args, "--prior", "3", "--dry-run", "--json"))
    assert isinstance(cost, dict)
    assert cost["memory_bytes"] > 0
    assert cost["seconds"] > cost["step_seconds"] * 2
    assert not out.parent.exists()


def test_samples_are_drawn_before_meanwhile_and_after_and_leave_no_link(data: Path, tmp_path: Path) -> None:
    limner = limner_in(tmp_path / "home", LIMNER_STEPS="1")
    out = tmp_path / "my runs" / "fox.safetensors"
    made = limner(
        "tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK,
        "--steps", "4", "--check-every", "3", "--sample", "a sks fox", "--sample-every", "2",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    drawn = sorted((out.with_suffix(".tune") / "samples").iterdir())
    assert [each.name for each in drawn] == [f"step-{step:06d}-0.png" for step in (0, 2, 4)]
    assert f"limner -m pocket --lora '{out}' 'a sks fox'" in made.stderr
    assert "GiB of memory at the peak" in made.stderr
    assert "linked" not in made.stderr
    assert "no picture is held out" in made.stderr
    links = tmp_path / "home" / "links.toml"
    assert not links.is_file() or "fox" not in links.read_text()


def test_a_sample_that_cannot_be_drawn_does_not_end_the_training(
    limner: Limner, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Session, *_: object, **__: object) -> None:
        raise OutOfMemory("no room", hint="")

    monkeypatch.setattr(Session, "generate", failing)
    out = tmp_path / "fox.safetensors"
    args = ("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK)
    made = limner(*args, "--sample", "a sks fox", "--steps", "1")
    assert made.exit_code == 0, made.stderr
    assert "samples could not be drawn, and training goes on: no room" in made.stderr
    assert out.is_file()


def test_a_lora_that_does_nothing_is_no_success(limner: Limner, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "fox.safetensors"
    made = limner(
        "tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK,
        "--steps", "40", "--check-every", "2", "--lr", "0.5", "--hold-out", "2", "--patience", "2", "--warmup", "0",
    )  # fmt: skip
    assert made.exit_code == 0, made.stderr
    assert "nothing was learnt" in made.stderr
    assert "--lora" not in made.stderr


def test_sigterm_saves_as_ctrl_c_does() -> None:
    stop = Stop()
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
    assert STOPPED[stop.signal] == 143


def test_a_checkpoint_given_by_its_path_is_linked_and_goes_by_its_name(
    limner: Limner, data: Path, tmp_path: Path
) -> None:
    base, out = checkpoints.write(tmp_path / "mine", checkpoints.SD1_LIKE), tmp_path / "fox.safetensors"
    args = ("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", str(out), *QUICK)
    made = limner(*args, "-m", str(base))
    assert made.exit_code == 0, made.stderr
    assert str(tmp_path) not in read_header(out).metadata["limner.tune"]
    assert "limner -m mine --lora" in made.stderr
    again = limner(*args, "-m", "mine", "--steps", "3", "--resume")
    assert again.exit_code == 0, again.stderr


def test_what_is_wrong_with_the_pictures_is_said_before_anything_is_loaded(
    limner: Limner, data: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "fox.safetensors")
    (data / "00.png").write_bytes(b"torn")
    plain = ("tune", "lora", "--data", str(data), "--out", out)
    fox = (*plain, "--subject", "sks fox")
    assert_refused(limner(*fox), 7, "00.png")
    (data / "00.png").unlink()
    assert_refused(limner(*plain), 2, "3 of 3 pictures have no caption")
    (data / "01.png").unlink()
    assert_refused(
        limner("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", out), 2, "holds 2 pictures"
    )
    assert_refused(
        limner("tune", "lora", "--data", str(data), "--subject", "fox", "--out", out, "--rank", "0"),
        2,
        "--rank must be at least 1",
    )


def test_words_that_the_policy_forbids_are_not_taught(limner: Limner, data: Path, tmp_path: Path) -> None:
    (data / "00.txt").write_text("a naked child")
    out = str(tmp_path / "fox.safetensors")
    refused = limner("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", out, *QUICK)
    assert refused.exit_code == 6, refused.stderr


def test_a_file_from_elsewhere_has_no_record(limner: Limner, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "theirs.safetensors"
    save_file({"lora_unet_x.lora_down.weight": torch.zeros(1, 1)}, path)
    assert_refused(limner("tune", "show", str(path)), 3, "was not trained by Limner")


def test_a_run_goes_on(limner: Limner, data: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "fox.safetensors")
    args = ("tune", "lora", "--data", str(data), "--subject", "sks fox", "--out", out, *QUICK)
    assert limner(*args).exit_code == 0
    same = limner(*args, "--resume")
    assert (same.exit_code, same.stdout.strip()) == (0, out)
    assert "already done at step 2" in same.stderr
    assert "encoding" not in same.stderr
    longer = limner(*args, "--steps", "3", "--resume")
    assert longer.exit_code == 0, longer.stderr
    lines = (tmp_path / "fox.tune" / "journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 3
    other = limner(*args, "--resume", "--warmup", "9")
    assert_refused(other, 3, "warmup was", "is 9")
    slower = limner(*args, "--steps", "4", "--resume", "--lr", "0.0001")  # what the hint after a NaN says
    assert slower.exit_code == 0, slower.stderr
    assert "at a learning rate of 0.0001 instead of 0.0002" in slower.stderr


def test_alone_it_prints_the_help_whole(limner: Limner) -> None:
    alone = limner("tune")
    assert alone.exit_code == 0
    assert alone.stdout == limner("tune", "--help").stdout


@pytest.mark.usefixtures("tried")
def test_of_a_style_it_says_which_pictures_have_no_caption(limner: Limner, data: Path, tmp_path: Path) -> None:
    (data / "00.txt").write_text("a fox")
    args = ("tune", "lora", "--data", str(data), "--style", "inkwash", "--out", str(tmp_path / "ink.safetensors"))
    planned = limner(*args, *QUICK, "--dry-run")
    assert planned.exit_code == 0, planned.stderr
    assert "3 of 4 pictures have no caption: 'inkwash style' alone is said of them" in planned.stderr
