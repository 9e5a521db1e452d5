from __future__ import annotations

import dataclasses
import importlib.metadata
from importlib.metadata import EntryPoint

import pytest

from limner.errors import InvalidRequest, UnknownName
from limner.sampling import catalog
from limner.sampling.catalog import SOLVERS, find, load, matching
from limner.sampling.training import Training


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("euler", "euler"),
        ("EULER", "euler"),
        ("k_euler", "euler"),
        ("Euler a", "euler-a"),
        ("k_euler_a", "euler-a"),
        ("EulerAncestralDiscreteScheduler", "euler-a"),
        ("DPM++ 2M", "dpmpp-2m"),
        ("dpm++2m karras", "dpmpp-2m-karras"),
        ("DPM++ 2M SDE Karras", "dpmpp-2m-sde-karras"),
        ("DPMSolverMultistep", "dpmpp-2m"),
        ("k_dpmpp_2m", "dpmpp-2m"),
        ("UniPC", "unipc"),
        ("UniPCMultistepScheduler", "unipc"),
        ("FlowMatchEulerDiscreteScheduler", "euler"),
        (" ddim ", "ddim"),
        ("LCM", "lcm"),
    ],
)
def test_known_under_many_names(said: str, meant: str) -> None:
    assert find(said).name == meant


def test_every_name_leads_to_one_card() -> None:
    names = [(catalog._key(name), card.name) for card in SOLVERS.values() for name in set(catalog._known_as(card))]
    meanings: dict[str, set[str]] = {}
    for key, name in names:
        meanings.setdefault(key, set()).add(name)
    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}


def test_a1111_name_and_schedule_are_unique_together() -> None:
    pairs = [(card.a1111, card.a1111_schedule) for card in SOLVERS.values()]
    assert len(set(pairs)) == len(pairs)


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        find("uler")
    assert "euler" in caught.value.nearest
    assert caught.value.field == "solver"


@pytest.mark.parametrize("card", SOLVERS.values(), ids=lambda card: card.name)
def test_load_gives_a_fresh_solver(card: catalog.SolverCard) -> None:
    assert callable(load(card).solve)
    assert load(card) is not load(card)


def test_matching() -> None:
    assert matching(Training(scheduler="DDIMScheduler")) is SOLVERS["ddim"]
    assert matching(Training(scheduler="PNDMScheduler")) is None
    karras = Training(scheduler="DPMSolverMultistepScheduler", use_karras_sigmas=True)
    assert matching(karras) is SOLVERS["dpmpp-2m-karras"]
    assert matching(Training(scheduler="EulerDiscreteScheduler", use_karras_sigmas=True)) is SOLVERS["euler"]


THEIRS = dataclasses.replace(SOLVERS["euler"], name="their-solver", title="Theirs")
NOT_A_CARD = "just a string"


def test_solvers_of_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("their-solver", f"{__name__}:THEIRS", catalog.GROUP),
        EntryPoint("broken", f"{__name__}:NOT_A_CARD", catalog.GROUP),
        EntryPoint("euler", f"{__name__}:THEIRS", catalog.GROUP),
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: points if group == catalog.GROUP else [])
    assert find("Their Solver").title == "Theirs"
    assert find("euler") is SOLVERS["euler"], "a built-in name cannot be taken"
    with pytest.raises(InvalidRequest, match="SolverCard"):
        find("broken")
