"""The text normaliser that DALL-E mini was trained behind. Torch-free.

A prompt reaches the model only as the captions did: repaired, transliterated to ASCII, lower case, with punctuation
reduced to commas, quotes and dots inside words. The steps and their order are those of the training code
(https://github.com/borisdayma/dalle-mini), stated anew; where that chose among words at random, this always takes the
first.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import inf, log
from pathlib import Path

from limner.errors import CorruptFile

__all__ = ["normalise", "read_words", "split_hashtag"]

MAX_WORDS = 64 << 20  # bytes of a word list; the published one has 34 million
_MARK = "xtokx{}xtokx"

Words = Mapping[str, float]
"""What a word costs in a hashtag: the logarithm of its rank."""


def normalise(text: str, words: Words | None = None) -> str:
    """The text as the model was trained to read it: one space, then the words.

    ``words`` split hashtags; without them a hashtag stays one word. Text that says nothing ("...") gives one space.
    """
    text = _ascii(_repaired(text)).lower()
    for step in _STEPS:
        text = step(text)
    text = re.sub(r"#(\w+)", lambda m: split_hashtag(m[1], words) if words else m[1], text)
    for step in _ENDING:
        text = step(text)
    return " " + _bare(text)


def _repaired(text: str) -> str:
    """Mis-decoded text mended (as ftfy does), entities unescaped, emoji by their names."""
    # Imported here: none of them is needed before this family is drawn with, and emoji reads a large table.
    import emoji
    import ftfy

    fixed: str = emoji.demojize(html.unescape(html.unescape(ftfy.fix_text(text))))
    return fixed


def _ascii(text: str) -> str:
    if text.isascii():
        return text
    from anyascii import anyascii

    # Chinese characters become a word each, as in the training data; anyascii alone would join them.
    return "".join(anyascii(each) + (" " if _is_han(each) else "") for each in text)


def _is_han(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf"


def _sub(pattern: str, by: str | Callable[[re.Match[str]], str], times: int = 1) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def step(text: str) -> str:
        for _ in range(times):
            text = compiled.sub(by, text)
        return text

    return step


_STEPS = (
    _sub(r"<person>(?:[\s,]|and)*<person>(?:(?:[\s,]|and)*<person>)*", " people "),
    _sub(r"<person>", " a person "),
    _sub(r"^\s*\[\d+\]", ""),
    _sub(r"\[\d+\]\s*$", ""),
    _sub(r"<[^<]+?>", " "),
    _sub(r"http\S+", ""),
    _sub(r"(\d),(\d{3})", r"\1\2", times=2),
    _sub(r"(\w)\.(\w)", rf"\1{_MARK.format('dot')}\2"),
    _sub(r"'(s|t|d|m|ll|re|ve)\b", rf"{_MARK.format('quote')}\1"),
    _sub(r"(\d)/(\d)", rf"\1{_MARK.format('slash')}\2"),
    _sub(r"(\w)-(\w)", r"\1 \2"),
    _sub(r"([%&/$*])", r" \1 "),
)
_ENDING = (
    _sub(r"[_#\\]", " "),
    _sub(r"['\"`]", ' " '),
    _sub(r"[()\[\].,|:;?!=+~\-/{}]", ","),
    _sub(_MARK.format("dot"), "."),
    _sub(_MARK.format("quote"), "'"),
    _sub(_MARK.format("slash"), "/"),
    _sub(r"(\D)\1{3,}", r"\1"),
    _sub(r'\s*"(?:\s*")*\s*', ' " '),
    _sub(r"\s*,(?:\s*,)*\s*", ", "),
    _sub(r"\s+", " "),
)


def _bare(text: str) -> str:
    return text.strip().removesuffix(",").removeprefix(",").strip()


def split_hashtag(tag: str, words: Words) -> str:
    """The words of ``tag``, spaced: the segmentation of least total cost, its original case kept.

    A string of unknown letters falls apart into single characters. Digits stay together, and "'s" with its word.
    """
    pieces = [piece for part in re.split(r"[^a-zA-Z0-9']+", tag) if part for piece in _segments(part, words)]
    joined: list[str] = []
    for piece in reversed(pieces):
        glue = joined and piece != "'" and (joined[-1] == "'s" or (piece[-1].isdigit() and joined[-1][0].isdigit()))
        if glue:
            joined[-1] = piece + joined[-1]
        else:
            joined.append(piece)
    return " ".join(reversed(joined))


def _segments(text: str, words: Words) -> list[str]:
    """Dynamic programming over the last word's length; on equal cost the shorter last word wins."""
    lower, longest = text.lower(), _longest(words)
    costs, lengths = [0.0], [0]
    for end in range(1, len(text) + 1):
        options = ((costs[end - n] + words.get(lower[end - n : end], inf), n) for n in range(1, min(end, longest) + 1))
        cost, length = min(options)
        costs.append(cost)
        lengths.append(length)
    found: list[str] = []
    end = len(text)
    while end:
        found.append(text[end - lengths[end] : end])
        end -= lengths[end]
    return found[::-1]


_LONGEST: dict[int, tuple[Words, int]] = {}


def _longest(words: Words) -> int:
    """Length of the longest word; kept for the list last asked about, which is long."""
    held = _LONGEST.get(id(words))
    if held is None or held[0] is not words:
        _LONGEST.clear()
        held = _LONGEST[id(words)] = (words, max(map(len, words), default=1))
    return held[1]


@lru_cache(maxsize=2)
def read_words(path: Path) -> Words:
    """A word list of a checkpoint: a word first in each line, most frequent first. Raises ``CorruptFile``."""
    try:
        if path.stat().st_size > MAX_WORDS:
            raise CorruptFile(f"{path.name} is longer than any word list", hint="download it again")
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{path.name} cannot be read: {error}", hint="download it again") from None
    return {words[0]: log(rank) for rank, line in enumerate(lines, 1) if (words := line.split())}
