"""Memory by part, what leaves for what, what would fit, and seconds by what was seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import Session
from limner.models import machine
from limner.models.estimates import estimate
from limner.models.estimates.latent import parts_of, together
from limner.models.estimates.offers import offers
from limner.models.estimates.time import MEASURED_SPREAD, Place, Rates, timed
from limner.session.estimating import by_records, estimated, learn
from limner.types import Estimate, PartCost, Pass, Plan, Prompted, Recipe, Request
from tests.unit.models.estimates.test_nets import TINY_CLIP, TINY_UNET, TINY_VAE

GIGA = 10**9
CPU = replace(machine.probe(), cpu="A CPU", gpus=(), mps=False, cores=4, flags=frozenset({"avx2"}))
CONFIGS = {"text_encoder": TINY_CLIP, "unet": TINY_UNET, "vae": TINY_VAE}
CHUNK = Prompted(until=4, ids=(tuple(range(24)),), weights=((1.0,) * 24,))
EMPTY = Prompted(until=4, ids=((0,) * 24,), weights=((1.0,) * 24,))
LEVELS = tuple((1.0, float(4 - k), float(k)) for k in range(5))
RECIPE = Recipe(
    family="sd",
    width=128,
    height=128,
    latent=(4, 64, 64),
    solver="ddim",
    levels=LEVELS,
    prompts={"positive": (CHUNK,), "negative": (EMPTY,)},
)

costs = st.lists(
    st.builds(
        lambda k, w, a: PartCost(name=f"part{k}", weights_bytes=w, work_bytes=a),
        st.integers(0, 9),
        st.integers(1, 10**9),
        st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda part: part.name,
)


@given(st.dictionaries(st.integers(), st.integers(0, 100)), st.integers(0, 300), st.integers(0, 300))
def test_the_oldest_leave_and_no_more_than_must(held: dict[int, int], need: int, budget: int) -> None:
    left = estimate.leaving(held, need, budget)
    assert left == list(held)[: len(left)]
    staying = sum(held.values()) - sum(held[name] for name in left)
    assert staying + need <= budget or len(left) == len(held)
    if left:
        assert staying + held[left[-1]] + need > budget, "the last that left had to"


@given(costs, st.integers(0, 10**10))
def test_a_peak_is_within_its_bounds(parts: list[PartCost], usable: int) -> None:
    found = estimate.peak(parts, usable)
    runtime = estimate.runtime_bytes("cpu", parts)
    least = runtime + max(part.weights_bytes + (part.work_bytes or 0) for part in parts)
    most = runtime + sum(p.weights_bytes for p in parts) + max(p.work_bytes or 0 for p in parts)
    assert least <= found.bytes <= most
    if usable >= most:
        assert found.offload == ()
    if not found.offload:
        assert found.bytes == most


def test_where_all_fits_nothing_leaves() -> None:
    parts = parts_of(RECIPE, CONFIGS, "float32")
    assert estimate.peak(parts, 10 * GIGA).offload == ()
    tight = estimate.runtime_bytes("cpu", parts) + max(part.weights_bytes + (part.work_bytes or 0) for part in parts)
    found = estimate.peak(parts, tight)
    assert found.bytes <= tight
    assert found.offload


def test_calls_and_rows_are_those_of_the_recipe() -> None:
    text, unet, vae = parts_of(RECIPE, CONFIGS, "float32")
    assert (text.calls, unet.calls, vae.calls) == (1, 4, 1)
    assert (text.rows, unet.rows, vae.rows) == (2, 2, 1)
    one_row = RECIPE.model_copy(update={"prompts": {"positive": (CHUNK,)}})
    assert parts_of(one_row, CONFIGS, "float32")[1].flops == (unet.flops or 0) / 2
    twice = RECIPE.model_copy(update={"solver": "heun"})
    assert parts_of(twice, CONFIGS, "float32")[1].calls == 8
    half = parts_of(RECIPE, CONFIGS, "bfloat16")[1]
    assert (half.weights_bytes, half.work_bytes) == (unet.weights_bytes // 2, (unet.work_bytes or 0) // 2)
    assert half.flops == unet.flops


def test_a_start_picture_is_encoded_and_skips_steps() -> None:
    whole = parts_of(RECIPE, CONFIGS, "float32")
    over = parts_of(RECIPE.model_copy(update={"options": {"init": "sha256:0", "begin": 3}}), CONFIGS, "float32")
    assert over[1].calls == 1
    assert over[2].calls == 2
    assert (over[2].flops or 0) > (whole[2].flops or 0)


def test_a_second_pass_costs_its_size() -> None:
    second = Pass(
        width=256, height=256, latent=(4, 128, 128), levels=LEVELS, begin=2, upscaler="latent", prompts=RECIPE.prompts
    )
    plain = parts_of(RECIPE, CONFIGS, "float32")
    hires = parts_of(RECIPE.model_copy(update={"second": second}), CONFIGS, "float32")
    assert hires[1].calls == plain[1].calls + 2
    assert (hires[1].work_bytes, hires[2].work_bytes) == (
        4 * (plain[1].work_bytes or 0),
        4 * (plain[2].work_bytes or 0),
    )
    through_pixels = second.model_copy(update={"upscaler": "lanczos"})
    assert parts_of(RECIPE.model_copy(update={"second": through_pixels}), CONFIGS, "float32")[2].calls == 3


def test_tiles_bound_the_decode() -> None:
    tiled = RECIPE.model_copy(update={"options": {"tile": 32, "tile_overlap": 8}})
    plain, pieces = (parts_of(recipe, CONFIGS, "float32")[2] for recipe in (RECIPE, tiled))
    assert pieces.calls == 9
    assert (pieces.work_bytes or 0) == (plain.work_bytes or 0) // 4


def test_uses_of_a_network_add_up_in_time_and_not_in_memory() -> None:
    one = PartCost(name="a", weights_bytes=5, work_bytes=10, flops=3.0, calls=2)
    two = PartCost(name="a", weights_bytes=5, work_bytes=7, flops=4.0, calls=1)
    assert together([one, two]) == PartCost(name="a", weights_bytes=5, work_bytes=10, flops=7.0, calls=3)


@pytest.fixture
def plan() -> Plan:
    with Session(keep=False, offline=True) as session:
        return session.plan(Request(prompt="a fox", seed=1, width=1536, height=1024, dtype="float32", device="cpu"))[0]


def test_offers_fit_and_are_sorted_by_how_little_they_change(plan: Plan) -> None:
    usable = estimate.peak(plan.estimate.parts, 0).bytes - 5_000_000  # too little even with one part at a time
    bf16 = replace(CPU, ram_available=int(usable / machine.HEADROOM), flags=frozenset({"avx512_bf16"}))
    found = [offer for offer in offers(plan, bf16) if offer.fits]
    assert [offer.option.split()[0] for offer in found] == ["--dtype", "--tiled", "--size"]
    assert all(offer.peak_bytes <= usable for offer in found)
    width, height = (int(side) for side in found[-1].option.split()[1].split("x"))
    assert width < 1536
    assert width / height == pytest.approx(1536 / 1024, rel=0.1)


def test_nothing_is_offered_for_what_is_not_known(plan: Plan) -> None:
    unknown = plan.model_copy(update={"estimate": Estimate(parts=(PartCost(name="net", weights_bytes=1),))})
    assert offers(unknown, CPU) == ()


@pytest.fixture
def rates(tmp_path: Path) -> Rates:
    return Rates(tmp_path / "deep" / "speeds.json")


PARTS = (
    PartCost(name="unet", weights_bytes=1, work_bytes=1, flops=4e12, calls=20),
    PartCost(name="vae", weights_bytes=1, work_bytes=1, flops=1e12, calls=1),
)
COUNTED = Estimate(parts=PARTS)


def test_time_goes_by_a_table_until_something_was_seen(rates: Rates) -> None:
    first = timed(COUNTED, "cpu", "float32", CPU, rates)
    assert first.seconds_low is not None
    assert first.seconds_per_image is not None
    assert first.seconds_high is not None
    assert first.seconds_low < first.seconds_per_image < first.seconds_high
    assert "table" in first.basis
    place = Place.of("cpu", "float32", CPU)
    rates.learn(place, PARTS, {"unet": 40.0, "load": 3.0})
    some = timed(COUNTED, "cpu", "float32", CPU, rates)
    assert "a table for vae" in some.basis
    rates.learn(place, PARTS, {"vae": 2.0})
    seen = timed(COUNTED, "cpu", "float32", CPU, rates)
    assert seen.seconds_per_image == pytest.approx(42.0)
    assert seen.seconds_high == pytest.approx(42.0 * MEASURED_SPREAD)
    assert "table" not in seen.basis
    other = timed(COUNTED, "cpu", "float32", replace(CPU, cpu="Another"), rates)
    assert "table" in other.basis


def test_what_was_seen_of_another_size_is_trusted_less(rates: Rates) -> None:
    place = Place.of("cpu", "float32", CPU)
    rates.learn(place, PARTS[:1], {"unet": 40.0})
    near, far = rates.find(place, "unet", 2e11), rates.find(place, "unet", 2e12)
    assert near is not None
    assert far is not None
    assert far.flops == near.flops
    assert far.spread > near.spread
    assert rates.find(place, "unet", 2e17) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": "b", "c": -1, "d": true}', "\x00"])
def test_a_broken_file_of_speeds_is_as_none(rates: Rates, tmp_path: Path, text: str) -> None:
    path = tmp_path / "deep" / "speeds.json"
    path.parent.mkdir()
    path.write_text(text)
    assert "table" in timed(COUNTED, "cpu", "float32", CPU, rates).basis
    rates.learn(Place.of("cpu", "float32", CPU), PARTS, {"unet": 1.0, "vae": 1.0})
    assert "table" not in timed(COUNTED, "cpu", "float32", CPU, rates).basis


def test_what_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Rates(tmp_path / "file" / "speeds.json").learn(Place.of("cpu", "float32", CPU), PARTS, {"unet": 1.0})


def test_nothing_is_said_of_time_where_a_part_is_not_known(rates: Rates) -> None:
    half_known = Estimate(parts=(*PARTS, PartCost(name="other", weights_bytes=1)))
    assert timed(half_known, "cpu", "float32", CPU, rates).seconds_per_image is None


def test_earlier_pictures_of_the_same_size_say_it_best(own_home: Path) -> None:
    request = Request(prompt="a fox", seed=1, steps=2, dtype="float32")
    with Session(offline=True) as session:
        record = session.generate(request).result()[0].record
        (same,) = session.plan(request.but(steps=4, prompt="a cat"))
        (larger,) = session.plan(request.but(width=192, height=192))
        assert "1 earlier picture" in same.estimate.basis
        assert "earlier" not in larger.estimate.basis
    took = record.timings["unet"] * 2 + record.timings["vae"]
    assert same.estimate.seconds_per_image == pytest.approx(took, rel=0.25)
    assert by_records(same.estimate, same, [record]).basis == same.estimate.basis
    assert by_records(larger.estimate, larger, [record]) is larger.estimate


def test_shared_calls_teach_nothing(own_home: Path) -> None:
    with Session(keep=False, offline=True) as session:
        record = session.generate(Request(prompt="a fox", seed=1, steps=1)).result()[0].record
        settings = session.settings
        (plan,) = session.plan(Request(prompt="a fox", seed=1, steps=1))
    speeds = settings.cache_root / "speeds.json"
    speeds.unlink(missing_ok=True)
    shared = record.numerics.model_copy(update={"batching": "shared"})
    learn(record.model_copy(update={"numerics": shared}), settings, CPU)
    assert not speeds.exists()
    assert "table" in estimated(plan, settings, CPU, None).estimate.basis
