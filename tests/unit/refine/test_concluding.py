"""Which pictures of a refinement are shown first."""

from __future__ import annotations

from limner.refine.concluding import _mean_ranks
from limner.refine.refinement import Shot
from limner.types import Request
from tests.standins import card, score_of


def shot(**values: float) -> Shot:
    scores = {name: score_of(card(name), value) for name, value in values.items()}
    return Shot(candidate="you", request=Request(prompt="x"), seed=1, phase="search", pixel_hash="", scores=scores)


def test_less_is_better_where_the_scorer_says_so() -> None:
    blurred, sharp, unscored = _mean_ranks([shot(blur=9.0), shot(blur=1.0), shot()], ["blur"])
    assert sharp < blurred < unscored


def test_scales_do_not_outweigh_each_other() -> None:
    ranks = _mean_ranks(
        [shot(vqascore=0.9, pickscore=20.0), shot(vqascore=0.1, pickscore=21.0)], ["vqascore", "pickscore"]
    )
    assert ranks[0] == ranks[1]


def test_equal_pictures_share_a_place() -> None:
    ranks = _mean_ranks([shot(vqascore=0.5), shot(vqascore=0.5), shot(vqascore=0.4)], ["vqascore"])
    assert ranks == [0.5, 0.5, 2.0]
