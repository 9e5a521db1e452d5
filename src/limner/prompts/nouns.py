"""Which things a prompt names, and which is the main one: a rule-based noun-phrase chunker for English prompts.

A phrase is determiners, adjectives and nouns up to a preposition, verb, joint or comma; its last noun is its head.
Prompts are not sentences, so the rules lean on word lists (``lexicon.toml``) and a few endings. Words of other
languages become nouns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from limner.prompts.lexicon import Lexicon, lexicon

_CLAUSE = re.compile(r"[,.;:!?\n()\[\]{}|\"“”„]+|\s[-–—]+\s")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
# A base, its variation selector or skin tone, and what a zero-width joiner ties to it: one picture to the reader.
_PICTOGRAPH = (
    "(?:[\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff]"
    "[\ufe0e\ufe0f\u20e3]?[\U0001f3fb-\U0001f3ff]?\u200d?)+?(?<!\u200d)"
)
_WORD_OR_PICTOGRAPH = re.compile(f"{_WORD.pattern}|[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTOGRAPH}")
_ADJECTIVE_ENDS = ("ful", "ous", "ish", "less", "able", "ible", "esque")


@dataclass(frozen=True, slots=True)
class Head:
    """The last noun of a phrase. ``before`` and ``after`` are the words that bound it ("" at a clause's ends)."""

    noun: str
    before: str
    after: str


def words(text: str) -> list[str]:
    """The words of ``text``, lower case, curly apostrophes straightened."""
    return [match.lower().replace("’", "'") for match in _WORD.findall(text)]


def words_and_pictographs(text: str) -> list[str]:
    """The words of ``text`` as in `words`, and its emoji and other pictographs (flags and joined ones whole)."""
    return [match.lower().replace("’", "'") for match in _WORD_OR_PICTOGRAPH.findall(text)]


def clauses(text: str) -> list[list[str]]:
    """The words of each part between commas, brackets and full stops; parts without words left out."""
    # "e.g. 1.5" must not end a clause between digits.
    return [found for part in _CLAUSE.split(re.sub(r"(?<=\d)[.,](?=\d)", "", text)) if (found := words(part))]


def heads(clause: Sequence[str]) -> list[Head]:
    """The heads of a clause's noun phrases, in order. Phrases such as "golden hour" or "depth of field" have none."""
    return list(_Chunker(lexicon()).read(_blanked(clause, _several("style", "light", "quality"))))


def phrases(said: Sequence[str], wanted: frozenset[str]) -> list[str]:
    """The phrases of ``wanted`` that occur, longest first at each place, none twice."""
    return list(dict.fromkeys(" ".join(said[start:end]) for start, end in _places(said, wanted)))


def _places(said: Sequence[str], wanted: frozenset[str]) -> Iterator[tuple[int, int]]:
    longest = max((phrase.count(" ") + 1 for phrase in wanted), default=1)
    index = 0
    while index < len(said):
        sizes = range(min(longest, len(said) - index), 0, -1)
        size = next((size for size in sizes if " ".join(said[index : index + size]) in wanted), 0)
        if size:
            yield index, index + size
        index += size or 1


def _blanked(clause: Sequence[str], unwanted: frozenset[str]) -> list[str]:
    """``clause`` with the words of these phrases empty, except that "in the style of" still binds what follows."""
    kept: list[str] = []
    for start, end in _places(clause, unwanted):
        kept += clause[len(kept) : start]
        kept += ["in" if clause[start] == "in" else ""] * (end - start)
    return [*kept, *clause[len(kept) :]]


@cache
def _several(*slots: str) -> frozenset[str]:
    """The phrases of these slots that have several words."""
    return frozenset(phrase for name in slots for phrase in lexicon().slots[name] if " " in phrase)


def main_noun(parts: Iterable[Sequence[str]]) -> str | None:
    """What the prompt is about: the first thing that is no frame ("photo of"), style, quality or place it is set in."""
    found = [heads(clause) for clause in parts]
    for accepts in (_is_main, _is_thing, _is_anything):
        for clause in found:
            for head in clause:
                if accepts(head):
                    return head.noun
    return None


def is_frame(head: Head) -> bool:
    """Says how or how much is shown, not what: "portrait of", "group of"."""
    showing = head.after in ("of", "showing", "depicting", "featuring", "with", "shows", "depicts")
    lex = lexicon()
    return (showing and lex.is_a(head.noun, "frames")) or (head.after == "of" and lex.is_a(head.noun, "quantities"))


def is_manner(noun: str) -> bool:
    """A style, a quality or a kind of light rather than a thing."""
    lex = lexicon()
    return any(noun in lex.slots[name] for name in ("style", "quality", "light"))


def doings(clause: Sequence[str]) -> list[str]:
    """Words that say what is being done ("riding", "jumps")."""
    lex = lexicon()
    clause = _blanked(clause, _several("place", "style", "light", "quality"))
    return [w for w in clause if w in lex.slots["action"] or (_is_doing(w, lex) and not lex.is_a(w, "adjectives"))]


def _is_main(head: Head) -> bool:
    set_in = lexicon().is_a(head.before, "prepositions") and head.before != "of"
    return not (is_frame(head) or is_manner(head.noun) or set_in)


def _is_thing(head: Head) -> bool:
    return not (is_frame(head) or head.noun in lexicon().slots["quality"] or head.noun in lexicon().slots["style"])


def _is_anything(head: Head) -> bool:
    return True


def _is_doing(word: str, lex: Lexicon) -> bool:
    return len(word) > 4 and word.endswith("ing") and not lex.is_a(word, "ing_nouns")


class _Chunker:
    """One clause being read: the noun that may become the head, and what stands around it."""

    def __init__(self, lex: Lexicon) -> None:
        self._lex = lex
        self._noun = ""
        self._last = ""
        self._spare = ""  # an adjective that is the head if no noun comes: "an orange on a plate"
        self._determined = False
        self._before = ""

    def read(self, clause: Sequence[str]) -> Iterator[Head]:
        for word in clause:
            if self._is_modifier(word):
                continue
            if self._is_boundary(word):
                yield from self._end(word)
            else:
                self._last = word
                if not self._noun or word not in self._lex.slots["style"]:  # "fox watercolor": the fox
                    self._noun = word
        yield from self._end("")

    def _is_modifier(self, word: str) -> bool:
        """Take a word that only describes. After a noun, such words say nothing of the head."""
        lex = self._lex
        if lex.is_a(word, "determiners") or word.isdigit():
            if self._noun:
                return False  # a new phrase begins: "gives the dog a bone"
            self._determined = True
            return True
        if lex.is_a(word, "adverbs") or (word.endswith("ly") and not lex.is_a(word, "ly_nouns")):
            return True
        if word.endswith(("'s", "s'")):
            self._determined = True
            return True
        participle = _is_doing(word, lex) or (word.endswith("ed") and not lex.is_a(word, "ed_nouns"))
        if lex.is_a(word, "adjectives") or word.endswith(_ADJECTIVE_ENDS):
            self._spare = word
            return True
        return participle and not self._noun

    def _is_boundary(self, word: str) -> bool:
        lex = self._lex
        if not word:
            return True
        if lex.is_a(word, "joints"):
            return bool(self._noun)  # "a black and white cat" is one phrase
        if lex.is_a(word, "prepositions", "relatives", "pronouns", "determiners") or word.isdigit():
            return True
        if lex.is_a(word, "verbs"):
            return bool(self._noun) or not self._determined  # "two drinks" are things
        return _is_doing(word, lex) or (word.endswith("ed") and not lex.is_a(word, "ed_nouns"))

    def _end(self, boundary: str) -> Iterator[Head]:
        noun = self._noun or (self._spare if self._determined else "")
        if noun:
            framed = Head(self._last, self._before, boundary)  # "golden hour photo of": the photo
            yield framed if is_frame(framed) else Head(noun, self._before, boundary)
        self._noun = self._spare = self._last = ""
        self._determined = self._lex.is_a(boundary, "determiners")
        self._before = "" if self._determined else boundary
