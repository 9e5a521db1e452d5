"""Atoms and edits of prompts: what is split where, and that an edit keeps the user's words."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.prompts.syntax import parse_weights
from limner.refine.atoms import atoms, plain
from limner.refine.nonsense import cleaned, fault, usable
from limner.refine.operators import emphasised, reordered, said_again, said_first, swapped, without

SCENE = "two cats and a blue dog on the beach at night, watercolor"


def said(text: str) -> list[tuple[str, str]]:
    return [(atom.lead, atom.text) for atom in atoms(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red fox in the snow", [("", "a red fox"), ("in", "the snow")]),
        (SCENE, [("", "two cats"), ("", "a blue dog"), ("on", "the beach"), ("at", "night"), ("", "watercolor")]),
        ("a glass of wine in front of a door", [("", "a glass of wine"), ("in front of", "a door")]),
        ("красная лиса, снег", [("", "красная лиса"), ("", "снег")]),
        ("fox", [("", "fox")]),
        ("...", []),
    ],
)
def test_atoms(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@given(st.text(max_size=120))
def test_atoms_are_parts_of_the_text_in_order(text: str) -> None:
    words = " ".join(text.split())
    found = atoms(words)
    assert all(words[atom.start : atom.end] == atom.text for atom in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


@given(st.text(alphabet="ab ,()[]:|\\1.", max_size=40))
def test_a_stressed_phrase_leaves_the_words_as_they_are(text: str) -> None:
    words = plain(text)
    for atom in atoms(words):
        pieces = parse_weights(emphasised(words, atom, 1.3))
        assert "".join(getattr(piece, "text", " ") for piece in pieces) == words


def test_edits() -> None:
    own = "a red fox in the snow"
    snow = atoms(own)[1]
    assert emphasised(own, snow, 1.3) == "a red fox in (the snow:1.3)"
    assert said_first(own, snow) == "the snow, a red fox in the snow"
    assert said_first(SCENE, atoms(SCENE)[1]) == "a blue dog, two cats on the beach at night, watercolor"
    assert said_again(own, snow) == "a red fox in the snow, the snow"
    assert without(own, snow) == "a red fox"
    assert reordered(own, atoms(own)) == ["in the snow, a red fox"]
    assert swapped(own) == ["one red fox in the snow"]


def test_leaving_a_phrase_out_leaves_no_joint_or_comma_behind() -> None:
    found = atoms(SCENE)
    assert without(SCENE, found[0]) == "a blue dog on the beach at night, watercolor"
    assert without(SCENE, found[1]) == "two cats on the beach at night, watercolor"
    assert without(SCENE, found[3]) == "two cats and a blue dog on the beach, watercolor"


def test_plain_words_have_no_weights() -> None:
    assert plain("a (red:1.4) fox BREAK [snow]") == "a red fox snow"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "nothing"),
        ("  \n", "nothing"),
        ("A red FOX, in the snow!", "own words again"),
        ("fox " * 2_000, "characters"),
        ("I'm sorry, I cannot help with that", "talked"),
        ("Sure! a fox", "talked"),
        ("very " * 15, "repeated"),
        ("a fox\x07", "control"),
    ],
)
def test_nonsense_is_caught_and_told(answer: str, why: str) -> None:
    told: list[str] = []
    assert usable(answer, "a red fox in the snow", told.append) is None
    assert why in told[0]


@pytest.mark.parametrize("line", ['1. "a fox in deep snow"', "- a fox in deep snow", "Prompt 2: a fox in deep snow"])
def test_lines_of_an_answer_are_cleaned(line: str) -> None:
    assert cleaned(line) == "a fox in deep snow"
    assert fault("a fox in deep snow", "a fox") is None
