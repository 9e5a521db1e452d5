"""The word lists of `limner.prompts.lint`, read once from ``lexicon.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

_NONE: frozenset[str] = frozenset()


class Slot(StrEnum):
    """What a prompt for a picture can say."""

    SUBJECT = "subject"
    ACTION = "action"
    PLACE = "place"
    LIGHT = "light"
    STYLE = "style"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """``grammar``: the classes of a word. ``slots``: phrases by slot, and "quality". The rest: a word to others."""

    grammar: Mapping[str, frozenset[str]]
    slots: Mapping[str, frozenset[str]]
    fillers: Mapping[str, tuple[str, ...]]
    synonyms: Mapping[str, tuple[str, ...]]
    contradictions: Mapping[str, tuple[str, ...]]

    def is_a(self, word: str, *classes: str) -> bool:
        return not self.grammar.get(word, _NONE).isdisjoint(classes)


@cache
def lexicon() -> Lexicon:
    data = tomllib.loads(files("limner.prompts").joinpath("lexicon.toml").read_text("utf-8"))
    lists = {table: {key: _listed(words) for key, words in data[table].items()} for table in data}
    return Lexicon(
        grammar=_turned(lists["grammar"]),
        slots={key: frozenset(words) for key, words in lists["slots"].items()},
        fillers=lists["fillers"],
        synonyms=lists["synonyms"],
        contradictions=lists["contradictions"],
    )


def _turned(lists: Mapping[str, tuple[str, ...]]) -> Mapping[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, words in lists.items():
        for word in words:
            found.setdefault(word, set()).add(name)
    return {word: frozenset(names) for word, names in found.items()}


def _listed(words: str) -> tuple[str, ...]:
    return tuple(" ".join(word.split()) for word in words.split(","))
