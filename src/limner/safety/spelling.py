"""Slips of the keyboard in the words that matter most: a letter left out, or two changed about (``nakd``, ``chlid``).

Only words of ``lists/spelling.toml`` are sought, and only what is no word of its own: ``copse`` is no ``corpse``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

_SHORTEST: Final = 5  # letters of a word that slips are sought of


def respelt(word: str) -> str | None:
    """The word that a slip stands for; ``None`` where it is none. ``word`` is folded."""
    return _slips().get(word)


def slips(word: str) -> Iterator[str]:
    """What the slips of a word look like. Its first letter always stays."""
    for k in range(1, len(word)):
        yield word[:k] + word[k + 1 :]
        if k + 1 < len(word):
            yield word[:k] + word[k + 1] + word[k] + word[k + 2 :]


@cache
def _slips() -> dict[str, str]:
    table = tomllib.loads(files("limner.safety").joinpath("lists", "spelling.toml").read_text("utf-8"))
    words = table["words"].split()
    real = {*table["real"].split(), *words}
    found = {slip: word for word in words if len(word) >= _SHORTEST for slip in slips(word) if slip not in real}
    return found | dict(zip(table["common"].split()[::2], table["common"].split()[1::2], strict=True))
