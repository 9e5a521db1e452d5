"""A scene before it is drawn or said: which things, how many, what colour, where. Drawn from a seed, split by hash.

Training never sees a *held-out* combination (a thing with a colour, a thing at a place, a count of a thing, an ordered
pair in a relation); evaluation asks for nothing else. Which is which depends on the names alone.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from training.world import COLOURS, COUNTS, OPEN, PLACES, PLAIN, RELATIONS, TIMELESS, TIMES, Thing

HELD_OUT_SHARE = 16  # one combination in so many is never trained on


@dataclass(frozen=True, slots=True)
class Part:
    """A thing in a scene. ``colour`` and ``size`` are None when the caption names none."""

    thing: int
    colour: str | None = None
    size: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """One or two parts (``relation`` says how the first stands to the second) and the surroundings.

    ``place`` is a key of PLACES, OPEN or PLAIN; ``ground`` is the colour of a plain background, None for the pale wall.
    """

    parts: tuple[Part, ...]
    relation: str | None = None
    place: str = PLAIN
    time: str = "day"
    ground: str | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """How often each kind of scene is drawn: a curriculum moves from SINGLE to FULL."""

    single: float
    counted: float
    related: float
    coloured: float
    sized: float
    plain: float


SINGLE = Mix(single=1.0, counted=0.0, related=0.0, coloured=0.15, sized=0.1, plain=0.6)
FULL = Mix(single=0.42, counted=0.14, related=0.44, coloured=0.5, sized=0.2, plain=0.4)
ALONE = Mix(single=0.6, counted=0.12, related=0.28, coloured=0.4, sized=0.15, plain=0.4)  # what few weights can learn


def blend(a: Mix, b: Mix, t: float) -> Mix:
    """The mix a share ``t`` of the way from ``a`` to ``b``."""
    names = Mix.__slots__
    return Mix(**{n: (1 - t) * getattr(a, n) + t * getattr(b, n) for n in names})


def combinations(scene: Scene, known: tuple[Thing, ...]) -> Iterator[str]:
    """The named pairings a scene shows, each as a stable text."""
    for part in scene.parts:
        name = known[part.thing].name
        if part.colour:
            yield f"colour|{part.colour}|{name}"
        if part.count > 1:
            yield f"count|{part.count}|{name}"
        if scene.place != PLAIN:
            yield f"place|{scene.place}|{scene.time}|{name}"
    if scene.relation:
        first, second = (known[p.thing].name for p in scene.parts)
        yield f"relation|{scene.relation}|{first}|{second}"


def held_out(combination: str) -> bool:
    """Whether training must not see this combination."""
    return hashlib.sha256(combination.encode()).digest()[0] % HELD_OUT_SHARE == 0


def is_held_out(scene: Scene, known: tuple[Thing, ...]) -> bool:
    """Whether any combination of the scene is held out."""
    return any(held_out(c) for c in combinations(scene, known))


def _surroundings(scene: Scene, rng: random.Random, plain: float) -> Scene:
    if rng.random() < plain:
        return replace(scene, ground=rng.choice(list(COLOURS)) if rng.random() < 0.4 else None)
    place = rng.choice([*PLACES, OPEN])
    if place == OPEN:
        return replace(scene, place=OPEN, time=rng.choice(("night", "sunset")))
    time = "day" if place in TIMELESS or rng.random() < 0.6 else rng.choice(("night", "sunset"))
    return replace(scene, place=place, time=time)


def draw(rng: random.Random, things: int, mix: Mix) -> Scene:
    """A scene of ``things`` known things, whatever its combinations."""

    def part(count: int = 1) -> Part:
        colour = rng.choice(list(COLOURS)) if rng.random() < mix.coloured else None
        return Part(rng.randrange(things), colour, count=count)

    kind = rng.random() * (mix.single + mix.counted + mix.related)
    if kind < mix.single:
        alone = part()
        if rng.random() < mix.sized:
            alone = replace(alone, size=rng.choice(("big", "small")))
        scene = Scene((alone,))
    elif kind < mix.single + mix.counted:
        scene = Scene((part(rng.choice(list(COUNTS))),))
    else:
        first, second = part(), part()
        while second.thing == first.thing and things > 1:
            second = part()
        scene = Scene((first, second), relation=rng.choice(list(RELATIONS)))
    scene = _surroundings(scene, rng, mix.plain)
    # A thing of the background's own colour could not be seen.
    if scene.ground and any(p.colour == scene.ground for p in scene.parts):
        scene = replace(scene, ground=None)
    return scene


def training_scene(rng: random.Random, known: tuple[Thing, ...], mix: Mix, things: int | None = None) -> Scene:
    """A scene none of whose combinations is held out."""
    while True:
        scene = draw(rng, things or len(known), mix)
        if not is_held_out(scene, known):
            return scene


def atoms(scene: Scene, known: tuple[Thing, ...]) -> dict[str, object]:
    """What can be asked of a picture of the scene, for the evaluation's prompt list."""
    return {
        "things": [known[p.thing].name for p in scene.parts],
        "colours": [p.colour for p in scene.parts],
        "counts": [p.count for p in scene.parts],
        "sizes": [p.size for p in scene.parts],
        "relation": scene.relation,
        "place": scene.place,
        "time": scene.time,
        "ground": scene.ground,
    }


assert set(TIMES) >= {"day", "night", "sunset"}
