"""The words that pictures are scored against."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.canonical import tagged
from limner.evaluate.words import plain_words, text_hash


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a red fox", "a red fox"),
        ("  a   red\nfox ", "a red fox"),
        ("a (red:1.3) fox in the ((snow))", "a red fox in the snow"),
        ("a fox [in snow]", "a fox in snow"),
        (r"a fox \(animal\)", "a fox (animal)"),
        ("a fox BREAK snow", "a fox snow"),
        ("a [cat:fox:0.5] in snow", "a fox in snow"),
        ("a fox <lora:ink:0.8> in snow", "a fox in snow"),
        ("(unclosed", "(unclosed"),
        ("", ""),
    ],
)
def test_prompts_without_their_grammar(prompt: str, words: str) -> None:
    assert plain_words(prompt) == words


@given(st.text())
def test_any_text_has_words_and_a_hash(text: str) -> None:
    assert plain_words(text) == " ".join(plain_words(text).split())
    assert text_hash(text) == tagged(text.encode())
