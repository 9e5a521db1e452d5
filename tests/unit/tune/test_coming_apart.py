"""Training that comes apart, disks that are full, runs that go on: nothing is lost, and nothing is a dead end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from limner import Session
from limner.errors import InvalidRequest, NonFinite, StorageError
from limner.tune.settings import TuneSettings
from limner.tune.state import State
from tests.tuning import prepared, settings, trained

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers', of the tiny base's scheduler

WILD: dict[str, object] = {
    "targets": ("conv",),
    "rank": 1,
    "alpha": 1000.0,
    "batch": 1,
    "warmup": 0,
    "min_snr": 0,
    "steps": 4,
}


def test_training_that_comes_apart_goes_back_to_where_it_was_whole_and_ends_well(
    session: Session, tmp_path: Path
) -> None:
    """Nothing is faked: at a rate of 1 the last loss is still a number, and no learning any more."""
    out = tmp_path / "fox.safetensors"
    tuning = prepared(session, out, **{**WILD, "lr": 1e-4, "steps": 2})
    tuning.run()
    whole, file = State.read(tuning.folder / "state.safetensors"), load_file(out)
    again = prepared(session, out, resume=True, **{**WILD, "lr": 1.0})
    with pytest.raises(NonFinite, match=r"the loss .* at step [34]; the weights of step 2 are kept") as caught:
        again.run()
    assert "--resume --lr 0.3" in caught.value.hint
    kept = State.read(tuning.folder / "state.safetensors")
    assert (kept.step, kept.turn) == (2, 1)
    assert all(torch.equal(kept.groups["now"][name], each) for name, each in whole.groups["now"].items())
    assert all(torch.equal(load_file(out)[name], each) for name, each in file.items())
    after = prepared(session, out, resume=True, **{**WILD, "lr": 1e-4})
    assert after.run().why == "done"
    assert after.trainer.journal.losses[-1][1] < 10


def test_where_going_back_led_nowhere_it_goes_back_further() -> None:
    values = {"unet.a.up": torch.ones(1)}
    groups = {"now": values, "first": values, "mean": values, "best": values}
    state = State(8, groups, {}, [(0, 3.0), (4, 1.0), (8, 2.0)], 4)
    once = state.gone_back()
    assert (once.step, once.turn, once.groups) == (8, 1, groups)
    twice = once.gone_back()
    assert (twice.step, twice.turn, twice.held) == (4, 2, [(0, 3.0), (4, 1.0)])
    assert set(twice.groups) == {"now", "mean", "best"}
    begun = twice.gone_back()
    assert (begun.step, begun.turn, begun.groups, begun.best) == (0, 3, {}, None)
    assert begun.gone_back().turn == 4


def test_other_things_are_drawn_by_lot_after_going_back(session: Session, tiny: str, tmp_path: Path) -> None:
    tuning = prepared(session, tmp_path / "fox.safetensors", model=tiny)
    first = tuning.trainer._batch(5, 0)
    tuning.trainer.turn = 1
    assert not torch.equal(first.noise, tuning.trainer._batch(5, 0).noise)


def test_a_model_that_is_broken_from_the_start_is_not_said_to_go_on(
    session: Session, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = prepared(session, tmp_path / "fox.safetensors", model=tiny)
    monkeypatch.setattr(tuning.trainer.networks, "loss", lambda batch: torch.tensor(float("nan")))
    with pytest.raises(NonFinite, match="before anything was learnt") as caught:
        tuning.run()
    assert "--resume" not in caught.value.hint
    assert not tuning.out.exists()


def test_a_disk_that_is_full_from_the_start_leaves_nothing_in_the_way(
    session: Session, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: object, path: Path) -> None:
        raise StorageError(f"the disk is full: {path}", hint="free some space")

    tuning = prepared(session, tmp_path / "fox.safetensors", model=tiny, steps=2)
    with monkeypatch.context() as patch:
        patch.setattr(State, "write", full)
        with pytest.raises(StorageError):
            tuning.run()
    assert not tuning.out.exists()
    assert trained(session, tuning.out, model=tiny, steps=2).out.is_file()


def test_going_on_after_an_early_end_gives_it_as_much_patience_again(
    session: Session, tiny: str, tmp_path: Path
) -> None:
    more: dict[str, object] = {"model": tiny, "hold_out": 2, "steps": 40, "patience": 2, "check_every": 1, "lr": 1e-9}
    out = tmp_path / "fox.safetensors"
    first = prepared(session, out, **more)
    first.trainer.held = [(0, 0.0)]  # a loss that no look betters
    begun = first.run()
    assert (begun.why, begun.step) == ("early", 2)
    assert prepared(session, out, resume=True, **more).run().step == 4


def test_a_run_of_which_only_the_beginning_was_saved_looks_there_once(
    session: Session, tiny: str, tmp_path: Path
) -> None:
    more: dict[str, object] = {"model": tiny, "hold_out": 1, "steps": 2}
    out = tmp_path / "fox.safetensors"
    with pytest.raises(KeyboardInterrupt):
        prepared(session, out, **more).run(told=_interrupted)
    again = prepared(session, out, resume=True, **more)
    assert again.trainer.step == 0
    again.run()
    assert [step for step, _ in again.trainer.held] == [0, 2]


def _interrupted(step: int, loss: float) -> None:
    raise KeyboardInterrupt


def test_two_runs_do_not_write_to_one_place(session: Session, tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "fox.safetensors"
    running = prepared(session, out, model=tiny, steps=1)
    with pytest.raises(InvalidRequest, match="another run writes to"):
        prepared(session, out, model=tiny, steps=1)
    running.run()
    prepared(session, out, model=tiny, steps=2, resume=True).busy.let_go()


def test_a_longer_run_cannot_go_on_as_a_shorter_one(session: Session, tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "fox.safetensors"
    trained(session, out, model=tiny, steps=2)
    before = out.read_bytes()
    with pytest.raises(InvalidRequest, match="at step 2 already"):
        prepared(session, out, model=tiny, steps=1, resume=True)
    assert out.read_bytes() == before


def test_the_same_settings_spelt_otherwise_are_the_same() -> None:
    one = settings(rank=16, targets=("attention", "ff"), subject="sks  fox").decisive(64, 1)
    mended = {"model": "./pocket", "alpha": 16.0, "targets": ("ff", "attention"), "lr": 1e-5, "text_lr": 1e-6}
    assert settings(rank=16, **mended).decisive(64, 1) == one
    assert settings(rank=16, size=64, hold_out=1).decisive(64, 1) == one
    assert settings(rank=16, alpha=8.0).decisive(64, 1) != one


@pytest.mark.parametrize("blank", [{"subject": " "}, {"style": ""}, {"samples": ("a fox", "")}])
def test_blank_words_are_refused(blank: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="no words"):
        TuneSettings.of(model="pocket", **blank)
