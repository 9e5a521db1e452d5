"""A picture is drawn again from its Record alone: not from today's settings, nor from files that came since."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, ModelNotFound, UnsupportedField
from limner.image import Image
from limner.types import Plan

FOX = Request(prompt="a red fox", seed=1, steps=2, width=32, height=32)
HOSTILE = """[defaults]
negative = "ugly bad cat"
clip_skip = 2
hires = 2.0
hires_strength = 0.9
compat = "a1111"
loras = ["gone"]
noise_source = "philox"
variation = 0.5
styles = ["gone"]
tiled = true
[models.pocket]
guidance = 1.0
schedule = "karras"
"""
ENVIRONMENT = {
    "LIMNER_NEGATIVE": "ugly bad cat",
    "LIMNER_CLIP_SKIP": "2",
    "LIMNER_HIRES": "2",
    "LIMNER_COMPAT": "a1111",
    "LIMNER_LORAS": "gone",
    "LIMNER_MORPH_TO": "a blue cat",
    "LIMNER_STEPS": "7",
}


def settings(home: Path, config: str = "", **env: str) -> Settings:
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(config)
    return Settings.load(home, env)


def drawn(home: Path, request: Request, config: str = "", **env: str) -> Image:
    with Session(settings=settings(home, config, **env), offline=True, scored=False) as session:
        return session.generate(request).result()[0]


def plan(made: Session, request: Request) -> Plan:
    (only,) = made.plan(request)
    return only


@pytest.mark.parametrize(
    "request_", [FOX, FOX.but(negative=""), FOX.but(negative="snow", guidance=3)], ids=["unset", "empty", "said"]
)
@pytest.mark.parametrize("env", [{}, ENVIRONMENT], ids=["config", "environment"])
def test_todays_settings_add_nothing_to_a_picture_of_then(
    tmp_path: Path, request_: Request, env: dict[str, str]
) -> None:
    path = drawn(tmp_path, request_).path
    assert path is not None
    with Session(settings=settings(tmp_path, HOSTILE if not env else "", **env), offline=True) as session:
        found = session.replay(path)
    assert found.verdict == "identical"
    assert found.image.record.identity == session.record_of(path)[0].identity


def test_an_empty_negative_of_then_stays_empty(tmp_path: Path) -> None:
    """It was said against the settings, and they still say the same."""
    config = '[defaults]\nnegative = "ugly bad cat"\n'
    image = drawn(tmp_path, FOX.but(negative=""), config)
    assert image.record.negative == ""
    with Session(settings=settings(tmp_path, config), offline=True) as session:
        assert session.replay(image.path or "").verdict == "identical"


def test_where_the_device_of_then_is_not_here_the_settings_say_which(tmp_path: Path) -> None:
    record = drawn(tmp_path, FOX).record
    elsewhere = record.model_copy(update={"request": record.request.but(device="cuda:9", dtype="bfloat16")})
    with Session(settings=settings(tmp_path, HOSTILE, LIMNER_DTYPE="float32"), offline=True) as session:
        (again,) = session.plan_again(elsewhere)
    assert (again.device, again.numerics.dtype) == ("cpu", "float32")
    assert again.notices[-1].code == "other-device"
    assert "negative" in again.recipe.prompts
    assert again.negative == ""


def test_settings_a_model_cannot_honour_are_left_out_and_named(tmp_path: Path) -> None:
    config = "[defaults]\ntop_k = 20\n[models.pocket]\ntemperature = 0.5\n"
    image = drawn(tmp_path, FOX, config, LIMNER_TOP_P="0.5")
    (notice,) = (each for each in image.record.notices if each.code == "settings-unused")
    for part in ("pocket", "top_k (config.toml:2)", "temperature (config.toml:4)", "top_p (environment LIMNER_TOP_P)"):
        assert part in notice.message
    assert {getattr(image.record.request, name) for name in ("top_k", "top_p", "temperature")} == {None}
    with Session(settings=settings(tmp_path, config), offline=True) as session:
        assert session.replay(image.path or "").verdict == "identical"
        assert "settings-unused" not in [each.code for each in session.replay(image.path or "").image.record.notices]
        with pytest.raises(UnsupportedField, match="'top_k'"):
            session.plan(FOX.but(top_k=5))


def test_settings_that_wait_for_another_field_are_kept_for_when_it_comes(tmp_path: Path) -> None:
    config = "[defaults]\nhires_strength = 0.75\nstrength = 0.3\nvariation_seed = 4\n"
    with Session(settings=settings(tmp_path, config), offline=True) as session:
        alone, larger = plan(session, FOX), plan(session, FOX.but(hires=2))
    assert (alone.request.hires_strength, alone.request.strength, alone.request.variation_seed) == (None, None, None)
    assert not alone.notices or "settings-unused" not in [each.code for each in alone.notices]
    assert larger.request.hires_strength == 0.75
    with Session(settings=settings(tmp_path, "[defaults]\nhires = 2.0\n"), offline=True) as session:
        assert plan(session, Request(**FOX.model_dump(exclude_unset=True), hires_strength=0.75)).recipe.second


def test_a_record_that_holds_what_its_model_never_heeded_is_drawn_again(tmp_path: Path) -> None:
    image = drawn(tmp_path, FOX)
    changed = image.record.request.but(top_k=5, hires_strength=0.5)
    with Session(settings=settings(tmp_path), offline=True) as session:
        (again,) = session.plan_again(image.record.model_copy(update={"request": changed}))
    assert again.identity == image.record.identity


@pytest.mark.parametrize(
    ("fields", "named"),
    [({"morph": 0.5}, "morph_to"), ({"morph_to": "a cat"}, "morph"), ({"variation_seed": 3}, "variation")],
    ids=["morph", "morph_to", "variation_seed"],
)
def test_a_share_of_nothing_is_refused(tmp_path: Path, fields: dict[str, object], named: str) -> None:
    asked = {"prompt": "a red fox", "seed": 1, **fields}
    with Session(settings=settings(tmp_path), offline=True, keep=False) as session:
        with pytest.raises(InvalidRequest, match=f"{next(iter(fields))}: .*{named}, and there is none"):
            session.plan(Request.of(**asked))
        session.plan(Request.of(**asked, morph=0.0) if "morph_to" in fields else Request.of(prompt="a fox"))
        session.plan(Request.of(prompt="a fox", variation=0.0, variation_seed=3))


def embed(home: Path, name: str, seed: int = 0) -> Path:
    folder = home / "models" / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    made = torch.Generator().manual_seed(seed)
    save_file({"emb_params": torch.randn(2, 256, generator=made)}, str(folder / f"{name}.safetensors"))
    return folder / f"{name}.safetensors"


def test_an_inversion_that_came_since_is_not_taken_for_a_word_of_then(tmp_path: Path) -> None:
    image = drawn(tmp_path, FOX)
    embed(tmp_path, "fox")
    with Session(settings=settings(tmp_path), offline=True) as session:
        assert session.replay(image.path or "").verdict == "identical"
        assert plan(session, FOX).identity != image.record.identity, "a new picture does take it"


def test_an_inversion_of_then_is_found_by_its_hash_or_refused_by_name(tmp_path: Path) -> None:
    file = embed(tmp_path, "glim")
    image = drawn(tmp_path, FOX.but(prompt="a red glim"))
    assert [each.message for each in image.record.notices if each.code == "embedding"] == [
        "the word 'glim' stands for the textual inversion here"
    ]
    shutil.move(file, file.with_name("renamed.safetensors"))
    with Session(settings=settings(tmp_path), offline=True) as session:
        assert session.replay(image.path or "").verdict == "identical"
    file.with_name("renamed.safetensors").unlink()
    with (
        Session(settings=settings(tmp_path), offline=True) as session,
        pytest.raises(ModelNotFound, match="textual inversion 'glim'"),
    ):
        session.replay(image.path or "")
    embed(tmp_path, "glim", seed=1)
    with Session(settings=settings(tmp_path), offline=True) as session, pytest.raises(ModelNotFound, match="'glim'"):
        session.replay(image.path or "")


def test_a_prompt_of_an_inversion_alone_is_known(tmp_path: Path) -> None:
    embed(tmp_path, "glim")
    with Session(settings=settings(tmp_path), offline=True, keep=False) as session:
        codes = [each.code for each in plan(session, FOX.but(prompt="glim")).notices]
        others = [each.code for each in plan(session, FOX.but(prompt="🦊")).notices]
    assert "embedding" in codes
    assert "no-known-word" not in codes
    assert "no-known-word" in others
