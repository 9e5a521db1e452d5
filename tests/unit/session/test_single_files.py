"""Pictures of a checkpoint in one file are, byte for byte, those of the same checkpoint in a diffusers folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from limner import Request, Session
from limner.config import Settings
from limner.errors import LimnerError
from limner.types import Failed, Made, Pixels, Plan
from tests import singlefiles
from tests.hub_server import HubServer

MAKE: Mapping[str, Callable[[Path], Any]] = {
    "sd1": singlefiles.sd1,
    "sd2": singlefiles.sd2,
    "sdxl": singlefiles.sdxl,
    "refiner": lambda folder: singlefiles.sdxl(folder, refiner=True),
}


class Two:
    """The same weights as a folder and as a file."""

    def __init__(self, place: Path, kind: str) -> None:
        torch.manual_seed(11)
        self.pipe = MAKE[kind](place / "folder")
        self.folder, self.file = place / "folder", singlefiles.write(self.pipe, place / "file" / "any-name.safetensors")


@pytest.fixture(scope="module", params=MAKE)
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Two:
    return Two(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def sd1(tmp_path_factory: pytest.TempPathFactory) -> Two:
    return Two(tmp_path_factory.mktemp("sd1"), "sd1")


def draw(home: Path, model: Path, **said: object) -> tuple[Pixels, Plan]:
    request = Request.of(
        prompt="a (red:1.2) fox in the snow",
        negative="blurry",
        model=str(model),
        seed=3,
        width=48,
        height=32,
        **{"steps": 3, "dtype": "float32", **said},
    )
    with Session(settings=Settings.load(home, {}), keep=False, offline=True) as session:
        events = list(session.generate(request))
        assert not isinstance(events[-1], Failed), events[-1]
        return next(e.image.pixels for e in events if isinstance(e, Made)), session.plan(request)[0]


def codes(plan: Plan) -> set[str]:
    return {notice.code for notice in plan.notices}


def test_file_and_folder_draw_the_same(two: Two, tmp_path: Path) -> None:
    there, _ = draw(tmp_path, two.folder)
    here, plan = draw(tmp_path, two.file)
    assert here.std() > 10
    assert np.array_equal(here, there)
    assert plan.model.files["unet/diffusion_pytorch_model.safetensors"].startswith("sha256:")
    assert "unread-tensors" not in codes(plan)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])  # that reader wants the refiner at its real size
def test_diffusers_reads_the_file_as_the_same_weights(tmp_path: Path, kind: str) -> None:
    """So the tests' own way of writing such files is right."""
    two = Two(tmp_path, kind)
    quiet = {} if kind == "sdxl" else {"safety_checker": None}
    theirs = type(two.pipe).from_single_file(str(two.file), config=str(two.folder), local_files_only=True, **quiet)
    for part in ("unet", "vae", "text_encoder"):  # the second one's sizes are fixed in that reader
        wanted, found = getattr(two.pipe, part).state_dict(), getattr(theirs, part).state_dict()
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_too(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    pipe = singlefiles.sd1(tmp_path / "folder").to(dtype)
    for part in ("unet", "vae", "text_encoder"):
        getattr(pipe, part).save_pretrained(tmp_path / "folder" / part)
    file = singlefiles.write(pipe, tmp_path / "file" / "x.safetensors", dtype=dtype)
    assert np.array_equal(draw(tmp_path, file)[0], draw(tmp_path, tmp_path / "folder")[0])


def test_only_averaged_weights(sd1: Two, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    for part in ("tokenizer",):
        (tmp_path / "f" / part).symlink_to(sd1.file.parent / part)
    state = {name: t.detach().clone().contiguous() for name, t in singlefiles.averaged(sd1.pipe).items()}
    assert not any(name.startswith("model.diffusion_model") for name in state)
    save_file(state, tmp_path / "f" / "ema.safetensors")
    averaged, _ = draw(tmp_path, tmp_path / "f" / "ema.safetensors")
    usual, _ = draw(tmp_path, sd1.folder)
    assert np.array_equal(averaged, usual)


@pytest.mark.parametrize("layout", ["compvis", "diffusers"])
def test_the_autoencoder_beside_the_file(sd1: Two, tmp_path: Path, layout: str) -> None:
    file = singlefiles.write(sd1.pipe, tmp_path / "f" / "x.safetensors", drop="first_stage_model.")
    with pytest.raises(LimnerError, match="no autoencoder") as caught:
        draw(tmp_path, file)
    assert "x.vae.safetensors" in caught.value.hint
    file.with_suffix(".vae.pt").write_bytes(b"a pickle")
    with pytest.raises(LimnerError, match="no autoencoder") as caught:
        draw(tmp_path, file)
    assert "limner models convert" in caught.value.hint
    state = singlefiles.vae(sd1.pipe.vae) if layout == "compvis" else sd1.pipe.vae.state_dict()
    save_file(
        {name: t.detach().clone().contiguous() for name, t in state.items()}, file.with_suffix(".vae.safetensors")
    )
    beside, plan = draw(tmp_path, file)
    usual, _ = draw(tmp_path, sd1.folder)
    assert np.array_equal(beside, usual)
    assert "vae-beside" in codes(plan)


def test_a_pickled_autoencoder_beside_the_file_is_told(sd1: Two, tmp_path: Path) -> None:
    file = singlefiles.write(sd1.pipe, tmp_path / "f" / "x.safetensors")
    file.with_suffix(".vae.pt").write_bytes(b"a pickle")
    with Session(settings=Settings.load(tmp_path, {}), keep=False, offline=True) as session:
        plan = session.plan(Request.of(prompt="a fox", model=str(file)))[0]
    assert "vae-pickle-unused" in codes(plan)


def test_what_is_not_read_is_told(sd1: Two, tmp_path: Path) -> None:
    extra = {
        "betas": torch.zeros(4),
        "model_ema.decay": torch.zeros(()),
        "my.own.thing": torch.zeros(2),
        "model.diffusion_model.another.weight": torch.zeros(2),
    }
    file = singlefiles.write(sd1.pipe, tmp_path / "f" / "x.safetensors", extra=extra)
    _, plan = draw(tmp_path, file)
    (told,) = [notice.message for notice in plan.notices if notice.code == "unread-tensors"]
    assert "2 of its tensors" in told
    assert "my.own.thing" in told


@pytest.mark.parametrize("source", ["settings", "yaml"])
def test_what_stable_diffusion_2_predicts_can_be_said(tmp_path: Path, source: str) -> None:
    torch.manual_seed(5)
    pipe = singlefiles.sd2(tmp_path / "folder", "epsilon")
    file = singlefiles.write(pipe, tmp_path / "f" / "x.safetensors")
    _, guessed = draw(tmp_path, file)
    assert (guessed.recipe.prediction, "prediction" in codes(guessed)) == ("v_prediction", True)
    if source == "settings":
        (tmp_path / "config.toml").write_text(f'[models."{file}"]\nprediction = "epsilon"\n')
    else:
        file.with_suffix(".yaml").write_text(
            "model:\n  params:\n    parameterization: eps\n    linear_start: 0.00085\n"
        )
    here, plan = draw(tmp_path, file)
    there, _ = draw(tmp_path, tmp_path / "folder")
    assert np.array_equal(here, there)
    assert "prediction" not in codes(plan)


def test_a_linked_file_is_found_by_its_name(sd1: Two, tmp_path: Path) -> None:
    from limner.models.links.links import Links

    Links(Settings.load(tmp_path, {})).add(sd1.file)
    named, plan = draw(tmp_path, Path("any-name"))
    usual, _ = draw(tmp_path, sd1.folder)
    assert np.array_equal(named, usual)
    assert plan.model.name == "any-name"


def test_a_repo_that_is_one_file(sd1: Two, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetched at its commit, drawn with as the folder is, found again without the network, and replayed."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    place = sd1.file.parent
    files = {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}
    asked = Request.of(prompt="a red fox", model="org/merge", seed=3, width=48, height=32, steps=2, dtype="float32")
    settings = Settings.load(tmp_path / "home", {})
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.add("org/merge", {**files, "README.md": b"a merge", "preview.png": b"no picture"})
        with Session(settings=settings) as session:
            (picture,) = session.generate(asked).result()
        assert not [name for name in server.fetched() if name.endswith(("README.md", "preview.png"))]
    assert picture.record.model.repo == "org/merge"
    assert picture.record.model.commit
    with Session(settings=settings, offline=True) as session:
        (folder,) = session.generate(asked.but(model=str(sd1.folder))).result()
        assert folder.record.pixel_hash == picture.record.pixel_hash
        assert session.replay(str(picture.id)).verdict == "identical"
