"""A pipeline that is in memory already: drawn with as it is, with Records, events, a library and replay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler

from limner import Request, Session
from limner.config import Settings
from limner.errors import (
    DeviceError,
    InvalidRequest,
    MismatchedWeights,
    ModelError,
    ModelNotFound,
    Refused,
    UnsupportedField,
)
from limner.types import Cancelled, Pixels, Step
from tests.pipelines import MAKERS, make

PROMPT = "a red fox in the snow"
SMALL: dict[str, object] = {"width": 32, "height": 48, "steps": 3, "seed": 5}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load(tmp_path / "home", {})


@pytest.fixture
def pipe() -> DiffusionPipeline:
    return make("StableDiffusionPipeline")


@pytest.fixture
def session(settings: Settings, pipe: DiffusionPipeline) -> Iterator[Session]:
    with Session.from_pipeline(pipe, settings=settings) as made:
        yield made


def by_hand(pipe: DiffusionPipeline, seed: int = 5, **arguments: object) -> Pixels:
    seeded = torch.Generator("cpu").manual_seed(seed)
    called = {"width": 32, "height": 48, "num_inference_steps": 3, **arguments}
    (image,) = pipe(PROMPT, generator=seeded, **called).images
    pixels: Pixels = np.asarray(image)
    return pixels


@pytest.mark.parametrize("kind", ["StableDiffusionPipeline", "StableDiffusionXLPipeline", "FluxPipeline"])
def test_it_draws_what_the_pipeline_draws(settings: Settings, kind: str) -> None:
    pipe = make(kind)
    with Session.from_pipeline(pipe, settings=settings) as session:
        images = session.generate(Request.of(prompt=PROMPT, n=2, **SMALL)).result()
    for k, image in enumerate(images):
        assert np.array_equal(image.pixels, by_hand(pipe, 5 + k))
    record = images[0].record
    assert record.model.name == f"pipeline:{kind}"
    assert record.numerics.dtype == "float32"
    assert "diffusers" in record.versions
    assert all(value.startswith("sha256:") for value in record.model.files.values())
    assert {name.partition("/")[0] for name in record.model.files} >= {"vae", "text_encoder", "scheduler", "tokenizer"}


def test_its_pictures_are_kept_and_drawn_again(session: Session, settings: Settings) -> None:
    image = session.draw(PROMPT, negative="rain", **SMALL)
    assert image.path is not None
    assert session.library.get(str(image.id)).path == Path(image.path)
    assert session.replay(image.path).verdict == "identical"


def test_another_session_says_which_pipeline_it_needs(session: Session, settings: Settings) -> None:
    image = session.draw(PROMPT, **SMALL)
    with (
        Session(settings=settings, offline=True) as plain,
        pytest.raises(ModelNotFound, match="needs the StableDiffusionPipeline that was in memory") as caught,
    ):
        plain.replay(str(image.path))
    assert "from_pipeline" in caught.value.hint


def test_replay_with_other_weights_is_refused_unless_told(session: Session, settings: Settings) -> None:
    image = session.draw(PROMPT, **SMALL)
    with Session.from_pipeline(make("StableDiffusionPipeline", seed=8), settings=settings) as other:
        with pytest.raises(MismatchedWeights, match="unet/weights"):
            other.replay(str(image.path))
        again = other.replay(str(image.path), any_weights=True)
    assert again.verdict != "identical"
    assert any("not the same files" in reason for reason in again.reasons)


def test_the_same_pipeline_is_the_same_model_and_what_changes_it_is_seen(
    session: Session, settings: Settings, pipe: DiffusionPipeline
) -> None:
    request = Request.of(prompt=PROMPT, **SMALL)
    (first,), (second,) = session.plan(request), session.plan(request)
    assert first.identity == second.identity
    with Session.from_pipeline(make("StableDiffusionPipeline"), settings=settings) as twin:
        assert twin.plan(request)[0].identity == first.identity
    identities = {first.identity}
    with torch.no_grad():
        pipe.unet.conv_in.weight[0, 0, 0, 0] += 1
    identities.add(session.plan(request)[0].identity)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    identities.add(session.plan(request)[0].identity)
    pipe.tokenizer.add_tokens(["limner"])
    identities.add(session.plan(request)[0].identity)
    assert len(identities) == 4
    with pytest.raises(MismatchedWeights, match="not as it was"):
        session.run((first,)).result()
    assert np.array_equal(session.draw(PROMPT, **SMALL).pixels, by_hand(pipe))


def test_unhashed_weights_are_said_to_be(settings: Settings, pipe: DiffusionPipeline) -> None:
    with Session.from_pipeline(pipe, settings=settings, hashed=False) as session:
        image = session.draw(PROMPT, **SMALL)
        assert session.replay(str(image.path)).verdict == "identical", "the same session knows its own"
    assert "unhashed" in [notice.code for notice in image.record.notices]
    assert image.record.model.files["weights"].startswith("unhashed:")
    with Session.from_pipeline(pipe, settings=settings, hashed=False) as other:
        (plan,) = other.plan(Request.of(prompt=PROMPT, **SMALL))
    assert plan.model.weights_hash() != image.record.model.weights_hash()


def test_networks_left_in_training_mode_are_told(settings: Settings) -> None:
    pipe = make("FluxPipeline")
    with Session.from_pipeline(pipe, settings=settings) as session:
        assert "training-mode" not in [n.code for n in session.plan(Request.of(prompt=PROMPT, **SMALL))[0].notices]
        pipe.text_encoder_2.train()
        (notice,) = [
            n for n in session.plan(Request.of(prompt=PROMPT, **SMALL))[0].notices if n.code == "training-mode"
        ]
    assert "text_encoder_2" in notice.message


def test_the_pipeline_is_left_as_it_was(session: Session, pipe: DiffusionPipeline) -> None:
    before = {name: part for name, part in vars(pipe).items() if not name.startswith("_")}
    session.draw(PROMPT, **SMALL)
    after = {name: part for name, part in vars(pipe).items() if not name.startswith("_")}
    assert {name: id(part) for name, part in before.items()} == {name: id(part) for name, part in after.items()}
    assert not any(tensor.is_inference() for tensor in pipe.unet.parameters())


def test_a_cancelled_pipeline_can_be_used_again(session: Session, pipe: DiffusionPipeline) -> None:
    generation = session.generate(Request.of(prompt=PROMPT, **{**SMALL, "steps": 300}))
    for event in generation:
        if isinstance(event, Step):
            generation.cancel()
        ended = event
    assert isinstance(ended, Cancelled)
    assert np.array_equal(session.draw(PROMPT, **SMALL).pixels, by_hand(pipe))
    assert "progress_bar" not in vars(pipe)


def test_defaults_are_those_of_the_class_and_the_configs(session: Session) -> None:
    (plan,) = session.plan(Request.of(prompt=PROMPT))
    assert (plan.request.steps, plan.request.guidance) == (50, 7.5)
    assert (plan.recipe.width, plan.recipe.height) == (32, 32), "the UNet's 16 times the autoencoder's 2"


def test_it_stays_on_its_device_and_in_its_format(session: Session, settings: Settings) -> None:
    with pytest.raises(DeviceError, match="the pipeline of this session is in float32"):
        session.plan(Request.of(prompt=PROMPT, dtype="bfloat16"))
    with pytest.raises(DeviceError, match="cpu"):
        session.plan(Request.of(prompt=PROMPT, device="mps"))
    half = make("StableDiffusionPipeline").to(torch.bfloat16)
    with Session.from_pipeline(half, settings=settings) as other:
        image = other.draw(PROMPT, **SMALL)
    assert image.record.numerics.dtype == "bfloat16"
    assert np.array_equal(image.pixels, by_hand(half))


def test_other_models_and_fields_are_refused(session: Session) -> None:
    with pytest.raises(InvalidRequest, match="was given"):
        session.plan(Request.of(prompt=PROMPT, model="pocket"))
    with pytest.raises(UnsupportedField):
        session.plan(Request.of(prompt=PROMPT, solver="euler"))


def test_what_draws_no_pictures_from_words_is_refused(settings: Settings, pipe: DiffusionPipeline) -> None:
    from diffusers import StableDiffusionImg2ImgPipeline

    with pytest.raises(ModelError, match="redraws a picture"):
        Session.from_pipeline(StableDiffusionImg2ImgPipeline(**pipe.components), settings=settings)
    with pytest.raises(ModelError, match="no diffusers pipeline"):
        Session.from_pipeline(object(), settings=settings)


def test_a_class_of_ones_own_draws(settings: Settings, pipe: DiffusionPipeline) -> None:
    """Without callbacks and without a progress bar: drawn, and what that means is told."""

    class PlainPipeline(type(pipe)):  # type: ignore[misc]
        def __call__(self, prompt: str, generator: torch.Generator | None = None) -> object:
            self.progress_bar = lambda *args, **more: DiffusionPipeline.progress_bar(self, *args, **more)
            return super().__call__(prompt, width=32, height=48, num_inference_steps=2, generator=generator)

    own = PlainPipeline(**pipe.components, requires_safety_checker=False)
    own.set_progress_bar_config(disable=True)
    with Session.from_pipeline(own, settings=settings) as session:
        image = session.draw(PROMPT, seed=5, width=64, height=64)
    assert np.array_equal(image.pixels, by_hand(pipe, num_inference_steps=2))
    assert {"no-progress", "other-size"} <= {notice.code for notice in image.record.notices}


def test_a_blackened_picture_is_a_refusal(settings: Settings, pipe: DiffusionPipeline) -> None:
    pipe.run_safety_checker = lambda image, device, dtype: (torch.zeros_like(image), [True])
    with Session.from_pipeline(pipe, settings=settings) as session, pytest.raises(Refused, match="safety checker"):
        session.draw(PROMPT, **SMALL)


def test_every_class_that_is_tried_can_be_given() -> None:
    from limner.models.pipelines.memory import InMemory

    for kind in MAKERS:
        assert InMemory(make(kind)).ref().files
