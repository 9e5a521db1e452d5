"""Training runs end in a file that others read, go on exactly where they were stopped, and lose nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

pytest.importorskip("peft")

from limner import Session
from limner.errors import InvalidRequest, MismatchedWeights, StorageError
from limner.tune import loop
from limner.tune.metadata import RECORD
from limner.tune.told import read_told
from tests.tuning import prepared, trained, write_pictures

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers', of the tiny base's scheduler


def test_what_is_learnt_lowers_the_loss_of_what_it_is_trained_on(session: Session, tmp_path: Path) -> None:
    tuning = prepared(session, tmp_path / "fox.safetensors", steps=24, batch=3, rank=8, check_every=24)
    networks = tuning.trainer.networks
    batch = loop.batch_at(networks.data, 999, 0, size=8, parts=1, seed=5, timesteps=1000, drop=0.0, prior_weight=1.0)
    with torch.no_grad():
        before = float(networks.loss(batch))
        tuning.run()
        after = float(networks.loss(batch))
    assert after < 0.8 * before


def test_the_file_says_what_it_was_trained_on_and_how(session: Session, tiny: str, tmp_path: Path) -> None:
    tuning = trained(session, tmp_path / "fox.safetensors", model=tiny, alpha=1.0)
    with safe_open(tuning.out, framework="pt") as file:
        said = file.metadata()
    assert said["ss_network_module"] == "networks.lora"
    assert (said["ss_network_dim"], said["ss_network_alpha"]) == ("2", "1.0")
    assert said["modelspec.trigger_phrase"] == "sks fox"
    assert len(said["sshs_model_hash"]) == 64
    record = json.loads(said[RECORD])
    assert record["base"]["hash"] == tuning.base.hash
    assert {each["hash"] for each in record["data"]} == {each.hash for each in tuning.examples.found}
    assert not any(each["held_out"] for each in record["data"])
    assert record["settings"]["lr"] == 1e-2
    assert record["run"]["steps"] == 4


@pytest.mark.parametrize("more", [{}, {"ema": 0.9}, {"hold_out": 1}, {"targets": ("attention", "conv", "text")}])
def test_a_run_that_was_stopped_goes_on_to_the_very_file_that_one_run_makes(
    session: Session, tiny: str, tmp_path: Path, more: dict[str, object]
) -> None:
    data = write_pictures(tmp_path / "data")
    whole = trained(session, tmp_path / "whole.safetensors", model=tiny, data=data, **more)
    out = tmp_path / "parts.safetensors"
    first = prepared(session, out, model=tiny, data=data, **more)
    assert first.run(stop=lambda: first.trainer.step == 3).why == "stopped"
    assert out.is_file()
    second = prepared(session, out, model=tiny, data=data, resume=True, **more)
    assert second.trainer.step == 3
    second.run()
    ours, theirs = load_file(whole.out), load_file(out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    steps = [json.loads(line)["step"] for line in (second.folder / "journal.jsonl").read_text().splitlines()]
    assert [step for step in steps if step] == sorted(step for step in steps if step)


def test_another_base_other_pictures_or_other_settings_are_refused_by_name(
    session: Session, tiny: str, tmp_path: Path
) -> None:
    out = tmp_path / "fox.safetensors"
    tuning = prepared(session, out, model=tiny)
    tuning.run(stop=lambda: True)
    state = (tuning.folder / "state.safetensors").read_bytes()
    with pytest.raises(MismatchedWeights, match="rank was 2, is 3"):
        prepared(session, out, model=tiny, resume=True, rank=3)
    write_pictures(out.parent / "data", 5)
    with pytest.raises(MismatchedWeights, match="pictures or captions"):
        prepared(session, out, model=tiny, resume=True)
    assert (tuning.folder / "state.safetensors").read_bytes() == state


def test_nothing_is_written_over(session: Session, tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "fox.safetensors"
    trained(session, out, model=tiny)
    with pytest.raises(InvalidRequest, match="holds a run already"):
        prepared(session, out, model=tiny)
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"mine")
    with pytest.raises(InvalidRequest, match="exists"):
        prepared(session, other, model=tiny)
    assert other.read_bytes() == b"mine"


def test_a_full_disk_keeps_the_state_before(
    session: Session, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = prepared(session, tmp_path / "fox.safetensors", model=tiny, steps=6)
    state = tuning.folder / "state.safetensors"
    kept: list[bytes] = []

    def full(self: object, path: Path) -> None:
        raise StorageError(f"the disk is full: {path}", hint="free some space")

    def looked(step: int) -> None:
        kept.append(state.read_bytes())
        monkeypatch.setattr(loop.State, "write", full)

    with pytest.raises(StorageError, match="disk is full"):
        tuning.run(looked=looked)
    monkeypatch.undo()
    assert state.read_bytes() == kept[0]
    again = prepared(session, tuning.out, model=tiny, steps=6, resume=True)
    assert again.trainer.step == 2
    assert again.run().why == "done"


def test_held_out_pictures_choose_the_weights_and_the_end(session: Session, tmp_path: Path) -> None:
    """At such a rate the first steps only harm: the run ends early, with the weights it began with."""
    more: dict[str, object] = {"hold_out": 2, "lr": 0.5, "steps": 40, "patience": 2, "warmup": 0}
    tuning = prepared(session, tmp_path / "fox.safetensors", **more)
    ended = tuning.run()
    assert (ended.why, ended.best) == ("early", 0)
    assert ended.step < 40
    told = read_told(tuning.out)
    held = {tuning.examples.found[row].hash for row in tuning.trainer.networks.data.held}
    assert told.held == held
    assert len(held) == 2
    ups = [value for name, value in load_file(tuning.out).items() if name.endswith("lora_up.weight")]
    assert all(not each.any() for each in ups)


def test_gradients_are_the_same_with_less_memory(session: Session, tiny: str, tmp_path: Path) -> None:
    plain = trained(session, tmp_path / "a.safetensors", model=tiny, batch=2)
    lean = trained(session, tmp_path / "b.safetensors", model=tiny, batch=2, checkpointing=True)
    for one, other in zip(plain.trainer.values.values(), lean.trainer.values.values(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_the_trained_file_changes_pictures_in_a_session(tmp_path: Path) -> None:
    with Session(keep=False, offline=True, scored=False) as session:
        folder = session.settings.data / "models" / "loras"
        out = folder / "fox.safetensors"
        trained(session, out, data=write_pictures(tmp_path / "data"), steps=6, lr=0.05)
        small = {"width": SIDE, "height": SIDE, "steps": 2, "seed": 1}
        plain = session.draw("a sks fox", **small)
        tuned = session.draw("a sks fox", loras=("fox",), **small)
    assert np.abs(plain.pixels.astype(int) - tuned.pixels.astype(int)).max() > 8
    assert not [each for each in tuned.record.notices if each.code == "lora-keys"]


SIDE = 32
