"""A small network is drawn with one thread, by a rule that knows the Plan and the machine; others as torch has it."""

from __future__ import annotations

import json
import runpy
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import limner
from limner import Request, Session
from limner.config import Settings
from limner.engine import threads
from limner.engine.runner import TorchRunner
from limner.models.estimates import estimate
from limner.models.family import Files, Placement
from limner.models.machine import Machine, probe
from limner.sampling.course import Call, Course, Eval, Row, Runner, Tick, Weights
from limner.types import Estimate, PartCost, Plan
from tests.unit.engine.fakes import NET, Bench, FakeFamily, doubling, net, values

AMX = replace(probe(), flags=frozenset({"amx_bf16", "avx512_bf16"}), gpus=(), mps=False)
OWN = 2  # torch's own number in these tests
FOX = Request(prompt="a red fox", seed=1, steps=2, width=32, height=32, dtype="float32", device="cpu")
SMALL = (
    PartCost(name="text_encoder", weights_bytes=6_000_000, flops=3e8, calls=1, rows=2),
    PartCost(name="unet", weights_bytes=41_000_000, flops=20 * 2 * 1.8e9, calls=20, rows=2),
    PartCost(name="vae", weights_bytes=16_000_000, flops=2.2e10, calls=1),
)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(OWN)
    assert threads.own() == OWN
    yield
    torch.set_num_threads(before)
    assert threads._lowered == 0
    threads.own()  # asked anew: other tests have another number


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    settings = Settings.load(tmp_path_factory.mktemp("home"), {})
    with Session(settings=settings, offline=True, keep=False) as session:
        (made,) = session.plan(FOX)
    return made.model_copy(update={"numerics": made.numerics.model_copy(update={"dtype": "bfloat16"})})


def told(plan: Plan, parts: Sequence[PartCost]) -> Plan:
    return plan.model_copy(update={"estimate": Estimate(parts=tuple(parts))})


def part(name: str, **changes: object) -> tuple[PartCost, ...]:
    return tuple(each.model_copy(update=changes) if each.name == name else each for each in SMALL)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(SMALL, 1, id="pocket at 256x256"),
        pytest.param(part("unet", weights_bytes=1_720_000_000), OWN, id="weights beyond the caches"),
        pytest.param(part("vae", weights_bytes=167_000_000), OWN, id="a decoder beyond the caches"),
        pytest.param(part("unet", flops=20 * 2 * 5.1e9), OWN, id="much work a row"),
        pytest.param(part("unet", flops=20 * 2 * 4.9e9), 1, id="work a row, not a call of two"),
        pytest.param(part("unet", flops=80 * 2 * 1.8e9, calls=80), 1, id="work a call, not a picture"),
        pytest.param(part("unet", flops=2 * 1.8e9, calls=1), 1, id="one step as many"),
        pytest.param(SMALL[-1:], OWN, id="nothing but a decoder"),
        pytest.param(part("unet", flops=None), OWN, id="work that is not known"),
        pytest.param((), OWN, id="nothing known"),
        pytest.param(
            (
                PartCost(name="dalle", weights_bytes=5_200_000, flops=1.4e9, calls=256),
                PartCost(name="vqgan", weights_bytes=20_000_000, flops=4e10, calls=1),
            ),
            1,
            id="a small writer of codes",
        ),
        pytest.param(
            (
                PartCost(name="dalle", weights_bytes=800_000_000, flops=2.2e11, calls=256),
                PartCost(name="vqgan", weights_bytes=86_000_000, flops=4e11, calls=1),
            ),
            OWN,
            id="DALL-E mini: little work a code, but memory bounds it",
        ),
    ],
)
def test_small_weights_and_little_work_are_drawn_with_one(plan: Plan, parts: Sequence[PartCost], expected: int) -> None:
    assert threads.number(told(plan, parts), AMX, OWN) == expected


@pytest.mark.parametrize(("side", "expected"), [(256, 1), (384, 1), (1024, OWN)])
def test_the_built_in_model_by_its_size(plan: Plan, side: int, expected: int) -> None:
    folder = Path(limner.__file__).parent / "assets" / "pocket"
    configs = {
        name: json.loads((folder / name / "config.json").read_text()) for name in ("text_encoder", "unet", "vae")
    }
    channels, cells, _ = plan.recipe.latent  # of FOX
    cells = cells * side // plan.recipe.width
    recipe = plan.recipe.model_copy(update={"latent": (channels, cells, cells)})
    asked = FOX.but(dtype="bfloat16", width=side, height=side)
    counted = estimate.latent(recipe, configs, asked, AMX)
    assert threads.number(told(plan, counted.parts), AMX, OWN) == expected


def test_only_where_half_precision_is_faster_than_waking_a_thread(plan: Plan) -> None:
    small = told(plan, SMALL)
    single = small.model_copy(update={"numerics": small.numerics.model_copy(update={"dtype": "float32"})})
    without_amx = replace(AMX, flags=frozenset({"avx512_bf16"}))
    on_a_gpu = small.model_copy(update={"device": "cuda:0"})
    machines: list[tuple[Plan, Machine]] = [(single, AMX), (small, without_amx), (on_a_gpu, AMX)]
    assert [threads.number(each, machine, OWN) for each, machine in machines] == [OWN] * 3
    assert threads.number(small, AMX, OWN) == 1


def test_calls_that_pictures_share_have_all_threads(plan: Plan) -> None:
    small = told(plan, SMALL)
    sharing = small.model_copy(update={"numerics": small.numerics.model_copy(update={"batching": "shared"})})
    assert threads.number(sharing, AMX, OWN) == OWN


def test_a_number_that_the_user_set_is_kept(plan: Plan) -> None:
    assert threads.number(told(plan, SMALL), AMX, OWN, asked=True) == OWN


@pytest.mark.parametrize(
    ("env", "expected"), [({}, False), ({"OMP_NUM_THREADS": "2"}, True), ({"MKL_NUM_THREADS": "2"}, True)]
)
def test_the_user_says_it_before_torch_comes(
    monkeypatch: pytest.MonkeyPatch, env: Mapping[str, str], expected: bool
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert runpy.run_path(threads.__file__)["ASKED"] is expected


def test_threads_are_as_before_also_after_an_error() -> None:
    with threads.using(None):
        assert torch.get_num_threads() == OWN
    inside = []

    def fail() -> None:
        with threads.using(1):
            inside.append(torch.get_num_threads())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [1]
    assert torch.get_num_threads() == OWN


def test_a_thread_that_comes_meanwhile_knows_torchs_own_number() -> None:
    """torch gives a thread that it has not met the number that was set last, by whichever thread."""
    found = []
    with threads.using(1):
        late = threading.Thread(target=lambda: found.extend((torch.get_num_threads(), threads.own())))
        late.start()
        late.join()
        assert threads.own() == OWN
    assert found == [1, OWN]


def test_what_came_meanwhile_is_left_behind_nowhere() -> None:
    """The late thread computes with torch's own number all the same, and those that come after both have it too."""
    found: list[int] = []
    come, over = threading.Event(), threading.Event()

    def later() -> None:
        found.append(torch.get_num_threads())
        come.set()
        over.wait(10)
        with threads.using(threads.own()):
            found.append(torch.get_num_threads())

    late = threading.Thread(target=later)
    with threads.using(1):
        late.start()
        come.wait(10)
    over.set()
    late.join()
    third = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    third.start()
    third.join()
    assert found == [1, OWN, OWN]
    assert threads.own() == OWN


class Counting(FakeFamily):
    """Notes the threads of each call and each reading of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, int]] = []  # rows, threads
        self.loading: list[int] = []

    def load(self, weights: Weights, files: Files, placement: Placement) -> nn.Module:
        self.loading.append(torch.get_num_threads())
        return super().load(weights, files, placement)

    def forward(self, module: nn.Module, part: str, batch: Mapping[str, Tensor]) -> Tensor:
        self.calls.append((len(batch["x"]), torch.get_num_threads()))
        if bool((batch["x"] < 0).any()):
            raise RuntimeError("a fault")
        return super().forward(module, part, batch)


def test_jobs_in_turn_have_their_own_numbers_and_share_with_their_like() -> None:
    bench = Bench(family := Counting())
    between: list[int] = []
    for name, number in (("a", 1), ("b", 1), ("c", 2), ("d", None)):
        bench.add(name, doubling(1, 2), threads=number)
    bench.run(at=lambda step: between.append(torch.get_num_threads()))
    assert set(values(bench.finished).values()) == {4.0}
    assert sorted(family.calls) == sorted([(2, 1), (1, OWN), (1, OWN)] * 2)
    assert set(between) == {OWN}
    assert family.loading == [OWN]  # weights are packed the same, whoever is first to need them


def test_a_fault_in_a_call_leaves_torchs_number() -> None:
    bench = Bench(family := Counting())
    bench.add("bad", doubling(-1, 1), threads=1)
    with pytest.raises(RuntimeError, match="a fault"):
        bench.engine.step()
    assert family.calls == [(1, 1)]
    assert torch.get_num_threads() == OWN


def test_a_call_and_what_comes_between_calls_have_the_jobs_number() -> None:
    seen: list[int] = []

    def run(runner: Runner, tick: Tick) -> Tensor:
        seen.append(torch.get_num_threads())
        runner.module(NET)
        return torch.zeros(1)

    def course() -> Course:
        seen.append(torch.get_num_threads())
        (answer,) = yield Call(NET, 1.0, run)
        seen.append(torch.get_num_threads())
        return answer

    bench = Bench(family := Counting())
    bench.add("a", course(), threads=1)
    bench.run()
    assert seen == [1, 1, 1]
    assert family.loading == [OWN]
    assert torch.get_num_threads() == OWN


def test_what_is_remembered_was_made_with_as_many() -> None:
    """A text encoding made with another number of threads may differ in its last bit."""

    def keyed() -> Course:
        (answer,) = yield Eval((net(3, key="words"),))
        return answer

    bench = Bench(family := Counting())
    for name, number in (("a", 1), ("b", 2), ("c", 1), ("d", 2)):
        bench.add(name, keyed(), alone=True, threads=number)
    bench.run()
    assert len(bench.finished) == 4
    assert family.calls == [(1, 1), (1, 2)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[int, set[int]]:
    """Threads by side of the latent, of every call that denoises, as the networks see it; 32 pixels go with one."""
    seen: dict[int, set[int]] = {}
    call = TorchRunner._call

    def spying(runner: TorchRunner, module: nn.Module, weights: Weights, rows: Sequence[Row]) -> Tensor:
        if weights.part == "unet":
            side = max(tensor.shape[-1] for tensor in rows[0].inputs.values() if tensor.ndim == 3)
            seen.setdefault(side, set()).add(torch.get_num_threads())
        return call(runner, module, weights, rows)

    def by_size(plan: Plan, machine: Machine, own: int, *, asked: bool) -> int:
        return 1 if plan.recipe.width == 32 and not asked else own

    monkeypatch.setattr(TorchRunner, "_call", spying)
    monkeypatch.setattr(threads, "number", by_size)
    monkeypatch.setattr(threads, "ASKED", False)
    return seen


def test_the_record_says_it_and_neighbours_change_no_pixel(calls: dict[int, set[int]], tmp_path: Path) -> None:
    requests = [FOX.but(batching="alone"), FOX.but(batching="alone", width=64, height=64)]
    settings = Settings.load(tmp_path, {})
    with Session(settings=settings, offline=True, keep=False) as session:
        together = [handle.result()[0] for handle in [session.generate(each) for each in requests]]
    assert calls == {2: {1}, 4: {OWN}}
    assert [image.record.threads for image in together] == [1, OWN]
    for request, image in zip(reversed(requests), reversed(together), strict=True):
        with Session(settings=settings, offline=True, keep=False) as session:
            again = session.generate(request).result()[0]
        assert again.record.threads == image.record.threads
        assert again.pixels.tobytes() == image.pixels.tobytes()


def test_a_users_number_reaches_the_record(
    calls: dict[int, set[int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threads, "ASKED", True)
    with Session(settings=Settings.load(tmp_path, {}), offline=True, keep=False) as session:
        (image,) = session.generate(FOX).result()
    assert calls == {2: {OWN}}
    assert image.record.threads == OWN
