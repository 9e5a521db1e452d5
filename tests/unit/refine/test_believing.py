"""What a judge's own card says it cannot tell caps the verdict, and better weights lift it."""

from __future__ import annotations

import pytest

from limner.evaluate.pocket_judge import PocketJudge
from limner.refine.believing import caps_of, weak_kinds

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
