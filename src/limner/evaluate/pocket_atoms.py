"""A user's words split into what can be asked of a picture: is there a fox, is it red, how many, where?

By rules, for the world the pocket models know. What the rules cannot ask about is not passed over: it is named
(``Reading.unasked``). The idea of asking fact by fact is that of TIFA (Hu et al. 2023, arXiv:2303.11897) and DSG
(Cho et al. 2023, arXiv:2310.18235). Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

from limner.evaluate.pocket_words import Meant, Phrase, World, world

AtomKind = Literal["thing", "colour", "count", "relation", "place", "time", "ground"]

_TOKEN = re.compile(r"[a-z0-9'\-]+|[,.;:!?()]")
_WORD = re.compile(r"[a-z0-9'\-]+")
_GROUNDS = {"background", "backdrop", "wall"}
_BEFORE_GROUND = {"on", "against"}
_NOT = {"no", "not", "without"}
_IS = {"is", "are", "be", "was", "were"}
_BETWEEN = {"on", "in", "of", "with", "and", "beside", "near", "by", "under", "over", "above", "below", "behind"}
_JOINING = {"and", "with"}  # they say that both are there, and not where
_ARTICLES = {"a", "an", "the", "this", "that", "some", "there", "it", "its"}
_SHOWN = {"picture", "drawing", "image", "photo", "illustration", "painting", "scene", "draw", "paint", "show", "shows"}
_PLAINLY = {"of", "in", "on", "at", "with", "and", "for", "to", "from", "by", "front", "plain"}
_SILENT = _ARTICLES | _SHOWN | _IS | _PLAINLY
_ASK_PLACE: Mapping[str, str] = MappingProxyType(
    {
        "snow": "does the ground lie under snow?",
        "beach": "is this at a beach?",
        "grass": "does it stand on grass?",
        "desert": "is this a desert?",
        "forest": "is this in a forest?",
        "city": "is this a city?",
        "mountains": "are there mountains?",
        "water": "is this on a lake?",
        "sky": "is this in the sky?",
        "sea": "is this underwater?",
        "space": "is this in outer space?",
    }
)
_ASK_TIME: Mapping[str, str] = MappingProxyType({"night": "is it night?", "sunset": "is the sun setting?"})
_ASK_RELATION: Mapping[str, str] = MappingProxyType(
    {
        "left": "is the {a} left of the {b}?",
        "right": "is the {a} right of the {b}?",
        "above": "is the {a} above the {b}?",
        "below": "is the {a} below the {b}?",
        "on": "is the {a} on the {b}?",
        "beside": "is the {a} beside the {b}?",
    }
)
_NUMBERS = ("", "one", "two", "three", "four", "five")


class Atom(NamedTuple):
    """One fact of a text: its kind, the yes-or-no question that asks for it, and the words it was read off.

    ``things`` are the numbers, in the world's list, of what the fact is about; ``value`` is the colour, count,
    relation, place or time that it states.
    """

    kind: AtomKind
    question: str
    words: str
    things: tuple[int, ...] = ()
    value: str | int = ""


class Reading(NamedTuple):
    """The atoms of a text, in its order, and the words that no question stands for."""

    atoms: tuple[Atom, ...]
    unasked: tuple[str, ...]


def atoms(text: str) -> tuple[Atom, ...]:
    """The facts a text states, in its order, none twice; empty where it names nothing of the pocket world."""
    return read(text).atoms


@lru_cache(maxsize=1024)
def read(text: str) -> Reading:
    """The facts a text states, and the words left over. Raises as ``world`` does."""
    return _Reader(world(), tuple(_TOKEN.findall(text.lower()))).read()


@dataclass
class _Reader:
    """One pass over a text. ``said`` holds the colours and the count heard since the last thing."""

    known: World
    tokens: Phrase
    at: int = 0
    found: dict[str, Atom] = field(default_factory=dict)
    unasked: list[str] = field(default_factory=list)
    colours: list[str] = field(default_factory=list)
    count: int | None = None
    begun: int | None = None  # where the phrase of the next thing begins
    last: tuple[int, bool] | None = None  # the last thing, and whether it was said in the plural
    relation: tuple[str, int] | None = None  # heard since the last thing, and where that thing's phrase begins
    last_at: int = 0
    denied: bool = False
    stated: bool = False  # "is" or "are" was the last word of any weight

    def read(self) -> Reading:
        while self.at < len(self.tokens):
            if not _WORD.fullmatch(self.tokens[self.at]):
                self._pause()
                self.at += 1
                continue
            phrase, meant = self._next()
            if meant is None:
                self._other(phrase[0])
            else:
                self._heard(phrase, meant)
            self.at += len(phrase)
        self._pause()
        return Reading(tuple(self.found.values()), tuple(dict.fromkeys(self.unasked)))

    def _next(self) -> tuple[Phrase, Meant | None]:
        """The longest phrase with a meaning from here on, else the next word without one."""
        for length in range(min(self.known.longest, len(self.tokens) - self.at), 0, -1):
            phrase = self.tokens[self.at : self.at + length]
            alone = self.known.bare.get(phrase)
            meant = self.known.phrases.get(phrase)
            if alone and (meant is None or (meant.meaning == "thing" and self._stands_alone(length))):
                return phrase, alone
            if meant is not None:
                return phrase, self._orange(phrase, meant)
        return self.tokens[self.at : self.at + 1], None

    def _stands_alone(self, length: int) -> bool:
        """Whether commas or the text's ends enclose the next ``length`` words, and the text has more than them."""
        end = self.at + length
        before = self.at == 0 or not _WORD.fullmatch(self.tokens[self.at - 1])
        after = end == len(self.tokens) or not _WORD.fullmatch(self.tokens[end])
        return before and after and length < len(self.tokens)

    def _orange(self, phrase: Phrase, meant: Meant) -> Meant:
        """Orange is a colour where a thing or a ground follows, or "is" came before it; else the fruit."""
        if phrase != ("orange",):
            return meant
        rest = self.tokens[self.at + 1 : self.at + 1 + self.known.longest]
        named = any(
            (follows := self.known.phrases.get(rest[:n])) is not None and follows.meaning == "thing"
            for n in range(1, len(rest) + 1)
        )
        ground = bool(rest) and rest[0] in _GROUNDS
        return Meant("colour", "orange") if named or ground or self.stated else meant

    def _heard(self, phrase: Phrase, meant: Meant) -> None:
        if self.denied:  # "without snow" is no wish for snow, and the judge was taught no such question
            self.denied = False
            self.unasked.extend(phrase)
            return
        hear: dict[str, Callable[[Phrase, Meant], None]] = {
            "thing": self._thing,
            "colour": self._colour,
            "count": self._counted,
            "relation": self._relation,
            "place": self._surroundings,
            "time": self._surroundings,
        }
        hear[meant.meaning](phrase, meant)
        self.stated = False

    def _thing(self, phrase: Phrase, meant: Meant) -> None:
        number, many = int(meant.value), meant.plural or (self.count or 1) > 1
        begin = self.at if self.begun is None else self.begun
        words = " ".join(self.tokens[begin : self.at + len(phrase)])
        self._add("thing", f"is there any {self.known.name(number)}?", " ".join(phrase), (number,))
        if self.count is not None:
            noun = self.known.name(number, self.count > 1)
            be = "are" if self.count > 1 else "is"
            self._add("count", f"{be} there exactly {_NUMBERS[self.count]} {noun}?", words, (number,), self.count)
        for colour in self.colours:
            self._ask_colour(colour, number, many, words)
        if self.relation is not None and self.last is not None:
            name, since = self.relation
            a, b = self.known.name(self.last[0]), self.known.name(number)
            said = " ".join(self.tokens[since : self.at + len(phrase)])
            both = self.last[0], number
            self._add("relation", _ASK_RELATION[name].format(a=a, b=b), said, both, name)
        self.last, self.last_at, self.relation = (number, many), begin, None
        self.colours, self.count, self.begun = [], None, None

    def _ask_colour(self, colour: str, number: int, many: bool, words: str) -> None:
        be = "are" if many else "is"
        self._add("colour", f"{be} the {self.known.name(number, many)} {colour}?", words, (number,), colour)

    def _colour(self, phrase: Phrase, meant: Meant) -> None:
        colour, after = str(meant.value), self.tokens[self.at + 1 : self.at + 2]
        alone = not after or not _WORD.fullmatch(after[0])
        before = [w for w in self.tokens[: self.at] if w not in ("a", "an", "the", "plain")][-1:]
        if after and after[0] in _GROUNDS:
            self._add("ground", f"is the background {colour}?", f"{phrase[0]} {after[0]}", value=colour)
        elif alone and before and before[0] in _BEFORE_GROUND:
            self._add("ground", f"is the background {colour}?", f"{before[0]} {phrase[0]}", value=colour)
        elif self.stated and self.last is not None:
            words = " ".join(self.tokens[self.last_at : self.at + 1])
            self._ask_colour(colour, *self.last, words)
        else:
            self.colours.append(colour)
            self.begun = self.at if self.begun is None else self.begun

    def _counted(self, phrase: Phrase, meant: Meant) -> None:
        self.count = int(meant.value)
        self.begun = self.at if self.begun is None else self.begun

    def _relation(self, phrase: Phrase, meant: Meant) -> None:
        if phrase == ("and",) and self.colours:  # a black and white cat
            return
        self._drop_pending()
        if self.last is not None and phrase[0] not in _JOINING:
            self.relation = (str(meant.value), self.last_at)

    def _surroundings(self, phrase: Phrase, meant: Meant) -> None:
        self._drop_pending()
        self.relation = None
        if meant.meaning == "place":
            self._add("place", _ASK_PLACE[str(meant.value)], " ".join(phrase), value=meant.value)
        elif meant.value in _ASK_TIME:
            self._add("time", _ASK_TIME[str(meant.value)], " ".join(phrase), value=meant.value)

    def _other(self, word: str) -> None:
        self.denied = self.denied or word in _NOT
        if word in _BETWEEN:
            self._drop_pending()
        if word not in _SILENT and word not in _GROUNDS:
            self.unasked.append(word)
        self.stated = word in _IS

    def _pause(self) -> None:
        self._drop_pending()
        self.relation, self.denied, self.stated = None, False, False

    def _drop_pending(self) -> None:
        """What was said of a thing that the world does not have ("a red thingamajig on a fox") is nobody else's."""
        self.unasked.extend(self.colours)
        if self.count is not None:
            self.unasked.append(_NUMBERS[self.count])
        self.colours, self.count, self.begun = [], None, None

    def _add(
        self, kind: AtomKind, question: str, words: str, things: tuple[int, ...] = (), value: str | int = ""
    ) -> None:
        self.found.setdefault(question, Atom(kind, question, words, things, value))
