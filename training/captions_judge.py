"""The judge's own grammar: yes-or-no questions about one fact of a picture. Written apart from ``captions``, so that
the judge doesn't inherit that grammar's habits; the two share only the world's nouns."""

import random
from collections.abc import Callable
from typing import NamedTuple

from training.scene import Scene
from training.world import COLOURS, PLAIN, Thing

_WHERE: dict[str, tuple[str, ...]] = {
    "snow": ("is it snowing?", "does the ground lie under snow?", "snow?"),
    "beach": ("is this at a beach?", "is there a sandy shore?", "beach?"),
    "grass": ("does it stand on grass?", "is this a green meadow?", "grass?"),
    "desert": ("is this a desert?", "are there dunes?", "desert?"),
    "forest": ("are there many trees behind?", "is this in a forest?", "forest?"),
    "city": ("are there houses of a town behind?", "is this a city?", "city?"),
    "mountains": ("are there mountains?", "do peaks rise behind?", "mountains?"),
    "water": ("is this on a lake?", "does it float on water?", "lake?"),
    "sky": ("is it up among clouds?", "is this in the sky?", "sky?"),
    "sea": ("is this underwater?", "is it under the sea?", "underwater?"),
    "space": ("is this in outer space?", "is it out among stars and galaxies?", "space?"),
}
_WHEN: dict[str, tuple[str, ...]] = {
    "night": ("is it night?", "is it dark outside?", "night?"),
    "sunset": ("is the sun setting?", "is it evening?", "sunset?"),
}
_HOW: dict[str, tuple[str, ...]] = {
    "left": ("is {a} left of {b}?", "does {a} stand at the left side of {b}?"),
    "right": ("is {a} right of {b}?", "does {a} stand at the right side of {b}?"),
    "above": ("is {a} above {b}?", "is {a} higher than {b}?"),
    "below": ("is {a} below {b}?", "is {a} lower than {b}?"),
    "on": ("is {a} on {b}?", "does {a} sit on {b}?"),
    "beside": ("is {a} beside {b}?", "are {a} and {b} side by side?"),
}
_NUMBER = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}
# Relations whose pictures cannot answer each other's question with a clear no.
_COMPATIBLE = {("left", "beside"), ("right", "beside"), ("beside", "left"), ("beside", "right"), ("on", "above")}


class Question(NamedTuple):
    """A question, its truth, and what it is about: numbers of things, and the colour, count, relation or surroundings
    that it names."""

    kind: str
    text: str
    truth: bool
    things: tuple[int, ...] = ()
    value: str | int = ""


def _is_there(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question:
    shown = [p.thing for p in scene.parts]
    truth = rng.random() < 0.5
    thing = rng.choice(shown) if truth else rng.choice([t for t in range(len(known)) if t not in shown])
    noun, nouns = rng.choice(known[thing].names)
    text = rng.choice((f"is there any {noun}?", f"does it show a {noun}?", f"{noun}?", f"are there {nouns}?"))
    return Question("thing", text, truth, (thing,))


def _which_colour(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question | None:
    coloured = [p for p in scene.parts if p.colour]
    if not coloured:
        return None
    part = rng.choice(coloured)
    truth = rng.random() < 0.5
    colour = part.colour if truth else rng.choice([c for c in COLOURS if c != part.colour])
    noun = known[part.thing].names[0][part.count > 1]
    be = "are" if part.count > 1 else "is"
    text = rng.choice((f"{be} the {noun} {colour}?", f"{be} the {noun} of {colour} colour?"))
    return Question("colour", text, truth, (part.thing,), colour or "")


def _how_many(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question | None:
    if scene.relation:
        return None
    part = scene.parts[0]
    truth = rng.random() < 0.5
    n = part.count if truth else rng.choice([k for k in _NUMBER if k != part.count])
    noun = known[part.thing].names[0][n > 1]
    be = "are" if n > 1 else "is"
    text = rng.choice((f"{be} there exactly {_NUMBER[n]} {noun}?", f"{be} there just {_NUMBER[n]} {noun}?"))
    return Question("count", text, truth, (part.thing,), n)


def _relation(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question | None:
    if not scene.relation:
        return None
    a, b = (f"the {known[p.thing].names[0][0]}" for p in scene.parts)
    truth = rng.random() < 0.5
    wrong = [r for r in _HOW if r != scene.relation and (scene.relation, r) not in _COMPATIBLE]
    relation = scene.relation if truth else rng.choice(wrong)
    text = rng.choice(_HOW[relation]).format(a=a, b=b)
    return Question("relation", text, truth, tuple(p.thing for p in scene.parts), relation)


def _place(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question | None:
    if scene.place not in _WHERE:
        if scene.place != PLAIN:
            return None
        place, truth = rng.choice(list(_WHERE)), False
    else:
        truth = rng.random() < 0.6
        place = scene.place if truth else rng.choice([p for p in _WHERE if p != scene.place])
    return Question("place", rng.choice(_WHERE[place]), truth, value=place)


def _time(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question | None:
    if scene.place == PLAIN or scene.place in ("sea", "space"):
        return None
    truth = scene.time != "day" and rng.random() < 0.6
    time = scene.time if truth else rng.choice([t for t in _WHEN if t != scene.time])
    return Question("time", rng.choice(_WHEN[time]), truth, value=time)


def _ground(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> Question | None:
    if not scene.ground:
        return None
    truth = rng.random() < 0.5
    colour = scene.ground if truth else rng.choice([c for c in COLOURS if c != scene.ground])
    text = rng.choice((f"is everything behind it {colour}?", f"is the background {colour}?"))
    return Question("ground", text, truth, value=colour)


KINDS: dict[str, Callable[[Scene, tuple[Thing, ...], random.Random], Question | None]] = {
    "thing": _is_there, "colour": _which_colour, "count": _how_many, "relation": _relation, "place": _place,
    "time": _time, "ground": _ground,
}  # fmt: skip


def questions(scene: Scene, known: tuple[Thing, ...], rng: random.Random, n: int) -> list[Question]:
    """``n`` questions about a scene; kinds that apply come round in random order."""
    asked: list[Question] = []
    while len(asked) < n:
        for kind in rng.sample(list(KINDS), len(KINDS)):
            question = KINDS[kind](scene, known, rng)
            if question is not None and len(asked) < n:
                asked.append(question)
    return asked


def words_of(known: tuple[Thing, ...]) -> list[str]:
    """Every phrase the grammar is made of, for the vocabulary."""
    tables = [p for t in (_WHERE, _WHEN, _HOW) for group in t.values() for p in group]
    frames = ["is are there any does it show a exactly just the of colour everything behind background", *COLOURS]
    return [*tables, *frames, *_NUMBER.values(), *(n for t in known for pair in t.names for n in pair)]
