from __future__ import annotations

import json

import pytest

from limner.errors import CorruptFile
from limner.models.dalle.text import normalise, read_words, split_hashtag
from tests.dalle import FIXTURES

WORDS = read_words(FIXTURES / "model" / "enwiki-words-frequency.txt")
TEXTS = json.loads((FIXTURES / "reference" / "text_normalizer.json").read_text("utf-8"))
TAGS = json.loads((FIXTURES / "reference" / "hashtag_split.json").read_text("utf-8"))


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case["input"][:30])
def test_as_the_training_code(case: dict[str, str]) -> None:
    assert normalise(case["input"], WORDS) == case["output"]


@pytest.mark.parametrize("case", TAGS, ids=lambda case: case["input"])
def test_hashtags_as_the_training_code(case: dict[str, str]) -> None:
    assert split_hashtag(case["input"], WORDS) == case["output"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<person> rides", " a person rides"),
        ("<person>, <person> and <person> dance", " people dance"),
        ("<PERSON> and a dog", " a person and a dog"),
        ("#newyorkcity", " newyorkcity"),  # without a word list
        ("x < y > z", " x z"),
        ("<s>hello</s> <pad>", " hello"),  # no special token can be written
    ],
)
def test_rules_without_a_fixture(text: str, wanted: str) -> None:
    assert normalise(text) == wanted


def test_a_long_text_takes_no_time() -> None:
    assert len(normalise("<person> " * 2000 + "#" + "ab" * 4000 + "<" * 3000, WORDS)) > 10


def test_words_that_are_no_text(tmp_path: object) -> None:
    path = FIXTURES / "model" / "flax_model.msgpack"
    with pytest.raises(CorruptFile, match="flax_model"):
        read_words(path)
