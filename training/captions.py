"""The training grammar: a Scene said in the many ways people type it. The judge's grammar is captions_judge.py."""

import random
import re

from training.scene import Part, Scene
from training.world import COLOURS, COUNTS, OPEN, PLACES, PLAIN, RELATIONS, SIZES, TIMES, Thing

WORD = r"[a-z0-9'\-]+"  # what the tokenizer takes for a word, in lower case
_OPENERS = ("a picture of", "a drawing of", "an image of", "a photo of", "an illustration of", "draw", "paint")
_FILLERS = (
    "background",
    "against",
    "wall",
    "colour",
    "color",
    "at",
    "plain",
    "scene",
    "very",
    "the",
    "grey",
    "there",
    "is",
)


def article(phrase: str) -> str:
    """The phrase with a or an before it."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def _noun_phrase(part: Part, known: tuple[Thing, ...], rng: random.Random) -> str:
    names = known[part.thing].names
    singular, many = names[0] if len(names) == 1 or rng.random() < 0.6 else rng.choice(names[1:])
    colour = "grey" if part.colour == "gray" and rng.random() < 0.5 else part.colour
    size = rng.choice(SIZES[part.size]) if part.size else None
    words = " ".join(w for w in (size, colour, singular if part.count == 1 else many) if w)
    if part.count > 1:
        return f"{rng.choices(COUNTS[part.count], (9, 1))[0]} {words}"
    form = rng.random()
    if singular == many and many.endswith("s"):  # scissors, fries: no "a"
        form *= 0.17
    return words if form < 0.12 else f"the {words}" if form < 0.17 else article(words)


def _things(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> str:
    phrases = [_noun_phrase(p, known, rng) for p in scene.parts]
    if scene.relation is None:
        return phrases[0]
    return f"{phrases[0]} {rng.choice(RELATIONS[scene.relation])} {phrases[1]}"


def _plain(ground: str, things: str, rng: random.Random) -> str:
    return rng.choice(
        (
            f"{things} on {article(ground)} background",
            f"{things}, {ground} background",
            f"{things} against {article(ground)} background",
            f"{things} in front of {article(ground)} wall",
            f"{things} on {ground}",
        )
    )


def caption(scene: Scene, known: tuple[Thing, ...], rng: random.Random) -> str:
    """One way of saying the scene, lower case, at most about twenty words."""
    things = _things(scene, known, rng)
    if rng.random() < 0.08:
        things = f"{rng.choice(_OPENERS)} {things}"
    if scene.place == PLAIN:
        return _plain(scene.ground, things, rng) if scene.ground else things
    time_after, time_alone = TIMES[scene.time]
    if scene.place == OPEN:
        after, alone = rng.choice(time_after), rng.choice(time_alone)
    else:
        place_after, place_alone = PLACES[scene.place]
        after, alone = rng.choice(place_after), rng.choice(place_alone)
        if time_after:
            form = rng.random()
            when = rng.choice(time_after) if form < 0.6 else rng.choice(time_alone)
            after += f" {when}" if form < 0.6 else f", {when}"
            alone += f" {rng.choice(time_after)}"
    form = rng.random()
    if form < 0.72:
        return f"{things} {after}"
    if form < 0.84:
        return f"{things}, {alone}"
    return f"{alone}, {things}"


def words(text: str) -> list[str]:
    """The text as the tokenizer splits it."""
    return re.findall(WORD, text.lower())


def vocabulary(known: tuple[Thing, ...]) -> dict[str, int]:
    """Every word the grammar can say, numbered: padding, unknown, begin and end first, then the words in order."""
    said = set(_FILLERS) | set(COLOURS) | {"a", "an", "the"} | set(words(" ".join(_OPENERS)))
    tables = (*SIZES.values(), *COUNTS.values(), *RELATIONS.values())
    phrases = [p for group in tables for p in group]
    phrases += [p for pair in (*PLACES.values(), *TIMES.values()) for group in pair for p in group]
    phrases += [n for thing in known for pair in thing.names for n in pair] + ["on in front of wall background against"]
    for phrase in phrases:
        said.update(words(phrase))
    return {w: i for i, w in enumerate(["<pad>", "<unk>", "<bos>", "<eos>", *sorted(said)])}


def encode(text: str, vocab: dict[str, int], length: int) -> list[int]:
    """``<bos> words <eos>`` cut and padded to ``length``: exactly what the packed tokenizer gives."""
    ids = [vocab["<bos>"], *[vocab.get(w, vocab["<unk>"]) for w in words(text)][: length - 2], vocab["<eos>"]]
    return ids + [vocab["<pad>"]] * (length - len(ids))
