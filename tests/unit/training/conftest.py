"""A world of six painted shapes: the recipe's tests need neither the emoji font nor CLDR."""

import numpy as np
import pytest
from training.sprites import SIDE, Atlas, _gain
from training.world import Thing, plural

_SHAPES = {
    "fox": (230, 120, 40),
    "cat": (240, 190, 60),
    "whale": (60, 120, 220),
    "frog": (70, 170, 70),
    "rose": (210, 30, 60),
    "ghost": (240, 240, 244),
}


@pytest.fixture(scope="session")
def atlas() -> Atlas:
    """Six discs, each in its colour with a dark eye, so that none is like another."""
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = (x - 64) ** 2 + (y - 64) ** 2 < 58**2
    pixels = np.zeros((len(_SHAPES), SIDE, SIDE, 4), np.uint8)
    for k, colour in enumerate(_SHAPES.values()):
        pixels[k][disc] = (*colour, 255)
        pixels[k][(x - 40 - 8 * k) ** 2 + (y - 50) ** 2 < 12**2] = (20, 20, 30, 255)
    known = tuple(Thing(n, ((n, plural(n)), (f"tiny {n}", f"tiny {n}s")), "?", "test") for n in _SHAPES)
    return Atlas(known, pixels, _gain(pixels))
