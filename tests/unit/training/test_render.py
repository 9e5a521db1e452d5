"""What the renderer promises: the same picture for the same scene, and things where the scene puts them."""

import random

import numpy as np
import pytest
import torch
from training import captions
from training.data import Batches, Stream, held_out_scenes
from training.layout import lay_out
from training.lessons import taught
from training.render import SIZE, Renderer
from training.scene import Part, Scene
from training.sprites import Atlas

from limner.evaluate.nets.detector import GRID


@pytest.fixture(scope="module")
def renderer(atlas: Atlas) -> Renderer:
    return Renderer(atlas, variants=1)


def _draw(renderer: Renderer, scene: Scene, seed: int = 0) -> torch.Tensor:
    return renderer(lay_out([scene], [random.Random(seed)]))[0]


def _blueness_centre(picture: torch.Tensor) -> float:
    blue = (picture[2] - picture[0]).clamp(min=0.5) - 0.5
    return float((blue.sum(0) * torch.arange(SIZE)).sum() / blue.sum())


def test_same_scene_and_seed_give_the_same_bytes(renderer: Renderer, atlas: Atlas) -> None:
    _, layout = held_out_scenes(6, 0, atlas.things)
    assert torch.equal(renderer(layout), renderer(layout))


def test_a_scene_does_not_depend_on_its_batch(renderer: Renderer) -> None:
    scenes = [Scene((Part(k),), place="beach") for k in range(4)]
    rngs = [random.Random(k) for k in range(4)]
    together = renderer(lay_out(scenes, rngs))
    alone = _draw(renderer, scenes[2], 2)
    assert torch.allclose(together[2], alone, atol=1e-6)


def test_pictures_are_within_range(renderer: Renderer, atlas: Atlas) -> None:
    _, layout = held_out_scenes(8, 1, atlas.things)
    pictures = renderer(layout)
    assert pictures.shape == (8, 3, SIZE, SIZE)
    assert pictures.abs().max() <= 1


@pytest.mark.parametrize(("relation", "left"), [("left", True), ("right", False)])
def test_the_first_thing_stands_where_the_relation_says(renderer: Renderer, relation: str, left: bool) -> None:
    scene = Scene((Part(2, colour="blue"), Part(4, colour="red")), relation=relation, ground="yellow")
    assert (_blueness_centre(_draw(renderer, scene)) < SIZE / 2) is left


def test_a_colour_tints_the_thing(renderer: Renderer) -> None:
    plain, green = _draw(renderer, Scene((Part(0),))), _draw(renderer, Scene((Part(0, colour="green"),)))
    middle = slice(SIZE // 2, SIZE // 2 + 40)
    assert plain[0, middle, middle].mean() > plain[1, middle, middle].mean()
    assert green[1, middle, middle].mean() > green[0, middle, middle].mean()


def test_big_is_bigger_than_small() -> None:
    def cells(size: str) -> int:
        return len(taught(lay_out([Scene((Part(0, size=size),))], [random.Random(0)])).thing)

    assert cells("big") > 2 * cells("small") > 0


def test_cells_are_told_the_thing_in_their_half() -> None:
    scene = Scene((Part(2, colour="blue"), Part(4)), relation="left")
    told = taught(lay_out([scene], [random.Random(0)]))
    left = told.column < GRID // 2
    assert set(told.thing[left]) == {2}
    assert set(told.thing[~left]) == {4}
    assert set(told.colour[~left]) == {-1}
    assert told.weight.sum() == pytest.approx(2)
    assert told.there.sum() == 2


def test_batch_i_of_a_stream_is_always_the_same(atlas: Atlas) -> None:
    vocab = captions.vocabulary(atlas.things)
    plan = Stream(seed=3, batch=4, curriculum=100, ways=2)
    once, again = (Batches(plan, atlas.things, vocab)[7] for _ in range(2))
    assert once.scenes == again.scenes
    assert np.array_equal(once.tokens, again.tokens)
    assert np.array_equal(once.layout.slots, again.layout.slots)
    assert Batches(plan, atlas.things, vocab)[8].scenes != once.scenes
