"""What lint says of a prompt, for a model that knows few words and for one that can spell any."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.prompts.lint import OpenVocabulary, Slot, WordVocabulary, lint

KNOWN = """a an the in on at of and two three red blue yellow gray fox cat cats dog horse horses penguin owl riding big
small snow beach grass forest sea night sunset butterfly color mouse"""
FEW = WordVocabulary(
    KNOWN.split(),
    limit=22,
)
ANY = OpenVocabulary(lambda text: len(text.split()), limit=75)


def test_a_prompt_the_model_knows() -> None:
    found = lint("a red fox in the snow at night", FEW)
    assert found.unknown == ()
    assert (found.main_noun, found.main_noun_unknown) == ("fox", False)
    assert (found.tokens, found.chunks) == (8, 1)
    assert found.problems == ()
    assert found.slots[Slot.SUBJECT] == ("fox",)
    assert found.slots[Slot.PLACE] == ("snow",)
    assert found.slots[Slot.LIGHT] == ("night",)
    assert found.missing == (Slot.ACTION, Slot.STYLE)
    assert found.proposal is None


def test_slots_of_a_full_prompt() -> None:
    found = lint("oil painting of an astronaut riding a horse on a beach, golden hour", ANY)
    assert found.slots == {
        Slot.SUBJECT: ("astronaut", "horse"),
        Slot.ACTION: ("riding",),
        Slot.PLACE: ("beach",),
        Slot.LIGHT: ("golden hour",),
        Slot.STYLE: ("oil painting",),
    }
    assert found.missing == ()
    assert found.proposal is None


def test_lettering_is_no_subject() -> None:
    found = lint('a green sign in a living room that says "Very Deep Learning"', ANY)
    assert found.main_noun == "sign"
    assert found.slots[Slot.SUBJECT] == ("sign",)
    assert found.slots[Slot.ACTION] == ()
    assert found.slots[Slot.PLACE] == ("living room",)
    assert lint("the word 'START' written in chalk on a dog's house", ANY).main_noun == "word"
    assert lint('"Hello world"', ANY).main_noun == "world"


def test_words_the_model_cannot_see() -> None:
    found = lint("A (Giraffe:1.2) and the wolf of [dog:lynx:0.5], <lora:zebra:1>", FEW)
    assert found.unknown == ("giraffe", "wolf", "lynx")
    assert (found.main_noun, found.main_noun_unknown) == ("giraffe", True)
    assert found.proposal is None


def test_a_model_that_spells_anything_has_no_unknown_words() -> None:
    found = lint("a xylophonist", ANY)
    assert found.unknown == ()
    assert not found.main_noun_unknown


@pytest.mark.parametrize(
    ("prompt", "proposal"),
    [
        ("a kitten in the snow at night", "a cat in the snow at night"),
        ("two kittens on the lawn at night", "two cats on the grass at night"),
        ("three Ponies on the beach at night", "three horses on the beach at night"),
        ("a pengiun in the snow at night", "a penguin in the snow at night"),
        ("a foxs in the snow at night", "a fox in the snow at night"),
        ("a grey (kitten:1.2) in the jungle, sunset", "a gray (cat:1.2) in the forest, sunset"),
        ("a red fox", "a red fox, on the grass, at sunset"),
        ("kitten <lora:kitten:1> on grass at night", "cat <lora:kitten:1> on grass at night"),
    ],
)
def test_proposals_keep_to_known_words(prompt: str, proposal: str) -> None:
    assert lint(prompt, FEW).proposal == proposal


def test_a_moose_is_no_mouse() -> None:
    assert lint("a moose", FEW).proposal is None


def test_a_proposal_for_a_large_model_is_modest() -> None:
    assert lint("a lighthouse", ANY).proposal == "a lighthouse, soft natural light, photograph"
    assert lint("word " * 74 + "fox", ANY).proposal is None


@pytest.mark.parametrize(
    ("prompt", "part"),
    [
        ("a (fox", "never closed"),
        ("“a fox”", "typographic"),
        ("a （fox）", "full-width"),
        ("a (fox:2.5)", "weight 2.5"),
        ("a (fox:0.2)", "weight 0.2"),
        ("a street with no people", '--negative "people"'),
        ("a street without any red cars in it", '--negative "red cars"'),
        ("a sunny beach at night", "“sunny” and “night”"),
        ("black and white photo, colorful", "“black and white” and “colorful”"),
        ("fox, 4k, 4k, 4k", "3 times"),
        ("a red red fox", "“red red”"),
    ],
)
def test_problems(prompt: str, part: str) -> None:
    (problem,) = lint(prompt, ANY).problems
    assert part in problem


@pytest.mark.parametrize(
    "prompt",
    ["a fox", "(a fox:1.4)", "the dog’s ball", 'a "quoted" sign', "day one, fox and fox", "number no. 5", r"\(a\)"],
)
def test_nothing_to_complain_about(prompt: str) -> None:
    assert lint(prompt, ANY).problems == ()


def test_tokens_and_chunks() -> None:
    assert lint("fox " * 22, FEW).chunks == 1
    assert (lint("fox " * 23, FEW).tokens, lint("fox " * 23, FEW).chunks) == (23, 2)
    assert lint("a fox BREAK snow", FEW).chunks == 2
    assert lint("[fox:a big red fox:0.5]", FEW).tokens == 4
    assert (lint("", FEW).tokens, lint("", FEW).chunks) == (0, 1)


def test_an_empty_prompt() -> None:
    found = lint("", FEW)
    assert found.main_noun is None
    assert found.missing == tuple(Slot)
    assert found.proposal is None


@settings(deadline=None)
@given(st.text(max_size=300) | st.text(alphabet="a fox()[]:|.5,<>“no BREAK", max_size=100))
def test_any_string(text: str) -> None:
    for vocabulary in (FEW, ANY):
        found = lint(text, vocabulary)
        assert found.chunks >= 1
        assert set(found.slots) == set(Slot)
        assert found.proposal != text
    assert all(not FEW.knows(word) for word in lint(text, FEW).unknown)


@pytest.mark.parametrize("unit", ["fox ", "wolf1 ", "(", "no ", "<", "fox, ", "[a|b]", "-", " - ", "'"])
def test_long_prompts(unit: str) -> None:
    text = "".join(unit.replace("1", str(i)) for i in range(20_000 // len(unit)))
    assert lint(text, FEW).chunks >= 1


@pytest.mark.parametrize(
    ("prompt", "unknown", "blind"),
    [
        ("🦊", ("🦊",), True),
        ("a 🦊 in the ❄️", ("🦊", "❄️"), False),
        ("a family 👨‍👩‍👧 and 👍🏽 in 🇩🇪", ("family", "👨‍👩‍👧", "👍🏽", "🇩🇪"), False),
        ("雪中的狐狸", ("雪中的狐狸",), True),
        ("... !!!", (), True),
        ("a cat -> a dog, 50 %", ("50",), False),
        ("the cat", (), False),
    ],
)
def test_pictographs_and_other_scripts_are_words_it_cannot_see(
    prompt: str, unknown: tuple[str, ...], blind: bool
) -> None:
    found = lint(prompt, FEW)
    assert found.unknown == unknown
    assert found.blind is blind
    assert not lint(prompt, ANY).blind
