"""The word lists of `limner.prompts.lint`, read once from ``lexicon.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files


class Slot(StrEnum):
    """What a prompt for a picture can say."""

    SUBJECT = "subject"
    ACTION = "action"
    PLACE = "place"
    LIGHT = "light"
    STYLE = "style"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """``grammar``: word classes. ``slots``: phrases by slot, and "quality". The others map a word to alternatives."""

    grammar: Mapping[str, frozenset[str]]
    slots: Mapping[str, frozenset[str]]
    fillers: Mapping[str, tuple[str, ...]]
    synonyms: Mapping[str, tuple[str, ...]]
    contradictions: Mapping[str, tuple[str, ...]]

    def is_a(self, word: str, *classes: str) -> bool:
        return any(word in self.grammar[name] for name in classes)


@cache
def lexicon() -> Lexicon:
    data = tomllib.loads(files("limner.prompts").joinpath("lexicon.toml").read_text("utf-8"))
    lists = {table: {key: _listed(words) for key, words in data[table].items()} for table in data}
    return Lexicon(
        grammar={key: frozenset(words) for key, words in lists["grammar"].items()},
        slots={key: frozenset(words) for key, words in lists["slots"].items()},
        fillers=lists["fillers"],
        synonyms=lists["synonyms"],
        contradictions=lists["contradictions"],
    )


def _listed(words: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in words.split(","))
