"""A model made of a built-in one by a LoRA of its own: drawn, recorded, replayed and listed as any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

pytest.importorskip("diffusers")

from limner import Request, Session
from limner.config import Settings
from limner.errors import MismatchedWeights, ModelNotFound, UnsupportedField
from limner.image import Image
from limner.models import catalog
from limner.models.catalog import OWN_LORA, Card, Catalog
from limner.models.hashes import Hashes
from limner.models.machine import probe
from limner.models.resolving.resolve import resolve
from limner.models.state import files_here, state
from limner.tune.base import Base
from limner.types import Plan
from tests import turbo
from tests.faces.calling import Limner, limner_in, said

SMALL = {"prompt": "a red fox", "seed": 1, "width": 64, "height": 64, "dtype": "float32"}
AS_TURBO = {"steps": 4, "guidance": 1.0, "solver": "lcm"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return turbo.write(tmp_path_factory.mktemp("turbo"))


@pytest.fixture
def folder(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the LoRA lies that the catalog's card names."""
    made = tmp_path / "adapter"
    made.mkdir()
    shutil.copy(written, made)
    cards = turbo.cards(made)
    monkeypatch.setattr(catalog, "_built_in", lambda: cards)
    return made


@pytest.fixture
def session(folder: Path, own_home: Path) -> Iterator[Session]:
    with Session(settings=Settings.load(own_home, {}), offline=True, scored=False) as made:
        yield made


@pytest.fixture
def limner(folder: Path, own_home: Path) -> Limner:
    return limner_in(own_home)


def planned(session: Session, **fields: object) -> Plan:
    (plan,) = session.plan(Request.of(**{**SMALL, "model": turbo.NAME, **fields}))
    return plan


def drawn(session: Session, **fields: object) -> Image:
    return session.run([planned(session, **fields)]).result()[0]


def linked(session: Session, folder: Path, name: str) -> None:
    """The LoRA's file as one of the user's own too."""
    loras = session.settings.data / "models" / "loras"
    loras.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / Path(OWN_LORA).name, loras / f"{name}.safetensors")


def test_it_draws_in_four_steps_without_guidance_at_the_times_it_was_taught(session: Session) -> None:
    plan = planned(session)
    assert plan.recipe.solver == "lcm"
    assert plan.recipe.guidance == 1.0
    assert [level[2] for level in plan.recipe.levels] == [999, 759, 499, 259, 0]
    assert plan.recipe.prediction == "v_prediction"
    assert [plan.origins[name] for name in ("steps", "guidance", "solver")] == ["card"] * 3
    assert [notice.code for notice in plan.notices] == ["far-from-native-size"]


@pytest.mark.parametrize(("guidance", "said"), [(1.0, False), (None, False), (4.0, True)])
def test_guidance_that_it_was_not_made_for_is_said(session: Session, guidance: float | None, said: bool) -> None:
    codes = [notice.code for notice in planned(session, guidance=guidance).notices]
    assert ("guidance-unwanted" in codes) is said


def test_its_lora_is_one_of_its_files_and_none_of_the_requests_adapters(session: Session, folder: Path) -> None:
    plan, plain = planned(session), planned(session, model="pocket", **AS_TURBO)
    path = folder / Path(OWN_LORA).name
    tagged = Hashes(session.settings.cache_root).of([path])[path]
    assert plan.model.name == plan.request.model == turbo.NAME
    assert dict(plan.model.files) == {**plain.model.files, OWN_LORA: tagged}
    assert plan.adapters == ()
    assert plan.request.loras == ()
    assert plan.identity != plain.identity


def test_the_picture_is_that_of_pocket_with_the_lora_laid_over_it(session: Session, folder: Path) -> None:
    linked(session, folder, "same")
    own = drawn(session)
    by_hand = drawn(session, model="pocket", loras=("same:1",), **AS_TURBO)
    plain = drawn(session, model="pocket", **AS_TURBO)
    assert own.record.pixel_hash == by_hand.record.pixel_hash != plain.record.pixel_hash


def test_a_lora_of_the_users_comes_on_top(session: Session, folder: Path) -> None:
    linked(session, folder, "same")
    both = drawn(session, loras=("same:-1",))
    plain = drawn(session, model="pocket", **AS_TURBO)
    assert [(each.name, each.scale) for each in both.record.adapters] == [("same", -1.0)]
    apart = np.abs(both.pixels.astype(int) - plain.pixels.astype(int))
    assert apart.max() <= 1, "what the model wears and its opposite come to nothing"


def test_no_image_check_is_asked_for_what_the_card_vouches_for(session: Session, folder: Path) -> None:
    linked(session, folder, "same")
    assert not session._checking.looking.needed(planned(session))
    assert session._checking.looking.needed(planned(session, loras=("same:1",)))


def test_a_picture_is_drawn_again_the_same(session: Session) -> None:
    image = drawn(session)
    assert image.id is not None
    replay = session.replay(image.id)
    assert (replay.verdict, replay.reasons) == ("identical", ())


def test_another_lora_is_another_model(session: Session, folder: Path) -> None:
    image = drawn(session)
    assert image.id is not None
    turbo.write(folder, seed=1)
    with pytest.raises(MismatchedWeights, match=OWN_LORA):
        session.replay(image.id)
    replay = session.replay(image.id, any_weights=True)
    assert replay.verdict != "identical"
    assert f"the weights of {turbo.NAME} are not the same files as then" in replay.reasons


def test_one_that_does_not_fit_is_refused(session: Session, folder: Path) -> None:
    path = folder / Path(OWN_LORA).name
    save_file({name: torch.zeros(4, 4) for name in load_file(path)}, path)
    with pytest.raises(MismatchedWeights, match="does not fit"):
        drawn(session)


def test_without_its_lora_it_is_not_here(session: Session, folder: Path) -> None:
    card = session.catalog.get(turbo.NAME)
    assert state(card, probe()).here
    (folder / Path(OWN_LORA).name).unlink()
    assert not state(card, probe()).here
    with pytest.raises(ModelNotFound, match=turbo.NAME):
        planned(session)


def test_what_a_built_in_card_says_of_its_size_is_true() -> None:
    for card in (each for each in Catalog.load().cards if each.built_in):
        parts = [path for name, path in files_here(card).items() if "/" in name]
        assert card.size_bytes == sum(path.stat().st_size for path in parts), card.name


def test_only_a_built_in_model_has_one() -> None:
    with pytest.raises(ValidationError, match="adapter"):
        Card(name="x", title="x", family="sd", repo="org/x", adapter="pocket_turbo")


def test_a_lora_is_trained_on_the_model_below(session: Session) -> None:
    with pytest.raises(UnsupportedField, match=turbo.NAME):
        Base.of(resolve(turbo.NAME, session.settings, Catalog.load()))


def test_the_command_line_tells_what_it_is(limner: Limner, folder: Path, tmp_path: Path) -> None:
    listed = said(limner("models", "list", "--here", "--json"))
    assert isinstance(listed, list)
    (mine,) = (each for each in listed if each["name"] == turbo.NAME)
    assert (mine["here"], mine["fetch_bytes"], mine["steps"]) == (True, 0, 4)
    shown = limner("models", "show", turbo.NAME)
    assert shown.exit_code == 0, shown.stderr
    assert "always worn, over pocket" in shown.stdout
    assert "built in" in shown.stdout
    assert "LoRA" not in limner("models", "show", "pocket").stdout
    assert "nothing to fetch" in limner("models", "pull", turbo.NAME).stdout
    checked = said(limner("models", "check", turbo.NAME, "--json"))
    assert isinstance(checked, list)
    assert OWN_LORA in {each["name"] for each in checked[0]["files"]}
    assert limner("models", "lock", turbo.NAME, "-o", str(tmp_path / "lock")).exit_code == 0
    assert OWN_LORA in (tmp_path / "lock").read_text()


def test_diffusers_draws_the_same(limner: Limner, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    limner("models", "verify", turbo.NAME, "--size", "64x64", "--steps", "2", "-o", str(tmp_path / "out"))
    (file,) = (tmp_path / "out").glob("*.json")
    report = json.loads(file.read_text())
    assert [each["program"] for each in report["drawings"]] == ["limner", "diffusers"]
    assert max(each["largest"] for each in report["differences"]) <= 2
