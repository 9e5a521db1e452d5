"""Text as the policy reads it, with a way back to the user's own words.

Folded: width, case, accents, invisible characters and ornaments gone. Read as words: each with the other forms that it
may stand for (``n4k3d``, ``nuuude``, a Cyrillic look-alike), and words whose letters were pulled apart (``n.u.d.e``)
put together again.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from limner.safety.folding import LOOKALIKES, fold
from limner.safety.spelling import respelt

_WORD: Final = re.compile(r"[^\W_]+")
_DISGUISED: Final = re.compile(r"[^\W_]*(?:[@$!*#€][^\W_]+)+[*$@]?|[^\W_]+[*$@](?![\w])")
_BROKEN: Final = re.compile(r"[^\W_]+(?:(?:[^\w\s,;(){}\[\]<>|:\"]|_)+[^\W_]+)+")
_APART: Final = re.compile(r"(?<![^\W_])[^\W_](?:(?:[\W_]{1,3})[^\W_](?![^\W_])){2,}")
_LEET: Final = str.maketrans("013457@$!€8", "oleastasieb")
_LEET_I: Final = str.maketrans("1", "i")
_TWICE: Final = re.compile(r"(.)\1+")
_THRICE: Final = re.compile(r"(.)\1{2,}")
_OTHER_SCRIPT: Final = re.compile(r"[\u0370-\u03ff\u0400-\u052f\u0530-\u058f]")
_HALVES: Final = 3  # letters of the shorter half of a word that a space cuts in two
_KEPT_DOUBLE: Final = frozenset(
    {"rapped", "rapping", "annal", "annals", "annus", "penne", "lolli", "lollis", "lollies", "shotta"}
)  # innocent, and not so with one letter less


@dataclass(frozen=True, slots=True)
class Word:
    """A word at ``start`` to ``end`` of the folded text. ``forms`` are what it may stand for, itself first; ``joined``
    ones were put together from pieces. ``spelt``: letter by letter, so that several words may be in it."""

    forms: tuple[str, ...]
    start: int
    end: int
    spelt: bool = False


@dataclass(frozen=True, slots=True)
class Normal:
    """``text`` is the folded ``source``; ``origin[k]`` is where its character k stood in the source. ``words`` are in
    order; ``joined`` are further readings of the same places."""

    source: str
    text: str
    origin: tuple[int, ...]
    words: tuple[Word, ...]
    joined: tuple[Word, ...]

    def quote(self, start: int, end: int) -> str:
        """The user's own words at a place in the folded text."""
        if start >= end or not self.origin:
            return ""
        return self.source[self.origin[start] : self.origin[end - 1] + 1].strip()


@lru_cache(maxsize=256)
def normalise(source: str) -> Normal:
    """Takes any string. Linear in its length."""
    text, origin = folded(source)
    words = tuple(_words(text))
    return Normal(source, text, origin, words, tuple(_joined(text, words)))


def folded(source: str) -> tuple[str, tuple[int, ...]]:
    """The folded text, and where each of its characters stood. Folding twice is folding once."""
    letters: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(source):
        if character.isascii():
            plain = character.lower() if character.isprintable() else " " if character.isspace() else ""
        else:
            plain = fold(character)
        for each in plain:
            if each in "\u3099\u309a":  # kana and its voicing mark are one letter
                if letters and len(both := unicodedata.normalize("NFC", letters[-1] + each)) == 1:
                    letters[-1] = both
                continue
            letters.append(each)
            origin.append(place)
    return "".join(letters), tuple(origin)


def _words(text: str) -> list[Word]:
    found = []
    for match in _WORD.finditer(text):
        if match[0] == "s" and text[max(0, match.start() - 1) : match.start()] in ("'", "’"):
            continue  # the s of a genitive
        found.append(Word(forms(match[0]), match.start(), match.end()))
    return found


@lru_cache(maxsize=4096)
def forms(word: str) -> tuple[str, ...]:
    """What a folded word may stand for, itself first."""
    found = [word]
    if _OTHER_SCRIPT.search(word):
        found.append(word.translate(LOOKALIKES))
    for each in tuple(found):
        if any(c.isalpha() for c in each) and not each.isalpha():
            found += [each.translate(_LEET_I).translate(_LEET), each.translate(_LEET)]
    for each in tuple(found):
        if _THRICE.search(each):
            found += [_THRICE.sub(r"\1", each), _THRICE.sub(r"\1\1", each)]
        if _TWICE.search(each) and len(each) >= 5 and each not in _KEPT_DOUBLE:
            found += [_TWICE.sub(r"\1", each), *_single_doubles(each)]
    found += [meant for each in tuple(found) if (meant := respelt(each))]
    return tuple(dict.fromkeys(found))


def _single_doubles(word: str) -> list[str]:
    """The word with one of its double letters single: ``toppless``, whose other double is meant."""
    doubles = list(_TWICE.finditer(word))
    return [word[: m.start()] + m[1] + word[m.end() :] for m in doubles] if len(doubles) > 1 else []


def _joined(text: str, words: tuple[Word, ...]) -> list[Word]:
    found = []
    for pattern, spelt in ((_DISGUISED, False), (_BROKEN, False), (_APART, True)):
        for match in pattern.finditer(text):
            whole = match[0] if pattern is _DISGUISED else re.sub(r"[\W_]+", "", match[0])
            if len(whole) > 2:
                found.append(Word(forms(whole), match.start(), match.end(), spelt))
    for first, second in pairwise(words):
        sizes = sorted((first.end - first.start, second.end - second.start))
        if sizes[0] <= _HALVES and sum(sizes) >= 4 and text[first.end : second.start].isspace():
            found.append(Word((first.forms[0] + second.forms[0], "+"), first.start, second.end))
    return found
