"""Where things stand: a Scene and a seed become the numbers the renderer draws from.

There are two ways. *Loose* layouts have small accidents of place, size and tilt: what reads pictures learns from those.
*Aligned* ones stand upright on the cells of a 16x16 grid, one latent or picture code each: what draws pictures learns
from those. A thing that lies on its cells in one way is one pattern of latents to learn; with accidents of a fraction
of a cell it is another at each phase, size and tilt, and a small model drew the blurred mean of all of them.
"""

import colorsys
import random
from dataclasses import dataclass

import numpy as np

from training import backgrounds
from training.scene import Scene
from training.world import COLOURS, PLAIN

SLOTS = 5  # most things in a picture
FIELDS = 7  # sprite, x, y, size (shares of the picture), tilt (radians), colour index or -1, shadow strength
_COLOUR_INDEX = {c: i for i, c in enumerate(COLOURS)}
_KIND_INDEX = {k: i for i, k in enumerate(backgrounds.kinds())}
_AFLOAT = frozenset({"sea", "space", "sky", "water"})  # nothing casts a shadow there
_SPOTS: dict[int, tuple[tuple[float, float], ...]] = {
    1: ((0.5, 0.56),),
    2: ((0.28, 0.57), (0.72, 0.57)),
    3: ((0.27, 0.36), (0.73, 0.36), (0.5, 0.74)),
    4: ((0.28, 0.32), (0.72, 0.32), (0.28, 0.74), (0.72, 0.74)),
    5: ((0.22, 0.28), (0.78, 0.28), (0.5, 0.52), (0.22, 0.77), (0.78, 0.77)),
}
_SIDE = {1: 0.56, 2: 0.39, 3: 0.35, 4: 0.33, 5: 0.27}
_SCALE = {None: 1.0, "big": 1.42, "small": 0.54}
# First thing, second thing: where the relation puts their centres; the second is drawn first.
_RELATED: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "left": ((0.27, 0.57), (0.73, 0.57)),
    "right": ((0.73, 0.57), (0.27, 0.57)),
    "beside": ((0.28, 0.57), (0.72, 0.57)),
    "above": ((0.5, 0.25), (0.5, 0.74)),
    "below": ((0.5, 0.74), (0.5, 0.25)),
    "on": ((0.5, 0.35), (0.5, 0.68)),
}
# The same for aligned layouts, in cells: the side of each thing and where the upper left corners lie.
CELLS = 16
_Corner = tuple[int, int]
_ALIGNED: dict[int, tuple[int, tuple[_Corner, ...]]] = {
    1: (10, ((3, 4),)),
    2: (7, ((1, 5), (8, 5))),
    3: (6, ((1, 3), (9, 3), (5, 9))),
    4: (6, ((1, 2), (9, 2), (1, 9), (9, 9))),
    5: (5, ((1, 1), (10, 1), (5, 5), (1, 10), (10, 10))),
}
_ALIGNED_ALONE: dict[str, tuple[int, _Corner]] = {"big": (14, (1, 1)), "small": (5, (5, 6))}
_ALIGNED_RELATED: dict[str, tuple[_Corner, _Corner]] = {  # sides of 7
    "left": ((1, 5), (8, 5)),
    "right": ((8, 5), (1, 5)),
    "beside": ((1, 5), (8, 5)),
    "above": ((4, 0), (4, 9)),
    "below": ((4, 9), (4, 0)),
    "on": ((4, 2), (4, 8)),
}


@dataclass(frozen=True)
class Layout:
    """A batch of scenes as numbers. ``slots``: [B, SLOTS, FIELDS] float32, sprite -1 where empty, drawn in order.

    ``ground``: [B, 6] float32: background kind (-1 for plain), variant and crop x, y as shares in [0, 1):
    kind, variant, mirrored, crop x, crop y, brightness. ``wash``: [B, 2, 3] top and bottom RGB of plain grounds.
    """

    slots: np.ndarray
    ground: np.ndarray
    wash: np.ndarray

    def part(self, rows: slice) -> "Layout":
        """Some of the scenes."""
        return Layout(self.slots[rows], self.ground[rows], self.wash[rows])


def _wash(scene: Scene, rng: random.Random) -> np.ndarray:
    """Top and bottom colour of a plain ground, in [0, 1]."""
    if scene.ground:
        base = np.array(COLOURS[scene.ground]) / 255 + np.array([rng.uniform(-0.03, 0.03) for _ in range(3)])
        return np.stack([base + 0.02, base - 0.05])
    hue, saturation = rng.random(), rng.uniform(0.03, 0.16)
    pale = np.array(colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.94, 0.99)))
    return np.stack([pale, pale - 0.06])


def _loose(scene: Scene, rng: random.Random) -> np.ndarray:
    """Slots [SLOTS, FIELDS] with the small accidents of ``rng``."""
    slots = np.full((SLOTS, FIELDS), -1.0, np.float32)
    afloat = scene.place in _AFLOAT

    def put(slot: int, part: int, x: float, y: float, side: float, shadow: bool) -> None:
        spec, loose = scene.parts[part], 0.025
        slots[slot] = (
            spec.thing,
            x + rng.uniform(-loose, loose),
            y + rng.uniform(-loose, loose) - (0.03 if afloat else 0.0),
            side * rng.uniform(0.93, 1.07),
            rng.uniform(-0.08, 0.08),
            _COLOUR_INDEX[spec.colour] if spec.colour else -1,
            0.30 if shadow and not afloat else 0.0,
        )

    if scene.relation:
        first, second = _RELATED[scene.relation]
        put(0, 1, *second, 0.40, shadow=scene.relation != "below")
        put(1, 0, *first, 0.38, shadow=scene.relation not in ("above", "on"))
    else:
        part = scene.parts[0]
        for slot, (x, y) in enumerate(_SPOTS[part.count]):
            put(slot, 0, x, y, _SIDE[part.count] * _SCALE[part.size], shadow=True)
    return slots


def _aligned(scene: Scene, rng: random.Random, centred: bool) -> np.ndarray:
    """Slots [SLOTS, FIELDS] on whole cells; a thing alone stands two cells to a side in half of the pictures, or
    ``centred`` in all."""
    slots = np.full((SLOTS, FIELDS), -1.0, np.float32)
    afloat = scene.place in _AFLOAT

    def put(slot: int, part: int, corner: _Corner, side: int, shadow: bool) -> None:
        spec = scene.parts[part]
        slots[slot] = (
            spec.thing,
            (corner[0] + side / 2) / CELLS,
            (corner[1] + side / 2) / CELLS,
            side / CELLS,
            0.0,
            _COLOUR_INDEX[spec.colour] if spec.colour else -1,
            0.30 if shadow and not afloat else 0.0,
        )

    if scene.relation:
        first, second = _ALIGNED_RELATED[scene.relation]
        put(0, 1, second, 7, shadow=scene.relation != "below")
        put(1, 0, first, 7, shadow=scene.relation not in ("above", "on"))
        return slots
    part = scene.parts[0]
    side, corners = _ALIGNED[part.count]
    if part.count == 1:
        side, corner = _ALIGNED_ALONE[part.size] if part.size else (side, corners[0])
        aside = rng.choice((-2, 0, 0, 2)) if part.size != "big" and not centred else 0
        raised = 2 if afloat and part.size != "big" else 0
        corners = ((corner[0] + aside, corner[1] - raised),)
    for slot, corner in enumerate(corners):
        put(slot, 0, corner, side, shadow=True)
    return slots


def place(
    scene: Scene, rng: random.Random, aligned: bool = False, centred: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One scene's slots [SLOTS, FIELDS], ground [6] and wash [2, 3]; the module says what ``aligned`` is.

    ``centred``: things alone stand in the middle of aligned layouts.
    """
    slots = _aligned(scene, rng, centred) if aligned else _loose(scene, rng)
    kind = -1 if scene.place == PLAIN else _KIND_INDEX[scene.place, scene.time]
    mirrored = float(rng.random() < 0.5)
    ground = np.array([kind, rng.random(), mirrored, rng.random(), rng.random(), rng.uniform(0.95, 1.04)], np.float32)
    return slots, ground, _wash(scene, rng).clip(0, 1).astype(np.float32)


def lay_out(scenes: list[Scene], rngs: list[random.Random], aligned: bool = False, centred: bool = False) -> Layout:
    """Lay out a batch, each scene with its own generator."""
    rows = [place(s, r, aligned, centred) for s, r in zip(scenes, rngs, strict=True)]
    slots, ground, wash = (np.stack(column) for column in zip(*rows, strict=True))
    return Layout(slots, ground, wash)
