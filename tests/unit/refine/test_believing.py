"""What a judge's own card says it cannot tell caps the verdict, and better weights lift it."""

from __future__ import annotations

import pytest

from limner.config import Settings
from limner.errors import NotIndependent
from limner.evaluate.defaults import Panel
from limner.evaluate.pocket_judge import PocketJudge
from limner.refine import preparing
from limner.refine.believing import caps_of, weak_kinds
from limner.refine.design import Budget
from limner.refine.preparing import Wishes
from limner.session import Session
from limner.types import Request

CARD = PocketJudge.card


def test_the_kinds_that_a_card_calls_weak() -> None:
    card = CARD.model_copy(update={"verified": "71% right; little better than chance at: colour, thing; on renders"})
    assert weak_kinds(card) == {"colour", "thing"}
    assert weak_kinds(CARD.model_copy(update={"verified": "98% right"})) == frozenset()


def test_only_what_is_asked_about_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = CARD.model_copy(update={"verified": "71% right; little better than chance at: colour"})
    monkeypatch.setattr(PocketJudge, "card", weak)
    assert caps_of(["pocket-judge"], ["a red fox"]) == (
        "by its own card pocket-judge is little better than chance at colour",
    )
    assert caps_of(["pocket-judge"], ["a fox in the snow"]) == ()
    assert caps_of(["pocket-clip", "your-votes"], ["a red fox"]) == ()
    monkeypatch.setattr(PocketJudge, "card", CARD.model_copy(update={"verified": "98% right"}))
    assert caps_of(["pocket-judge"], ["a red fox"]) == ()


def test_on_a_cpu_the_usual_scorers_of_other_models_are_admitted_and_cap_the_verdict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They share their training data; what nobody chose is no mistake to refuse."""
    usual = Panel(("clip-b32",), ("clip-l14",), True, "on a CPU its sister judges")
    monkeypatch.setattr(preparing, "panel", lambda *about: usual)
    monkeypatch.setattr(preparing, "check_scorers", lambda *about: None)
    with Session(settings=Settings.load(), keep=False) as session:
        plan = session.plan(Request(prompt="a fox"))[0]
        chosen, caps = preparing.scorers_of(plan, session, Wishes(Budget(images=60)))
        assert chosen.judges == ("clip-l14",)
        assert caps[0] == usual.reason
        with pytest.raises(NotIndependent):  # chosen by the user, it is
            preparing.scorers_of(plan, session, Wishes(Budget(images=60), judges=("clip-l14",), search=("aesthetic",)))
