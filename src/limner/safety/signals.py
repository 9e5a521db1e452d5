"""What the texts of a request hold: the lists' words, without those that mean something else where they stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from limner.safety.company import together
from limner.safety.lexicon import Hit, hits
from limner.safety.normalise import Normal, Word, normalise
from limner.safety.said import Said, Text, drawn, kept_out

_UNITS: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_NUMBERS: Final = {word: k for k, word in enumerate(_UNITS)}
_N: Final = r"(?<!\w)(\d{1,3}|" + "|".join(_UNITS) + r")"
_AGE: Final = re.compile(
    _N + r"[\s_-]*(?:years?|yrs?)[\s_-]*(?:olds?|of age|young)\b"
    rf"|{_N}[\s_-]*(?:yo|y/o|y\.o|jahre\b|jahrig\w*|jahrige\w*|ans\b|anos\b|anni\b|лет\w*|год\w*|岁|歲|歳|才の|살)"
    rf"|\b(?:girl|boy|pupil|student|freshman|teen|daughter|son|woman|man|female|male)\s*,\s*{_N}(?=\s*(?:[,;.)]|$))"
    rf"|\b(?:she|he|girl|boy|woman|man)(?:\s+is|'s|\s+was)\s+{_N}(?=\s*(?:[,;.)]|and\b|$))"
    rf"|\bage[ds]?\s*(?:of\s*|is\s*|:\s*|=\s*)?{_N}\b|(?<!\w)(\d{{1,2}})\s*(?:yr|yrs)\b"
)
_GRADE: Final = re.compile(r"(?<!\w)(?:[1-9]|1[0-2])(?:st|nd|rd|th)[\s-]grad(?:e|er|ers)\b")
_ADULT_AGE: Final = 18
_CONTEXT: Final = 6  # words between a word and what explains it
_NEAR: Final = 3  # words between an age and the person it is said of
_NEGATABLE: Final = frozenset(
    {"explicit", "anatomy", "nudity", "suggestive", "gore", "self_harm", "blood_mild", "hate"}
)
_GIRLS: Final = frozenset(
    {
        "girl",
        "girls",
        "1girl",
        "2girls",
        "3girls",
        "6girls",
        "multiple girls",
        "girlie",
        "girly",
        "madchen",
        "fille",
        "filles",
        "ragazza",
        "ragazze",
        "garota",
        "garotas",
        "muchacha",
        "muchachas",
        "mademoiselle",
        "lass",
        "lassie",
        "damsel",
        "maiden",
        "young lady",
    }
)
_COVERED: Final = frozenset(
    {
        "LATIN",
        "CYRILLIC",
        "CJK",
        "HIRAGANA",
        "KATAKANA",
        "FULLWIDTH",
        "HALFWIDTH",
        "FEMININE",
        "MASCULINE",
        "MODIFIER",
        "MICRO",
        "KANGXI",
        "IDEOGRAPHIC",
    }
)
_FEW: Final = 3  # letters of a script that are no language yet: a formula, an ornament


@dataclass(frozen=True, slots=True)
class Signal:
    """Words of a concept in a field of the request. ``entry`` is the list's."""

    concept: str
    entry: str
    quoted: str
    where: str


@dataclass
class Signals:
    """By concept, in the order found."""

    by_concept: dict[str, list[Signal]] = field(default_factory=dict)
    texts: list[tuple[Text, Normal, tuple[Hit, ...]]] = field(default_factory=list)

    def add(self, signal: Signal) -> None:
        known = self.by_concept.setdefault(signal.concept, [])
        if signal not in known:
            known.append(signal)

    def of(self, *concepts: str) -> list[Signal]:
        return [signal for concept in concepts for signal in self.by_concept.get(concept, ())]


def read(said: Said) -> Signals:
    """All signals of a request."""
    found = Signals()
    for text in drawn(said):
        normal = normalise(text.text)
        kept = tuple(_meant(normal, hits(normal)))
        found.texts.append((text, normal, kept))
        for hit in kept:
            if hit.concept != "minor_weak":
                found.add(Signal(hit.concept, hit.entry, normal.quote(hit.start, hit.end), text.where))
        for signal in _ages(text, normal, kept):
            found.add(signal)
    for term in kept_out(said):
        for signal in _negated(term):
            found.add(signal)
    return found


def unchecked(said: Said) -> tuple[str, ...]:
    """Names of scripts in the request that the lists do not cover."""
    counts: dict[str, int] = {}
    for text in (*drawn(said), *kept_out(said)):
        for letter in normalise(text.text).text:
            if not letter.isascii() and letter.isalpha():
                script = unicodedata.name(letter, "UNKNOWN").split()[0]
                counts[script] = counts.get(script, 0) + 1
    return tuple(sorted(s.capitalize() for s, n in counts.items() if s not in _COVERED and n >= _FEW))


def _meant(text: Normal, found: Iterable[Hit]) -> Iterator[Hit]:
    """Hits that no idiom explains and no word before them negates."""
    every = tuple(found)
    innocent = [(hit.start, hit.end) for hit in every if hit.concept == "idiom" or _in_context(hit, every)]
    negations = {hit.last for hit in every if hit.concept == "negation"}
    for hit in (*every, *together(text, innocent)):
        if hit.concept.startswith(("idiom", "needed")) or any(
            start < hit.end and hit.start < end and end - start >= hit.end - hit.start for start, end in innocent
        ):
            continue
        if hit.concept in _NEGATABLE and hit.first > 0 and hit.first - 1 in negations:
            continue
        if hit.entry in ("dick", "dicks") and _is_name(text, hit):
            continue
        yield hit


def _in_context(hit: Hit, every: tuple[Hit, ...]) -> bool:
    """Whether a word that something near it explains has that beside it: "tits" near a feeder."""
    if not hit.concept.startswith("idiom-if-"):
        return False
    needed = f"needed-{hit.concept[9:]}"
    return any(
        min(hit.first, each.first) < 0 or max(each.first - hit.last, hit.first - each.last) <= _CONTEXT
        for each in every
        if each.concept == needed
    )


def _is_name(text: Normal, hit: Hit) -> bool:
    """Dick beside another capitalised word."""
    if hit.first < 0 or not text.quote(hit.start, hit.end).istitle():
        return False
    beside = [text.words[k] for k in (hit.first - 1, hit.last + 1) if 0 <= k < len(text.words)]
    return any(text.quote(word.start, word.end).istitle() for word in beside)


def _ages(text: Text, normal: Normal, found: tuple[Hit, ...]) -> Iterator[Signal]:
    """Who is a minor by age or by words, and who is weakly: a girl without a word that she is grown up."""
    adults = [(hit.start, hit.end) for hit in found if hit.concept == "adult_marker"]
    for match in (*_AGE.finditer(normal.text), *_GRADE.finditer(normal.text)):
        number = next((part for part in match.groups() if part), "1")
        years = _NUMBERS.get(number) if number in _NUMBERS else int(number)
        if years is not None and years >= _ADULT_AGE:
            adults.append(match.span())
        else:
            yield Signal("minor", "age", normal.quote(*match.span()), text.where)
    youths = [hit for hit in found if hit.concept == "youth"]
    for hit in found:
        if hit.concept != "minor_weak":
            continue
        quoted = normal.quote(hit.start, hit.end)
        young = next((y for y in youths if hit.first >= 0 and y.first >= 0 and 0 < hit.first - y.last <= 2), None)
        if young is not None:
            yield Signal("minor", f"{young.entry} {hit.entry}", normal.quote(young.start, hit.end), text.where)
        elif not any(_said_of(normal, hit, span) for span in adults):
            concept = "minor_weak" if hit.entry in _GIRLS else "minor_weaker"
            yield Signal(concept, hit.entry, quoted, text.where)


def _said_of(text: Normal, person: Hit, adult: tuple[int, int]) -> bool:
    """Whether a word of adulthood stands beside this person, and not beside another."""
    before = adult[1] <= person.start
    between = _words(text, adult[1], person.start) if before else _words(text, person.end, adult[0])
    after = [] if before else _words(text, adult[1], len(text.text))[:1]
    return len(between) <= _NEAR and not any(_is_person(word) for word in (*between, *after))


def _words(text: Normal, start: int, end: int) -> list[Word]:
    return [word for word in text.words if word.start >= start and word.end <= end]


def _is_person(word: Word) -> bool:
    normal = normalise(word.forms[0])
    return any(hit.concept in ("person", "minor", "minor_weak") for hit in hits(normal))


def _negated(term: Text) -> Iterator[Signal]:
    """A term of the negative prompt that is clothing or adulthood and nothing else."""
    normal = normalise(term.text)
    whole = re.sub(r"[\W_]+", " ", normal.text).strip()
    for hit in hits(normal):
        if hit.concept in ("clothing", "undergarment", "adulthood"):
            covered = re.sub(r"[\W_]+", " ", normal.text[hit.start : hit.end]).strip()
            if covered == whole:
                yield Signal(f"no_{hit.concept}", hit.entry, term.text, term.where)
        elif hit.concept in ("nudity", "explicit"):
            yield Signal("careful", hit.entry, term.text, term.where)
