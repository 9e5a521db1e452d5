"""The main thing of a prompt, for prompts as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.prompts.nouns import clauses, main_noun, words

MAIN = {
    "a red fox in the snow": "fox",
    "an astronaut riding a horse": "astronaut",
    "portrait of an old man": "man",
    "two cats on the beach": "cats",
    "fox": "fox",
    "the moon": "moon",
    "a butterfly": "butterfly",
    "a photo of a cat sleeping on a sofa": "cat",
    "watercolor painting of a lighthouse at sunset": "lighthouse",
    "masterpiece, best quality, a girl with long hair": "girl",
    "in the snow, a red fox": "fox",
    "an orange on a plate": "orange",
    "a black and white cat": "cat",
    "a small and furry cat": "cat",
    "close-up of a bee on a flower": "bee",
    "close up of a tiger": "tiger",
    "bird's eye view of a city": "city",
    "sunset over the mountains": "sunset",
    "a beach at sunset": "beach",
    "a group of penguins on the ice": "penguins",
    "a flying car in tokyo at night": "car",
    "oil painting portrait of an old woman wearing a hat": "woman",
    "golden hour photo of a lone tree in a field": "tree",
    "a coffee cup on a wooden table": "cup",
    "draw me a picture of a dragon": "dragon",
    "I want a picture of a small house by the sea": "house",
    "there is a cat on the table": "cat",
    "a cat drinks tea": "cat",
    "two big drinks on a bar": "drinks",
    "the Eiffel Tower at night": "tower",
    "cinematic lighting, a robot holding a red rose": "robot",
    "a castle on a hill surrounded by fog": "castle",
    "3 dogs playing poker, oil painting": "dogs",
    "a king sitting on a throne": "king",
    "a painting of a painting": "painting",
    "dragon digital art": "dragon",
    "a man's hat on a chair": "hat",
    "a sign that says hello": "sign",
    "vibrant, colorful, a parrot": "parrot",
    "cyberpunk city street, neon lights, rain": "street",
    "a fox jumps over the lazy dog": "fox",
    "trending on artstation, a wizard casting a spell": "wizard",
    "golden hour, a fox, shallow depth of field": "fox",
    "in the style of ukiyo-e, a great wave": "wave",
    "low poly fox": "fox",
    "a neon sign that glows": "sign",
    "a swirling, multicolored portal emerges from the depths of an ocean": "portal",
    "a photograph of the inside of a subway train. There are frogs on the seats": "train",
    "A raccoon wearing formal clothes, wearing a tophat and holding a cane": "raccoon",
    "Portrait of a gecko wearing a train conductor's hat": "gecko",
    "happy birthday card with a dog": "card",
    "ein roter Fuchs": "fuchs",
}


@pytest.mark.parametrize(("prompt", "noun"), MAIN.items())
def test_main_noun(prompt: str, noun: str) -> None:
    assert main_noun(clauses(prompt)) == noun


def test_nothing_said_has_no_main_noun() -> None:
    assert main_noun(clauses("")) is None
    assert main_noun(clauses(" ,.!? ")) is None


def test_words_and_clauses() -> None:
    assert words("Don’t draw X-ray_fish, 1.5") == ["don't", "draw", "x-ray", "fish", "1", "5"]
    assert clauses("a fox, big (red) - new. 1.5 m") == [["a", "fox"], ["big"], ["red"], ["new"], ["15", "m"]]


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet="aorfinxgsed ,'-", max_size=80))
def test_any_text_has_a_main_noun_from_its_own_words(text: str) -> None:
    noun = main_noun(clauses(text))
    assert noun is None or any(noun in clause for clause in clauses(text))
