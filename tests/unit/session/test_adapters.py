"""Pictures with adapters: as diffusers draws them, and the same whoever shares a model call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import Module

pytest.importorskip("diffusers")

from limner import Request, Session
from limner.config import Settings
from limner.errors import ModelNotFound, UnsupportedField
from limner.models.adapters.adapt import adapt
from limner.models.family import Files, Placement
from limner.models.inspect import read_json
from limner.models.nets.configs import AutoencoderConfig
from limner.models.sd import StableDiffusion
from limner.sampling.course import Row, Weights
from limner.session.adapting import files_of, lay_over
from limner.types import Adapter, Pixels
from tests import singlefiles
from tests.adapters import files_at, random_changes, write_diffusers, write_kohya
from tests.parity import BOUND, Bench, Subject, cases, distance, named
from tests.parity.adapters import SCALES, Loras
from tests.parity.latents import USUAL
from tests.unit.session.test_pictures import drawn_together

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers", "ignore::FutureWarning")

SHARED_TOLERANCE = 2  # of 255: what sharing a model call may change


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("home")
    with Session(settings=Settings.load(home, {}), keep=False, offline=True) as made:
        yield made


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, session: Session) -> Bench:
    return Bench(tmp_path_factory.mktemp("parity"), session)


@pytest.mark.parametrize("case", list(cases("adapters")), ids=named)
def test_the_picture_diffusers_draws(bench: Bench, case: tuple[Subject, str]) -> None:
    found = distance(*case, bench)
    assert found.spread > 5, "a flat picture would prove nothing"
    assert found.largest <= BOUND


@pytest.mark.parametrize("base", ["sd", "sdxl"])
def test_the_picture_diffusers_draws_with_its_own_loader(bench: Bench, base: str) -> None:
    pytest.importorskip("peft")
    subject = ByTheirLoader("two LoRA", base)
    ours, theirs = subject.ours(bench, "euler"), subject.theirs(bench, "euler")
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= BOUND
    plain = Request.of(**{**USUAL, "model": str(subject.folder(bench)), "solver": "euler"})
    assert np.abs(ours.astype(int) - drawn(bench.session, plain)).max() > 20


class ByTheirLoader(Loras):
    """Both files in diffusers' names, which its loader takes convolutions' LoRA in too."""

    def prepare(self, bench: Bench) -> None:
        super().prepare(bench)
        for name, changes in zip(("one", "two"), self.changes(bench), strict=True):
            write_diffusers(self.models(bench, "loras") / f"{name}.safetensors", changes)

    def pipeline(self, bench: Bench) -> object:
        pipe = self.load(self.folder(bench))
        for name in ("one", "two"):
            pipe.load_lora_weights(self.models(bench, "loras") / f"{name}.safetensors", adapter_name=name)
        pipe.set_adapters(["one", "two"], adapter_weights=list(SCALES))
        return pipe


def drawn(session: Session, request: Request) -> Pixels:
    (image,) = session.generate(request).result()
    return image.pixels.astype(int)


def test_different_scales_share_a_call_and_draw_what_each_draws_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Loras("two LoRA", "sd")
    subject.prepare(bench)
    calls = counted(monkeypatch)
    common = {**USUAL, "model": str(subject.folder(bench)), "steps": 12, "solver": "euler"}
    requests = [Request.of(**common, loras=(f"one:{scale}", "two:0.5")) for scale in (0.2, 0.9, -0.4)]
    with Session(settings=bench.session.settings, keep=False, offline=True, batching="shared") as session:
        images = drawn_together(session, requests)
        together = [image.pixels.astype(int) for (image,) in images]
    assert len({image.record.identity for (image,) in images}) == 3
    assert max(calls) > 2, "no call was shared"
    for request, pixels in zip(requests, together, strict=True):
        alone = drawn(bench.session, request)
        assert np.abs(pixels - alone).max() <= SHARED_TOLERANCE
    assert np.abs(together[0] - together[1]).max() > 5


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each call of a UNet had."""
    from limner.engine.runner import TorchRunner

    calls: list[int] = []
    forward = TorchRunner.forward

    def counting(self: TorchRunner, rows: Sequence[Row], **more: bool) -> object:
        if rows[0].weights.part == "unet":
            calls.append(len(rows))
        return forward(self, rows, **more)

    monkeypatch.setattr(TorchRunner, "forward", counting)
    return calls


def test_plain_and_adapted_requests_share_one_copy_of_the_weights(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Loras("two LoRA", "sd")
    subject.prepare(bench)
    common = {**USUAL, "model": str(subject.folder(bench)), "steps": 2}
    loaded: list[str] = []
    load = StableDiffusion.load

    def spy(self: StableDiffusion, weights: Weights, files: Files, placement: Placement) -> Module:
        loaded.append(weights.part)
        return load(self, weights, files, placement)

    monkeypatch.setattr(StableDiffusion, "load", spy)
    with Session(settings=bench.session.settings, keep=False, offline=True) as session:
        for loras in ((), ("one:1",), ("two:1",), ()):
            drawn(session, Request.of(**common, loras=loras))
    assert sorted(loaded) == ["text_encoder", "unet", "vae"]


def test_a_family_without_adapters_refuses_the_tag_and_takes_no_word_for_a_vector(session: Session) -> None:
    with pytest.raises(UnsupportedField, match="'one'"):
        lay_over(Request.of(prompt="a fox <lora:one:1>"), session.settings, frozenset())
    assert lay_over(Request.of(prompt="a fox"), session.settings, frozenset()).adapters == ()


def test_a_plan_made_elsewhere_says_what_is_missing(session: Session) -> None:
    missing = Adapter(kind="lora", name="far", hash="sha256:" + "0" * 64)
    with pytest.raises(ModelNotFound, match="'far' with the hash 0000000000 is not on this machine"):
        files_of((missing,), session.settings)


def test_a_plan_before_the_download_says_that_a_lora_is_unchecked(bench: Bench) -> None:
    subject = Loras("two LoRA", "sd")
    subject.prepare(bench)
    files = files_at(subject.folder(bench))
    small = Files(files.root, {name: path for name, path in files.paths.items() if path.suffix == ".json"})
    request = Request.of(prompt="a fox", loras=("one",))
    laid = lay_over(request, bench.session.settings, frozenset({"loras"}))
    vae = AutoencoderConfig.from_json(read_json(files.paths["vae/config.json"]))
    (notice,) = adapt(laid.adapters, replace(small, extras=laid.extras), "tiny", vae).notices
    assert notice.code == "lora-unchecked"
    assert adapt(laid.adapters, replace(files, extras=laid.extras), "tiny", vae).notices == ()


def test_a_checkpoint_in_one_file_wears_them_as_its_folder_does(tmp_path: Path, session: Session) -> None:
    torch.manual_seed(4)
    pipe = singlefiles.sd1(tmp_path / "folder")
    lone = singlefiles.write(pipe, tmp_path / "lone.safetensors")
    loras = session.settings.data / "models" / "loras"
    write_kohya(loras / "all.safetensors", random_changes(tmp_path / "folder", wanted=lambda part, name: True))
    common = {**USUAL, "width": 32, "height": 32, "steps": 2}
    folder, file, plain = (
        drawn(session, Request.of(**common, model=str(model), loras=names))
        for model, names in ((tmp_path / "folder", ("all:0.7",)), (lone, ("all:0.7",)), (lone, ()))
    )
    assert np.array_equal(folder, file)
    assert not np.array_equal(file, plain)
