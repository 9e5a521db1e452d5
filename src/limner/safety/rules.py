"""The rules: which words, in which company, are of which category.

Two are absolute, on every level and in every context: sexual content with minors, and sexual content of a real person.
The rest depend on the level, and on what stands beside: anatomy in medicine, nudity in the history of art, a massacre
in a painting by Goya, a swastika in a museum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from limner.safety.rules_person import real_persons
from limner.safety.signals import Signal, Signals
from limner.types import SafetyLevel

Category = Literal["sexual_minors", "sexual_real_person", "sexual", "violence_graphic", "self_harm", "hate", "illegal"]
ABSOLUTE: Final = frozenset({"sexual_minors", "sexual_real_person"})
BLOCKED: Final[dict[SafetyLevel, frozenset[str]]] = {
    "strict": ABSOLUTE | {"sexual", "violence_graphic", "self_harm", "hate", "illegal"},
    "standard": ABSOLUTE | {"sexual", "violence_graphic", "self_harm", "hate", "illegal"},
    "adult": ABSOLUTE | {"hate", "illegal"},
}
"""Categories that a level refuses. ``strict`` also takes away contexts and adds milder words (see the rules)."""

_SYMBOLS: Final = (
    "swastika", "hakenkreuz", "nazi", "kkk", "klan", "cross", "heil", "sieg", "lynch", "blackface", "confederate",
    "hitler", "white power", "white suprem", "race", "свастик", "esvastic", "suastic", "svastic", "croix gammee",
    "антисемит", "propaganda", "caricature", "cartoon", "holocaust", "ハーケン", "ナチ", "纳粹", "納粹", "minstrel",
)  # fmt: skip
_TOO_COMMON: Final = frozenset({"against", "stop"})  # of hate they say as much as of help; "against racism" is history
_CRIMES: Final = (("illegal_how", "illegal_thing"), ("glory", "extremist"))
"""Two that make one: a way to make and a thing that must not be made."""


class Finding(NamedTuple):
    """A rule that applies: its id, its category, the words, and what would pass."""

    category: Category
    rule: str
    signals: tuple[Signal, ...]
    passes: str


Rule = Callable[[Signals, SafetyLevel], Iterator[Finding]]


def findings(found: Signals, level: SafetyLevel) -> list[Finding]:
    """What applies, the gravest first; only what the level refuses."""
    every = (finding for rule in RULES for finding in rule(found, level))
    return [finding for finding in every if finding.category in BLOCKED[level]]


def minors(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Any sexual word and any word for a minor; no context lifts it."""
    passes = "no sexual words where children or teenagers are; of grown-ups, say so: woman, man, 25-year-old"
    if listed := found.of("csam"):
        yield Finding("sexual_minors", "minors.listed", tuple(listed), passes)
    sexual = [*_sexual(found), *found.of("nudity_weak")]
    suggestive = found.of("suggestive")
    strong = found.of("minor")
    weak, weaker = found.of("minor_weak"), found.of("minor_weaker")
    if found.of("no_adulthood"):
        strong, weak, weaker = (
            [*strong, *weak, *weaker, *found.of("no_adulthood")] if _person(found) else strong,
            [],
            [],
        )
    if strong and (sexual or suggestive):
        yield Finding("sexual_minors", "minors.sexual", (strong[0], (sexual or suggestive)[0]), passes)
    elif weaker and (sexual or suggestive):
        yield Finding("sexual_minors", "minors.unclear-age", (weaker[0], (sexual or suggestive)[0]), passes)
    elif weak and sexual:
        yield Finding("sexual_minors", "minors.unclear-age", (weak[0], sexual[0]), passes)


def persons(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Any sexual word and a real person, listed or named; no context lifts it."""
    passes = "no sexual words where a real person is named; a person who does not exist, described and not named"
    sexual, suggestive = [*_sexual(found), *found.of("nudity_weak")], found.of("suggestive")
    people = real_persons(found)
    known = [person for person in people if person.concept == "known_person"]
    if known and (sexual or suggestive):
        yield Finding("sexual_real_person", "person.known", (known[0], (sexual or suggestive)[0]), passes)
    elif people and sexual:
        yield Finding("sexual_real_person", "person.named", (people[0], sexual[0]), passes)


def sexual(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Explicit words always; anatomy and nudity unless medicine or (below strict) the history of art explains them."""
    passes = "clothed people; nudes of art history by naming work, artist or museum; anatomy as a medical illustration"
    plain = [*found.of("explicit", "csam"), *_undressed(found)]
    body = found.of("anatomy", "nudity")
    suggestive = found.of("suggestive")
    if plain:
        yield Finding("sexual", "sexual.explicit", tuple(plain), passes)
    elif body and not _explained(found, body, suggestive, level):
        rule = "sexual.anatomy" if found.of("anatomy") else "sexual.nudity"
        yield Finding("sexual", rule, tuple(body), passes)
    elif suggestive and level == "strict":
        yield Finding("sexual", "sexual.suggestive", tuple(suggestive), passes)


def violence(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Mutilation and gore, unless art history or medicine explains them; on strict also blood and killing."""
    passes = "violence without wounds and gore shown; works of art history by name; medicine as illustration"
    gore, mild = found.of("gore"), found.of("blood_mild")
    explained = found.of("art_violence", "artists", "medical") and not found.of("photo")
    if gore and not (explained and level != "strict"):
        yield Finding("violence_graphic", "violence.graphic", tuple(gore), passes)
    elif mild and level == "strict" and not found.of("art_violence", "medical"):
        yield Finding("violence_graphic", "violence.mild", tuple(mild), passes)


def self_harm(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Suicide and self-injury, unless the picture is to prevent it."""
    passes = (
        "pictures of help, hope and prevention. If this is about you: talk to someone, findahelpline.com lists who "
        "listens where you are"
    )
    if (said := found.of("self_harm")) and not found.of("awareness"):
        yield Finding("self_harm", "self_harm.depicted", tuple(said), passes)


def hate(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Slurs and calls always; symbols and propaganda unless history or a religion explains them."""
    passes = "history, museums, remembrance and religious symbols, said as such; people without insults"
    said = found.of("hate")
    if found.of("group") and found.of("dehumanise"):
        said = [*said, found.of("group")[0], found.of("dehumanise")[0]]
    if found.of("nazi") and found.of("glory"):
        said = [*said, found.of("nazi")[0], found.of("glory")[0]]
    symbols = [s for s in said if s.concept != "hate" or any(part in s.entry for part in _SYMBOLS)]
    calls = [s for s in said if s not in symbols]
    if calls:
        yield Finding("hate", "hate.slur", tuple(calls), passes)
    elif symbols and not found.of("history") and not _meant_well(found):
        yield Finding("hate", "hate.symbol", tuple(symbols), passes)


def illegal(found: Signals, level: SafetyLevel) -> Iterator[Finding]:
    """Weapons, drugs and forgery to be made, terror to be praised; unless it is to prevent it."""
    passes = "news, history, prevention and fiction without instructions, praise or a document to be used"
    said = found.of("illegal")
    for how, thing in _CRIMES:
        if found.of(how) and found.of(thing):
            said = [*said, found.of(how)[0], found.of(thing)[0]]
    if said and not _meant_well(found):
        yield Finding("illegal", "illegal.instructions", tuple(said), passes)


RULES: Final[tuple[Rule, ...]] = (minors, persons, sexual, violence, self_harm, hate, illegal)


def _sexual(found: Signals) -> list[Signal]:
    return [*found.of("explicit", "nudity", "anatomy", "csam"), *_undressed(found)]


def _undressed(found: Signals) -> list[Signal]:
    """Clothing kept out of a picture of a person. One garment is a matter of fashion, and of care beside "nude"."""
    if not _person(found):
        return []
    garments = found.of("no_undergarment")
    return [*found.of("no_clothing"), *(garments if len(garments) > 1 and not found.of("careful") else [])]


def _meant_well(found: Signals) -> bool:
    """Whether words of help or prevention are there that say so by themselves."""
    return any(signal.entry not in _TOO_COMMON for signal in found.of("awareness"))


def _person(found: Signals) -> bool:
    return bool(found.of("person", "minor", "minor_weak", "minor_weaker", "known_person") or real_persons(found))


def _explained(found: Signals, body: list[Signal], suggestive: list[Signal], level: SafetyLevel) -> bool:
    """Whether medicine or art history explains anatomy and nudity."""
    if suggestive:
        return False
    quoted = " ".join(signal.entry for signal in body)
    if any(signal.entry not in quoted for signal in found.of("medical")):
        return True
    return level != "strict" and bool(found.of("art", "artists")) and not found.of("photo")
