"""Scenes that are almost another scene: one colour, count, relation, place or thing changed."""

import random
from collections.abc import Callable
from dataclasses import replace

from training.scene import Part, Scene
from training.world import COLOURS, COUNTS, PLACES, PLAIN, TIMELESS

_OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above", "on": "below", "beside": "above"}


def _with(scene: Scene, at: int, part: Part) -> Scene:
    return replace(scene, parts=tuple(part if k == at else p for k, p in enumerate(scene.parts)))


def _other(rng: random.Random, options: list[str], taken: str | None) -> str:
    return rng.choice([o for o in options if o != taken])


def _colour(scene: Scene, rng: random.Random, things: int) -> Scene | None:
    coloured = [k for k, p in enumerate(scene.parts) if p.colour]
    if len(scene.parts) == 2 and scene.parts[0].colour != scene.parts[1].colour and rng.random() < 0.5:
        first, second = scene.parts
        swapped = (replace(first, colour=second.colour), replace(second, colour=first.colour))
        return replace(scene, parts=swapped)
    if not coloured:
        return None
    at = rng.choice(coloured)
    part = scene.parts[at]
    return _with(scene, at, replace(part, colour=_other(rng, list(COLOURS), part.colour)))


def _count(scene: Scene, rng: random.Random, things: int) -> Scene | None:
    if scene.relation:
        return None
    part = scene.parts[0]
    return _with(scene, 0, replace(part, count=rng.choice([n for n in (1, *COUNTS) if n != part.count])))


def _relation(scene: Scene, rng: random.Random, things: int) -> Scene | None:
    return replace(scene, relation=_OPPOSITE[scene.relation]) if scene.relation else None


def _place(scene: Scene, rng: random.Random, things: int) -> Scene | None:
    if scene.place == PLAIN:
        return replace(scene, ground=_other(rng, list(COLOURS), scene.ground)) if scene.ground else None
    if scene.place not in TIMELESS and rng.random() < 0.4:
        return replace(scene, time=_other(rng, ["night", "sunset"], scene.time))
    place = _other(rng, list(PLACES), scene.place)
    return replace(scene, place=place, time="day" if place in TIMELESS else scene.time)


def _thing(scene: Scene, rng: random.Random, things: int) -> Scene | None:
    at = rng.randrange(len(scene.parts))
    taken = {p.thing for p in scene.parts}
    other = rng.choice([t for t in range(things) if t not in taken])
    return _with(scene, at, replace(scene.parts[at], thing=other))


CHANGES: dict[str, Callable[[Scene, random.Random, int], Scene | None]] = {
    "colour": _colour, "count": _count, "relation": _relation, "place": _place, "thing": _thing,
}  # fmt: skip


def negatives(scene: Scene, rng: random.Random, things: int, n: int) -> list[tuple[str, Scene]]:
    """``n`` changed scenes, each with the name of what was changed; kinds that apply come round in random order."""
    found: list[tuple[str, Scene]] = []
    while len(found) < n:
        for kind in rng.sample(list(CHANGES), len(CHANGES)):
            changed = CHANGES[kind](scene, rng, things)
            if changed is not None and changed != scene and len(found) < n:
                found.append((kind, changed))
    return found
