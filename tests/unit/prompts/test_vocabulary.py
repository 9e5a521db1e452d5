"""Words that a model was taught, as it reads them."""

from __future__ import annotations

import pytest

from limner.prompts.vocabulary import TaughtVocabulary

READ = {"red-and-blue": "red and blue", "fóx": "fox", "t-shirt": "t shirt", "¬": ""}


@pytest.mark.parametrize(
    ("word", "known"),
    [("Fox", True), ("fóx", True), ("red-and-blue", True), ("t-shirt", True), ("shirt", True), ("dog", False),
     ("red-and-green", False), ("¬", False)],
)  # fmt: skip
def test_a_word_is_known_where_all_that_is_read_of_it_is(word: str, known: bool) -> None:
    taught = TaughtVocabulary(["fox", "red", "and", "blue", "t-shirt"], 9, len, lambda text: READ.get(text, text))
    assert taught.knows(word) is known
