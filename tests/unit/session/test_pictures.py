"""Whole pictures: the same as diffusers' pipeline draws, and the same whoever else is being drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")

from diffusers import StableDiffusionPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner import Request, Session
from limner.config import Settings
from limner.image import Image
from limner.sampling.catalog import SOLVERS
from limner.sampling.course import Row
from limner.types import Pixels
from tests.checkpoints import OLD_LIKE, SD1_LIKE, SD2_LIKE, ZERO_SNR_LIKE, write
from tests.unit.sampling.drive import scheduler_for

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers", "ignore::FutureWarning")

KINDS = {"eps": SD1_LIKE, "eps-old": OLD_LIKE, "v": SD2_LIKE, "v-zero-snr": ZERO_SNR_LIKE}
SHARED_TOLERANCE = 2  # of 255: what sharing a model call may change, measured 1


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: write(root / name, kind) for name, kind in KINDS.items()}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("home")
    with Session(settings=Settings.load(home, {}), keep=False, offline=True) as made:
        yield made


def theirs(folder: Path, solver: str, request: Request) -> Pixels:
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = scheduler_for(SOLVERS[solver], dict(pipe.scheduler.config))
    out = pipe(
        request.prompt,
        negative_prompt=request.negative,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        width=request.width,
        height=request.height,
        generator=torch.Generator("cpu").manual_seed(request.seed or 0),
    )
    return np.asarray(out.images[0])


def comparable(kind: str, solver: str) -> bool:
    # diffusers' Heun does not know zero terminal SNR.
    return not (kind == "v-zero-snr" and solver == "heun")


@pytest.mark.parametrize(("kind", "solver"), [(k, s) for k in KINDS for s in SOLVERS if comparable(k, s)])
def test_the_picture_diffusers_draws(checkpoints: Mapping[str, Path], session: Session, kind: str, solver: str) -> None:
    request = Request(
        prompt="a red fox in the snow",
        negative="a blue house",
        model=str(checkpoints[kind]),
        solver=solver,
        seed=11,
        steps=7,
        guidance=4.0,
        width=24,
        height=16,
        dtype="float32",
    )
    (image,) = session.generate(request).result()
    expected = theirs(checkpoints[kind], solver, request)
    assert image.pixels.shape == expected.shape == (16, 24, 3)
    assert expected.std() > 5, "a flat picture would prove nothing"
    assert np.abs(image.pixels.astype(int) - expected.astype(int)).max() <= 2


def test_the_built_in_model_draws_what_diffusers_draws_with_it(session: Session) -> None:
    from tests.checkpoints import POCKET

    request = Request(prompt="a cat on the beach", seed=3, steps=6, guidance=5.0, width=64, height=64, dtype="float32")
    (image,) = session.generate(request).result()
    expected = theirs(POCKET, session.generate(request).plans[0].recipe.solver or "", request)
    assert np.abs(image.pixels.astype(int) - expected.astype(int)).max() <= 2


requests = st.builds(
    Request,
    prompt=st.sampled_from(["a red fox", "a cat on the beach " * 9, "[a dog:a (blue:1.4) cat:0.5]", "two BREAK fish"]),
    negative=st.sampled_from([None, "a house"]),
    seed=st.integers(0, 99),
    steps=st.integers(1, 5),
    guidance=st.sampled_from([1.0, 3.5]),
    solver=st.sampled_from(sorted(SOLVERS)),
    n=st.integers(1, 2),
    width=st.sampled_from([16, 24]),
    height=st.just(16),
    variation=st.sampled_from([0.0, 0.4]),
    variation_seed=st.just(5),
    dtype=st.just("float32"),
)


def drawn_together(session: Session, requested: list[Request]) -> list[list[Image]]:
    """All requests submitted before any is drawn, so that a shared engine mixes them."""
    from limner.engine.backend import Local
    from limner.session.composer import birth
    from limner.types import Drawn

    backend = session._backend
    assert isinstance(backend, Local)
    planned = [session.plan(request)[0] for request in requested]
    tickets = [backend.submit(plan) for plan in planned]
    return [
        [Image(tiding.pixels, birth(plan, tiding)) for tiding in sorted_drawn(list(ticket))]
        for plan, ticket in zip(planned, tickets, strict=True)
        for sorted_drawn in [lambda ts: sorted((t for t in ts if isinstance(t, Drawn)), key=lambda t: t.index)]
    ]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mix=st.lists(requests, min_size=2, max_size=4))
def test_any_mix_equals_each_alone(checkpoints: Mapping[str, Path], session: Session, mix: list[Request]) -> None:
    """Byte-equal where jobs run alone; within a stated tolerance where they share model calls."""
    model = str(checkpoints["eps"])
    for batching in ("alone", "shared"):
        asked = [request.but(model=model, batching=batching) for request in mix]
        together = drawn_together(session, asked)
        for request, images in zip(asked, together, strict=True):
            single = session.generate(request.but(batching="alone")).result()
            for one, other in zip(single, images, strict=True):
                gap = np.abs(one.pixels.astype(int) - other.pixels.astype(int)).max()
                assert gap <= (0 if batching == "alone" else SHARED_TOLERANCE)


def test_sharing_requests_really_share_calls(
    checkpoints: Mapping[str, Path], session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the law above would prove nothing."""
    from limner.engine.runner import TorchRunner

    sizes: dict[str, list[int]] = {}
    forward = TorchRunner.forward

    def spy(self: TorchRunner, rows: Sequence[Row]) -> object:
        sizes.setdefault(rows[0].weights.part, []).append(len(rows))
        return forward(self, rows)

    monkeypatch.setattr(TorchRunner, "forward", spy)
    asked = Request(prompt="a cat", model=str(checkpoints["eps"]), steps=30, n=4, width=16, height=16, guidance=3)
    session.generate(asked.but(batching="shared")).result()
    assert max(sizes["unet"]) == 8
    sizes.clear()
    session.generate(asked.but(batching="alone")).result()
    assert set(sizes["unet"]) == {2}


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_scheduling_follows_the_steps(session: Session, monkeypatch: pytest.MonkeyPatch, solver: str) -> None:
    """Also where neighbouring levels are told the same timestep, as Karras's are."""
    from limner.models.latent.text import Conditions

    asked: list[int] = []
    positive = Conditions.positive
    monkeypatch.setattr(Conditions, "positive", lambda self, step: asked.append(step) or positive(self, step))
    session.generate(Request(prompt="a cat", steps=45, solver=solver, width=16, height=16, seed=1)).result()
    assert sorted(set(asked)) == list(range(1, 46))
    assert asked == sorted(asked)


def test_picture_k_is_the_picture_of_seed_plus_k(session: Session) -> None:
    several = session.generate(Request(prompt="a cat", n=3, seed=7, steps=3)).result()
    last = session.generate(Request(prompt="a cat", seed=9, steps=3)).result()[0]
    assert several[2].record.pixel_hash == last.record.pixel_hash
    assert several[2].record.image_key == last.record.image_key
