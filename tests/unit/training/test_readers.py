"""How the shipped scorers are set against near misses."""

import torch
from training.evaluate import readers
from training.render import Renderer
from training.sprites import Atlas


def test_pixels_are_the_pictures_bytes() -> None:
    picture = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1).expand(3, 2, 4)
    array = readers.pixels(picture)
    assert array.shape == (2, 4, 3)
    assert array.dtype.name == "uint8"
    assert array[0, 0].tolist() == [0, 128, 255]


def test_both_scorers_side_on_every_scene(atlas: Atlas) -> None:
    found = readers.sides(Renderer(atlas, variants=1), atlas, 12, aligned=True)
    assert {"clip", "judge", "alike"} <= set(found)
    assert all(0 <= share <= 1 for share in found.values())
    # Where they differ one is right: the gap between them can't be larger than how often they differ.
    assert abs(found["clip"] - found["judge"]) <= 1 - found["alike"] + 2e-3
