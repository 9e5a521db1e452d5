"""Where things stand: aligned layouts lie on whole cells, and both ways say what the scene says."""

import random

import numpy as np
import pytest
from training.data import Batches, Stream
from training.evaluate.measure import relation_holds
from training.layout import CELLS, SLOTS, lay_out
from training.scene import FULL, Part, Scene, training_scene
from training.sprites import Atlas
from training.world import RELATIONS


def _scenes(atlas: Atlas, n: int) -> tuple[list[Scene], list[random.Random]]:
    rngs = [random.Random(k) for k in range(n)]
    return [training_scene(rng, atlas.things, FULL) for rng in rngs], rngs


def test_aligned_things_stand_upright_on_whole_cells_inside_the_picture(atlas: Atlas) -> None:
    slots = lay_out(*_scenes(atlas, 400), aligned=True).slots.reshape(-1, 7)
    _, x, y, side, tilt, _, _ = slots[slots[:, 0] >= 0].T * CELLS
    for edge in (side, x - side / 2, y - side / 2):
        assert np.array_equal(edge, edge.round())
    assert not tilt.any()
    assert (x - side / 2).min() >= 0
    assert (x + side / 2).max() <= CELLS
    assert (y - side / 2).min() >= 0
    assert (y + side / 2).max() <= CELLS


def test_loose_things_have_accidents(atlas: Atlas) -> None:
    slots = lay_out(*_scenes(atlas, 40)).slots.reshape(-1, 7)
    _, x, _, side, tilt, _, _ = slots[slots[:, 0] >= 0].T
    assert len(set(tilt)) == len(tilt)
    assert (abs((x - side / 2) * CELLS - ((x - side / 2) * CELLS).round()) > 1e-3).mean() > 0.9


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("relation", sorted(RELATIONS))
def test_two_things_stand_as_the_relation_says(relation: str, aligned: bool) -> None:
    for seed in range(20):
        scene = Scene((Part(0), Part(1)), relation=relation, place="sea" if seed % 2 else "plain")
        slots = lay_out([scene], [random.Random(seed)], aligned).slots[0]
        centre = {int(row[0]): (float(row[1]), float(row[2])) for row in slots if row[0] >= 0}
        assert relation_holds(relation, centre[0], centre[1])


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("count", range(1, SLOTS + 1))
def test_as_many_things_stand_there_as_are_counted(count: int, aligned: bool) -> None:
    slots = lay_out([Scene((Part(3, count=count),))], [random.Random(0)], aligned).slots[0]
    assert (slots[:, 0] == 3).sum() == count
    centres = {(round(float(x), 2), round(float(y), 2)) for thing, x, y, *_ in slots if thing >= 0}
    assert len(centres) == count


@pytest.mark.parametrize("aligned", [True, False])
def test_big_is_larger_than_usual_and_small_is_smaller(aligned: bool) -> None:
    small, usual, big = (
        lay_out([Scene((Part(0, size=size),))], [random.Random(0)], aligned).slots[0, 0, 3]
        for size in ("small", None, "big")
    )
    assert small < 0.7 * usual
    assert usual < 0.75 * big


@pytest.mark.parametrize(("centred", "places"), [(False, 3), (True, 1)])
def test_one_scene_alone_has_three_aligned_places_or_one(atlas: Atlas, centred: bool, places: int) -> None:
    scene = Scene((Part(0),))
    spots = {tuple(lay_out([scene], [random.Random(k)], True, centred).slots[0, 0, 1:3]) for k in range(60)}
    assert len(spots) == places


def test_a_stream_is_laid_out_as_asked(atlas: Atlas) -> None:
    for aligned in (True, False):
        slots = Batches(Stream(1, 8, aligned=aligned), atlas.things, {})[0].layout.slots
        assert (slots[slots[..., 0] >= 0][:, 4] == 0).all() is np.bool_(aligned)
