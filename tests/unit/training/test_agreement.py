"""The checks without a model read renders rightly; rank correlation is what it says."""

import random

import pytest
import torch
from training.evaluate import agreement, modelfree
from training.layout import lay_out
from training.render import Renderer
from training.scene import Part, Scene
from training.sprites import Atlas

from limner.evaluate.pocket_sight import Fact


def _draw(atlas: Atlas, scene: Scene) -> torch.Tensor:
    return Renderer(atlas, variants=1)(lay_out([scene], [random.Random(1)]))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_components_count_the_things(atlas: Atlas, count: int) -> None:
    assert modelfree.components(_draw(atlas, Scene((Part(0, count=count),)))) == [count]


@pytest.mark.parametrize("colour", ["red", "green", "blue", "yellow", "purple"])
def test_the_histogram_names_the_colour(atlas: Atlas, colour: str) -> None:
    assert modelfree.colour_of(_draw(atlas, Scene((Part(1, colour=colour),)))) == [colour]


def test_an_empty_picture_has_neither() -> None:
    empty = torch.full((1, 3, 256, 256), 0.9)
    assert modelfree.components(empty) == [0]
    assert modelfree.colour_of(empty) == [None]


def test_spearman_sees_order_only() -> None:
    a = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert agreement.spearman(a, a**3) == pytest.approx(1)
    assert agreement.spearman(a, -a) == pytest.approx(-1)


def test_atoms_are_the_judges_questions() -> None:
    row: dict[str, object] = {"things": ["fox", "cat"], "colours": ["red", None], "relation": "left"}
    assert agreement.facts_of(row, ["cat", "dog", "fox"]) == [
        Fact("thing", (2,)),
        Fact("thing", (0,)),
        Fact("colour", (2,), "red"),
        Fact("relation", (2, 0), "left"),
    ]


def test_a_picture_finds_its_prompt() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.1], [0.8, 0.5, 0.1], [0.0, 0.1, 0.2]])
    found = agreement.found_again(scores)
    assert found["own_prompt_best"] == pytest.approx(2 / 3)  # by columns all would be
    assert found["own_prompt_above_another"] == pytest.approx(5 / 6)
