"""Whole pictures: the same as diffusers' pipeline draws, and the same whoever else is being drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("diffusers")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner import Request, Session
from limner.config import Settings
from limner.image import Image
from limner.sampling.catalog import SOLVERS
from limner.sampling.course import Row
from tests.checkpoints import SD1_LIKE, write
from tests.parity import BOUND, Bench, Subject, cases, distance, named

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers", "ignore::FutureWarning")

KINDS = {"eps": SD1_LIKE}
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


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, session: Session) -> Bench:
    return Bench(tmp_path_factory.mktemp("parity"), session)


@pytest.mark.parametrize("case", list(cases("sd", "sdxl")), ids=named)
def test_the_picture_diffusers_draws(bench: Bench, case: tuple[Subject, str]) -> None:
    found = distance(*case, bench)
    assert found.spread > 5, "a flat picture would prove nothing"
    assert found.largest <= BOUND


requests = st.builds(
    Request,
    prompt=st.sampled_from(["a red fox", "a cat on the beach " * 9, "[a dog:a (blue:1.4) cat:0.5]", "two BREAK fish"]),
    negative=st.sampled_from([None, "a house"]),
    seed=st.integers(0, 99),
    steps=st.integers(1, 5),
    guidance=st.sampled_from([1.0, 3.5]),
    solver=st.sampled_from(sorted(SOLVERS)),
    n=st.integers(1, 2),
    width=st.sampled_from([32, 48]),
    height=st.just(32),
    variation=st.sampled_from([0.0, 0.4]),
    variation_seed=st.just(5),
    dtype=st.just("float32"),
)


def drawn_together(session: Session, requested: list[Request]) -> list[list[Image]]:
    """All requests submitted before any is drawn, so that a shared engine mixes them."""
    from limner.engine.backend import Local
    from limner.session.birth import birth
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

    def spy(self: TorchRunner, rows: Sequence[Row], **more: bool) -> object:
        sizes.setdefault(rows[0].weights.part, []).append(len(rows))
        return forward(self, rows, **more)

    monkeypatch.setattr(TorchRunner, "forward", spy)
    asked = Request(prompt="a cat", model=str(checkpoints["eps"]), steps=30, n=4, width=32, height=32, guidance=3)
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
    session.generate(Request(prompt="a cat", steps=45, solver=solver, width=32, height=32, seed=1)).result()
    assert sorted(set(asked)) == list(range(1, 46))
    assert asked == sorted(asked)


def test_picture_k_is_the_picture_of_seed_plus_k(session: Session) -> None:
    several = session.generate(Request(prompt="a cat", n=3, seed=7, steps=3)).result()
    last = session.generate(Request(prompt="a cat", seed=9, steps=3)).result()[0]
    assert several[2].record.pixel_hash == last.record.pixel_hash
    assert several[2].record.image_key == last.record.image_key
