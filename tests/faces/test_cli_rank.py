"""``--rank``: candidates in a scorer's order, and what cannot order them is refused before anything is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dalle import FIXTURES
from tests.faces.calling import Limner, assert_refused, limner_in

SMALL = ("--size", "64x64", "--steps", "2", "--seed", "1", "--dtype", "float32")


@pytest.fixture
def limner(tmp_path: Path) -> Limner:
    return limner_in(tmp_path / "home")


def test_the_best_comes_first(limner: Limner) -> None:
    result = limner("a red fox in the snow", "-n", "4", *SMALL, "--rank", "auto", "--json")
    assert result.exit_code == 0, result.stderr
    *pictures, last = map(json.loads, result.stdout.splitlines())
    assert last["scorer"] == "pocket-clip"
    values = [each["score"] for each in last["ranking"]]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert {each["id"] for each in last["ranking"]} == {each["id"] for each in pictures}
    said = limner("score", last["ranking"][0]["id"], "--text", "a red fox in the snow", "--json")
    again = json.loads(said.stdout)["pictures"][0]["scores"][0]
    assert again["value"] == values[0], "the same score as limner score gives"


def test_people_read_a_list(limner: Limner) -> None:
    result = limner("a red fox", "-n", "2", *SMALL, "--rank", "pocket-clip")
    assert "by pocket-clip, best first:" in result.stderr
    assert len([line for line in result.stderr.splitlines() if "  seed " in line and line.lstrip()[0] in "12"]) >= 2


@pytest.mark.parametrize(
    ("scorer", "code", "said"),
    [("clip-b32", 3, "limner metrics pull"), ("blank", 2, "words"), ("pocket-clp", 2, "pocket-clip")],
)
def test_what_cannot_order_is_refused_before_drawing(limner: Limner, scorer: str, code: int, said: str) -> None:
    result = limner("a red fox", "-n", "2", *SMALL, "--rank", scorer)
    assert_refused(result, code, said)
    assert not result.stdout


def test_dalle_mini_asks_for_a_scorer_of_its_own_world(limner: Limner) -> None:
    """As its makers did: CLIP orders the candidates. The pocket scorers know nothing of its pictures."""
    asked = ("a red fox", "-m", str(FIXTURES), "-n", "2", "--seed", "1")
    assert_refused(limner(*asked, "--rank", "auto"), 3, "clip", "limner metrics pull")
    assert limner(*asked, "--rank", "pocket-clip").exit_code != 0
