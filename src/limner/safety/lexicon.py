"""The words of the policy, read from the files in ``lists``, and where they stand in a text.

An entry is one word or several; ``stem*`` is any word that begins so, ``~2`` up to two words between. Entries in
scripts that put no spaces between words (Chinese, Japanese, Korean) are found anywhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from limner.safety.normalise import Normal, Word, folded

LISTS: Final = ("en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "more")
RUNNING: Final = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7a3々〆]")
_SHORTEST_STEM: Final = 3
_SHORTEST_HIDDEN: Final = 3  # letters of a word that is sought in letters written apart
_LONGEST_HIDDEN: Final = 18
_SHORTEST_NAME: Final = 3
_WORDS_TOO: Final = frozenset(
    ["will", "bill", "mark", "may", "rose", "grace", "hope", "chase", "young", "rock", "west", "black"]
)
"""Names that are words too: "a smith will"."""
_SHORTEST_GLUED: Final = 8  # letters of a phrase that is sought so
_BETWEEN: Final = frozenset(
    ["a", "an", "of", "on", "in", "the", "and", "with", "by", "bed", "his", "her", "my", "is", "at"]
)
_UNMISTAKABLE: Final = frozenset(["nude", "porn", "nsfw", "fuck", "naked", "topless", "hentai", "pussy", "suicide"])
"""Parts of no innocent word: found among any letters."""
_LONG_STEM: Final = 5
_SHORTEST_HALVED: Final = 4
_DOUBLED: Final = re.compile(r"([b-df-hj-np-tv-z])\1")
_TOKEN: Final = re.compile(r"~\d|[^\W_]+\*?")


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry of ``concept`` at ``start`` to ``end`` of the folded text; ``first`` to ``last`` are its words' places,
    -1 where it was put together from pieces."""

    concept: str
    entry: str
    start: int
    end: int
    first: int = -1
    last: int = -1


Pattern = tuple[str, ...]


@dataclass
class Lexicon:
    """Entries by their first word, of phrases their first two: the concept ``idiom`` is of phrases that mean something
    else, ``idiom-if-K`` of those that do so only where a word of ``needed-K`` stands in the text too."""

    exact: dict[str, list[tuple[Pattern, str]]] = field(default_factory=dict)
    stems: dict[str, list[tuple[Pattern, str]]] = field(default_factory=dict)
    pairs: dict[tuple[str, str], list[tuple[Pattern, str]]] = field(default_factory=dict)
    running: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    single: dict[str, set[str]] = field(default_factory=dict)
    glued: dict[str, set[str]] = field(default_factory=dict)

    def add(self, concept: str, entry: str) -> None:
        text = folded(entry)[0].strip()
        if RUNNING.search(text):
            bare = re.sub(r"[\W_]+", "", text)
            self.running.setdefault(bare[0], []).append((bare, concept))
            return
        pattern = tuple(token for token in _TOKEN.findall(text.replace("'", " ")) if token != "s")
        if not pattern:
            return
        if len(pattern) > 1 and len(whole := "".join(pattern)) >= _SHORTEST_GLUED and not set(whole) & {"~", "*"}:
            self.glued.setdefault(whole, set()).add(concept)
        head = pattern[0]
        if head.endswith("*"):
            self.stems.setdefault(head[:_SHORTEST_STEM], []).append((pattern, concept))
        elif len(pattern) > 1 and pattern[1][0] != "~" and pattern[1][-1] != "*":
            self.pairs.setdefault((head, pattern[1]), []).append((pattern, concept))
        else:
            self.exact.setdefault(head, []).append((pattern, concept))
            if len(pattern) == 1:
                self.single.setdefault(head, set()).add(concept)

    def hits(self, text: Normal) -> list[Hit]:
        """Every entry in the text, also where one lies within another."""
        found = list(self._in_words(text.words))
        found += self._in_joined(text)
        found += self._in_running(text)
        return found

    def _in_words(self, words: Sequence[Word]) -> Iterator[Hit]:
        for place, word in enumerate(words):
            after = words[place + 1].forms if place + 1 < len(words) else ()
            for form in word.forms:
                for pattern, concept in self._beginning(form, after):
                    last = _matched(pattern, words, place)
                    if last is not None:
                        yield Hit(concept, " ".join(pattern), word.start, words[last].end, place, last)

    def _beginning(self, form: str, after: Sequence[str]) -> Iterator[tuple[Pattern, str]]:
        yield from self.exact.get(form, ())
        for second in after:
            yield from self.pairs.get((form, second), ())
        for pattern, concept in self.stems.get(form[:_SHORTEST_STEM], ()):
            if form.startswith(pattern[0][:-1]):
                yield pattern, concept

    def _in_joined(self, text: Normal) -> Iterator[Hit]:
        for word in text.joined:
            if word.spelt:
                yield from self._hidden(word)
                continue
            halved = word.forms[-1] == "+"
            for form in word.forms[:1] if halved else word.forms:
                if "*" in form or "#" in form:
                    yield from self._masked(form, word)
                elif halved and (len(form) < _SHORTEST_HALVED or form in _INNOCENT_HALVES):
                    continue
                else:
                    for concept in self._alone(form):
                        if not halved or concept in _HALVED:
                            yield Hit(concept, form, word.start, word.end)

    def _alone(self, form: str) -> Iterator[str]:
        yield from self.single.get(form, ())
        for pattern, concept in self.stems.get(form[:_SHORTEST_STEM], ()):
            if len(pattern) == 1 and len(pattern[0]) > _LONG_STEM and form.startswith(pattern[0][:-1]):
                yield concept

    def _hidden(self, word: Word) -> Iterator[Hit]:
        """Entries in letters that were written apart, where the letters before and after are words too ("woman naked",
        not "cockpit"); long stems, phrases and words that are part of no other one anywhere."""
        for form in word.forms:
            if "idiom" in self.glued.get(form, ()):
                continue
            ends = self._reachable(form)
            starts = {len(form) - k for k in self._reachable(form[::-1], backwards=True)}
            for start in range(len(form)):
                rest = form[start:]
                for pattern, concept in self.stems.get(rest[:_SHORTEST_STEM], ()):
                    if len(pattern) == 1 and len(pattern[0]) > _LONG_STEM and rest.startswith(pattern[0][:-1]):
                        yield Hit(concept, pattern[0], word.start, word.end)
                for size in range(_SHORTEST_HIDDEN, min(len(rest), _LONGEST_HIDDEN) + 1):
                    piece = rest[:size]
                    sure = piece in _UNMISTAKABLE or (start in ends and start + size in starts)
                    for concept in self.single.get(piece, ()) if sure else ():
                        yield Hit(concept, piece, word.start, word.end)
                    for concept in self.glued.get(piece, ()):
                        yield Hit(concept, piece, word.start, word.end)

    def _reachable(self, form: str, *, backwards: bool = False) -> set[int]:
        """Places in ``form`` that known words lead to from its beginning."""
        found = {0}
        for start in range(len(form)):
            for size in range(1, min(len(form) - start, _LONGEST_HIDDEN) + 1) if start in found else ():
                piece = form[start : start + size]
                piece = piece[::-1] if backwards else piece
                if piece in _BETWEEN or (size >= _SHORTEST_HIDDEN and piece in self.single):
                    found.add(start + size)
        return found

    def _masked(self, form: str, word: Word) -> Iterator[Hit]:
        """A letter was put out: ``n*de``."""
        if sum(c in "*#" for c in form) > 2 or len(form) < 3:
            return
        pattern = re.compile(re.sub(r"[*#]", ".", re.sub(r"[^\w*#]", "", form)))
        for entry, concepts in self.single.items():
            if len(entry) == len(form) and entry[0] == form[0] and pattern.fullmatch(entry):
                for concept in concepts & _HALVED:
                    yield Hit(concept, entry, word.start, word.end)

    def _in_running(self, text: Normal) -> Iterator[Hit]:
        if not RUNNING.search(text.text):
            return
        places = [k for k, c in enumerate(text.text) if c.isalnum() or c in "々〆ー"]
        bare = "".join(text.text[k] for k in places)
        for k, letter in enumerate(bare):
            for entry, concept in self.running.get(letter, ()):
                if bare.startswith(entry, k):
                    yield Hit(concept, entry, places[k], places[k + len(entry) - 1] + 1)


_HALVED: Final = frozenset({"explicit", "anatomy", "nudity", "csam", "gore", "hate"})
_INNOCENT_HALVES: Final = frozenset({"penis", "anus", "cumin", "sexto", "butt", "orgy", "whoresin", "naga", "creampie"})


def _matched(pattern: Pattern, words: Sequence[Word], place: int) -> int | None:
    """The place of the last word of a pattern whose first stands at ``place``; ``None`` where it does not go on."""
    gap = 0
    for part in pattern[1:]:
        if part[0] == "~":
            gap = int(part[1])
            continue
        for step in range(1, gap + 2):
            if place + step < len(words) and _is(part, words[place + step]):
                place += step
                break
            if place + step < len(words) and gap and any(form in _people() for form in words[place + step].forms):
                return None
        else:
            return None
        gap = 0
    return place


def _is(part: str, word: Word) -> bool:
    if part.endswith("*"):
        return any(form.startswith(part[:-1]) for form in word.forms)
    return part in word.forms


@cache
def _tables() -> Mapping[str, Mapping[str, object]]:
    folder = files("limner.safety").joinpath("lists")
    return {
        name: tomllib.loads(folder.joinpath(f"{name}.toml").read_text("utf-8")) for name in (*LISTS, "idioms", "names")
    }


def entries(text: object) -> list[str]:
    return [entry for part in str(text).split(",") if (entry := " ".join(part.split()))]


@cache
def lexicon() -> Lexicon:
    """All lists in one, read when first used."""
    made = Lexicon()
    for name in LISTS:
        for concept, text in _tables()[name].items():
            for entry in entries(text):
                made.add(concept, entry)
    for concept in ("person", "minor", "minor_weak"):
        for entry in entries(_tables()["en"][concept]):
            if entry.isalpha() and len(entry) > 2:
                for glued in (f"nude{entry}", f"naked{entry}", f"{entry}nude", f"{entry}naked", f"{entry}porn"):
                    made.add("nudity", glued)
                    made.add(concept, glued)
    idioms = _tables()["idioms"]
    for entry in entries(idioms["always"]):
        made.add("idiom", entry)
    needed = idioms["needed"]
    assert isinstance(needed, list)
    for k, table in enumerate(needed):
        for entry in entries(table["phrases"]):
            made.add(f"idiom-if-{k}", entry)
        for entry in entries(table["needs"]):
            made.add(f"needed-{k}", entry)
    for concept in ("known", "cyrillic", "cjk"):
        for entry in entries(_tables()["names"][concept]):
            for written in _ways(entry):
                made.add("known_person", written)
    for concept in ("artists", "made_up"):
        for entry in entries(_tables()["names"][concept]):
            made.add(concept, entry)
    return made


def _ways(name: str) -> Iterator[str]:
    """A name as it is, its two words in the other order, as one word, and with double letters single."""
    yield name
    words = name.split()
    if len(words) == 2 and min(map(len, words)) >= _SHORTEST_NAME and name.isascii():
        if not _WORDS_TOO & set(words):
            yield f"{words[1]} {words[0]}"
        yield "".join(words)
    if name.isascii() and (single := _DOUBLED.sub(r"\1", name)) != name:
        yield single


@cache
def names(kind: str) -> frozenset[str]:
    """Given names or surnames, folded."""
    return frozenset(folded(entry)[0] for entry in entries(_tables()["names"][kind]))


@cache
def _people() -> frozenset[str]:
    return frozenset(e for e in entries(_tables()["en"]["person"]) if " " not in e)


@lru_cache(maxsize=128)
def hits(text: Normal) -> tuple[Hit, ...]:
    """All that the lists know of a text; at once where it was asked before."""
    return tuple(lexicon().hits(text))
