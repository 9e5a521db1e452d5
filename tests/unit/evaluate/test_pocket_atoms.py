"""The rules that split words into questions, on sentences written for them and on the training's held-out prompts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training import captions_judge
from training.world import COLOURS, PLACES, RELATIONS, TIMES

from limner.evaluate.pocket_atoms import Atom, atoms, read
from limner.evaluate.pocket_words import world

CAT = 0  # the first of the world's things
HELD_OUT = Path(__file__).parents[3] / "training" / "evaluate" / "heldout.jsonl"


def asked(text: str) -> list[str]:
    return [atom.question for atom in atoms(text)]


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("a red fox in the snow", ["is there any fox?", "is the fox red?", "does the ground lie under snow?"]),
        ("A RED FOX!", ["is there any fox?", "is the fox red?"]),
        ("two kittens", ["is there any cat?", "are there exactly two cats?"]),
        ("a black and white cat", ["is there any cat?", "is the cat black?", "is the cat white?"]),
        ("an orange cat", ["is there any cat?", "is the cat orange?"]),
        ("an orange on the beach", ["is there any orange?", "is this at a beach?"]),
        ("the fox is orange", ["is there any fox?", "is the fox orange?"]),
        ("the fox is red", ["is there any fox?", "is the fox red?"]),
        ("a fox on a grey background", ["is there any fox?", "is the background gray?"]),
        ("a fox on blue", ["is there any fox?", "is the background blue?"]),
        ("a fox and a cat", ["is there any fox?", "is there any cat?"]),
        ("snow, a fox", ["does the ground lie under snow?", "is there any fox?"]),
        (
            "a fox to the left of two red cats at night",
            [
                "is there any fox?",
                "is there any cat?",
                "are there exactly two cats?",
                "are the cats red?",
                "is the fox left of the cat?",
                "is it night?",
            ],
        ),
    ],
)
def test_what_is_asked(text: str, questions: list[str]) -> None:
    assert asked(text) == questions


@pytest.mark.parametrize(
    ("text", "questions", "unasked"),
    [
        ("a fox without snow", ["is there any fox?"], ("without", "snow")),
        ("a fluffy red fox", ["is there any fox?", "is the fox red?"], ("fluffy",)),
        ("a red thingamajig on a fox", ["is there any fox?"], ("thingamajig", "red")),
        ("seven gizmos", [], ("seven", "gizmos")),
        ("", [], ()),
    ],
)
def test_what_no_question_stands_for_is_named(text: str, questions: list[str], unasked: tuple[str, ...]) -> None:
    assert [a.question for a in read(text).atoms] == questions
    assert read(text).unasked == unasked


def test_an_atom_keeps_the_words_it_was_read_off() -> None:
    assert atoms("two red kittens in a meadow") == (
        Atom("thing", "is there any cat?", "kittens", (CAT,)),
        Atom("count", "are there exactly two cats?", "two red kittens", (CAT,), 2),
        Atom("colour", "are the cats red?", "two red kittens", (CAT,), "red"),
        Atom("place", "does it stand on grass?", "in a meadow", (), "grass"),
    )


def wanted(row: dict[str, object]) -> set[tuple[str, str]]:
    """The kinds and facts of a held-out prompt that are stated in it."""
    things, colours, counts = row["things"], row["colours"], row["counts"]
    assert isinstance(things, list)
    assert isinstance(colours, list)
    assert isinstance(counts, list)
    facts = {("thing", f"any {t}?") for t in things}
    facts |= {("colour", f" {c}?") for c in colours if c}
    facts |= {("count", f"exactly {captions_judge._NUMBER[n]} ") for n in counts if n > 1}
    if row["time"] != "day":
        facts.add(("time", captions_judge._WHEN[str(row["time"])][0]))
    return facts


def test_the_facts_of_the_held_out_prompts_are_found() -> None:
    rows = [json.loads(line) for line in HELD_OUT.read_text().splitlines()]
    missed = []
    for row in rows:
        found = atoms(row["prompt"])
        missed += [
            (row["prompt"], fact)
            for fact in wanted(row)
            if not any(a.kind == fact[0] and fact[1] in a.question for a in found)
        ]
        joined = any(f" {w} " in row["prompt"] for w in ("and", "with"))
        if row["relation"] and not joined and not any(a.kind == "relation" for a in found):
            missed.append((row["prompt"], ("relation", row["relation"])))
        if row["place"] in PLACES and not any(a.kind == "place" for a in found):
            missed.append((row["prompt"], ("place", row["place"])))
    facts = sum(len(wanted(row)) for row in rows)
    assert len(missed) <= 0.01 * facts, missed


SAID = ["a", "red", "fox", "cats", "on", "in", "snow", ",", "and", "orange", "no", "is", "two"]


@given(st.text(max_size=80) | st.lists(st.sampled_from(SAID)).map(" ".join))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_and_no_question_is_asked_twice(text: str) -> None:
    found = read(text)
    assert len({a.question for a in found.atoms}) == len(found.atoms)
    assert read(text.upper() if text.isascii() else text) == found


def test_the_words_are_those_of_the_training() -> None:
    known = world()
    assert {m.value for m in known.phrases.values() if m.meaning == "colour"} == set(COLOURS) - {"orange"}
    assert {m.value for m in known.phrases.values() if m.meaning == "relation"} == set(RELATIONS)
    assert {m.value for m in known.phrases.values() if m.meaning == "place"} == set(PLACES)
    assert {m.value for m in known.phrases.values() if m.meaning == "time"} == set(TIMES) - {"day"}
