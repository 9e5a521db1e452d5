"""Who searches and who judges, by world and machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from limner.evaluate import defaults
from limner.evaluate.metric import MetricCard
from limner.models.catalog import Catalog
from limner.models.machine import Gpu, Machine
from tests.standins import card

GB = 10**9
CPU = Machine("Linux", "x86_64", "a CPU", 2, frozenset(), 12 * GB, 12 * GB, torch_cuda="")
T4 = replace(CPU, gpus=(Gpu(0, "Tesla T4", 15 * 2**30, (7, 5), free=15 * 2**30),), torch_cuda="12.4")
MEMORY = {"clip-b32": GB // 2, "clip-l14": GB, "pickscore": 2 * GB, "imagereward": GB, "vqascore": 6 * GB}


def card_of(name: str) -> MetricCard | None:
    if name not in MEMORY:
        return None
    return card(name, repo="someone/scorer", size_bytes=2 * MEMORY[name], memory_bytes=MEMORY[name])


def test_the_built_in_world_has_its_own_scorers_on_any_machine() -> None:
    world = Catalog.load().get("pocket").world
    for machine, device in ((CPU, "cpu"), (T4, "cuda:0")):
        found = defaults.panel(world, device, machine, card_of=card_of)
        assert (found.search, found.judges, found.capped) == (("pocket-clip",), ("pocket-judge",), False)


def test_on_a_cpu_the_verdict_is_capped_and_says_why() -> None:
    found = defaults.panel("photographs and art", "cpu", CPU, card_of=card_of)
    assert (found.search, found.judges) == (("clip-b32",), ("clip-l14",))
    assert found.capped
    assert "indicative" in found.reason


@pytest.mark.parametrize(("beside", "judges"), [(6 * GB, ("imagereward", "vqascore")), (7 * GB, ("imagereward",))])
def test_on_a_gpu_the_second_judge_comes_where_those_that_judge_fit_beside_drawing(
    beside: int, judges: tuple[str, ...]
) -> None:
    found = defaults.panel(None, "cuda:0", T4, beside=beside, card_of=card_of)
    assert found.search == ("clip-l14", "pickscore")
    assert found.judges == judges
    assert not found.capped
    if len(judges) == 1:
        assert "vqascore is left out: with it 15.0 GB would be needed" in found.reason


def test_no_scorer_searches_and_judges() -> None:
    for world, machine, device in (("emoji scenes", CPU, "cpu"), (None, CPU, "cpu"), (None, T4, "cuda:0")):
        found = defaults.panel(world, device, machine, card_of=card_of)
        assert not set(found.search) & set(found.judges)


def test_sizes_say_what_fits_here_and_on_a_t4() -> None:
    small = replace(CPU, ram_total=4 * GB, ram_available=4 * GB)
    found = defaults.sizes(["clip-l14", "vqascore", "nobody"], "cpu", small, card_of=card_of)
    assert [(each.name, each.fits, each.t4) for each in found] == [("clip-l14", True, True), ("vqascore", False, True)]
    assert found[1].text() == "vqascore: 12.0 GB to fetch, 6.0 GB of memory; does not fit here, fits a 16 GB T4"


def test_new_pictures_of_other_worlds_are_not_scored_unasked() -> None:
    assert defaults.for_new("photographs and art") == ()
    assert defaults.for_new(None) == ()
