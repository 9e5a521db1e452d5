"""What is counted, refused and kept before a run starts: memory, disk, places, class pictures, names that travel."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from limner import Session
from limner.errors import InvalidRequest, MismatchedWeights, OutOfMemory, StorageError
from limner.models.machine import probe
from limner.models.resolving.resolve import resolve
from limner.sampling.training import Training
from limner.tune import cost, planning
from limner.tune.base import UNET, Base
from limner.tune.foresight import foresee
from limner.tune.layers import adapt
from limner.tune.metadata import _generation
from limner.tune.places import check_out
from limner.tune.planning import plan
from limner.tune.prior import ClassPictures
from limner.tune.state import State
from limner.tune.tuning import prepare
from tests.tuning import SIDE, prepared, settings, trained, write_pictures

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers', of the tiny base's scheduler


def _pocket(session: Session) -> Base:
    return Base.of(resolve("pocket", session.settings, session.catalog))


def test_what_is_foreseen_from_shapes_is_what_a_step_keeps(session: Session) -> None:
    base, asked = _pocket(session), settings(rank=4, batch=2)
    foreseen = foresee(base, asked, 64, pixels=64 * 64)
    unet = base.load(UNET, "cpu", "float32")
    frozen = sum(each.nbytes for each in unet.parameters())
    adapt(unet, UNET, asked)
    owned = {each.untyped_storage().data_ptr() for each in unet.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    cells, config = 64 // base.configs.factor, base.configs.unet
    sample = torch.randn(2, config.in_channels, cells, cells)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        unet(sample, torch.ones(2), torch.randn(2, base.length, config.cross_attention_dim))
    assert foreseen.weights == frozen
    assert foreseen.learnt == sum(each.numel() for each in unet.parameters() if each.requires_grad)
    assert abs(foreseen.kept - sum(kept.values())) < 0.1 * foreseen.kept
    lean = foresee(base, asked.model_copy(update={"checkpointing": True}), 64, pixels=64 * 64)
    assert lean.kept < 0.6 * foreseen.kept


@pytest.mark.usefixtures("tried")
def test_what_does_not_fit_is_refused_before_anything_is_loaded_or_written(
    session: Session, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_pictures(tmp_path / "data"), tmp_path / "runs" / "fox.safetensors"
    asked = settings(model=tiny, prior=2)
    made = plan(asked, data, out, session).cost
    assert made.step_seconds > 0
    assert made.seconds > made.step_seconds * asked.steps
    assert made.memory > made.activations
    assert not out.parent.exists(), "planning writes nothing"

    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be loaded")

    with monkeypatch.context() as patch:
        patch.setattr(planning, "probe", lambda: replace(probe(), ram_available=300 << 20))
        patch.setattr(Base, "load", loaded)
        with pytest.raises(OutOfMemory, match="GiB free") as caught:
            plan(asked, data, out, session)
        assert "--checkpointing" in caught.value.hint
    monkeypatch.setattr(cost, "_trial", _too_large)
    with pytest.raises(OutOfMemory, match="one step") as tried:
        plan(asked, data, out, session)
    assert "--checkpointing" in tried.value.hint


def _too_large(*_: object) -> float:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_place_that_cannot_be_written_to_is_said_first(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"mine")
    with pytest.raises(StorageError, match=r"in the way|could not be written"):
        check_out(file / "x.safetensors", resume=False)
    (tmp_path / "x.tune").write_bytes(b"mine")
    with pytest.raises(StorageError, match="in the way"):
        check_out(tmp_path / "x.safetensors", resume=False)
    check_out(tmp_path / "new" / "deep" / "y.safetensors", resume=False)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.png", "x.tune"]


def test_the_class_is_kept_by_its_own_pictures_and_no_others(session: Session, tiny: str, tmp_path: Path) -> None:
    out, told = tmp_path / "fox.safetensors", list[str]()
    asked, data = settings(model=tiny, prior=2, steps=2), write_pictures(tmp_path / "data")
    tuning = prepare(plan(asked, data, out, session), session)
    tuning.run(stop=lambda: True)
    made, kept = tuning.trainer.networks.data, tuning.planned.kept
    assert {made.texts[k] for k in made.caption[list(made.prior)].tolist()} == {"a fox"}
    assert len(made.prior) == 2
    assert kept is not None
    assert kept.missing() == []
    # A damaged one is drawn again, and is the same: the run goes on.
    kept.paths[1].write_bytes(kept.paths[1].read_bytes()[:300])
    prepare(plan(asked, data, out, session, resume=True), session, tell=told.append).busy.let_go()
    assert any("drawing 1 of 2" in each and "damaged" in each for each in told)
    # Another subject or size has others of its own.
    assert ClassPictures.of("a car", asked, SIDE, session, tuning.folder).missing() == [0, 1]
    assert ClassPictures.of("a fox", asked, 2 * SIDE, session, tuning.folder).missing() == [0, 1]
    # Others than those it was trained on are not gone on with, whole as they may be.
    path = tuning.folder / "state.safetensors"
    state = State.read(path)
    state.facts = {**state.facts, "class": "sha256:other"}
    state.write(path)
    with pytest.raises(MismatchedWeights, match="class pictures"):
        prepare(plan(asked, data, out, session, resume=True), session)


def test_no_path_of_this_machine_is_in_the_file(session: Session, bases: dict[str, Path], tmp_path: Path) -> None:
    tuning = trained(session, tmp_path / "fox.safetensors", model=str(bases["sd1"]), steps=1)
    with safe_open(tuning.out, framework="pt") as file:
        said = file.metadata()
    assert str(bases["sd1"].parent) not in json.dumps(said)
    assert (said["ss_sd_model_name"], tuning.base.name) == ("sd1", "sd1")
    # and the run goes on where the base is called by another path
    spelt = bases["sd1"].parent / ".." / bases["sd1"].parent.name / "sd1"
    prepared(session, tuning.out, model=str(spelt), steps=1, resume=True).busy.let_go()


def test_only_the_larger_stable_diffusion_2_is_called_so(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    base = _pocket(session)
    monkeypatch.setattr(Base, "generation", "sd2")
    for prediction, name in (("epsilon", "sd2"), ("v_prediction", "sd2-v")):
        said = Training.from_json({"_class_name": "DDIMScheduler", "prediction_type": prediction})
        monkeypatch.setattr(Base, "training", said)
        assert _generation(base) == name


def test_pictures_are_read_once_where_they_were_read_already(
    session: Session, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = planning.read_examples(write_pictures(tmp_path / "data"))
    monkeypatch.setattr(planning, "read_examples", None)
    plan(settings(model=tiny), examples, tmp_path / "fox.safetensors", session)
    with pytest.raises(InvalidRequest, match="too few to train on"):
        plan(settings(model=tiny, hold_out=3), examples, tmp_path / "fox.safetensors", session)
