"""What the pocket models know: things, colours, sizes, counts, relations, places and times.

Things come from ``things.txt`` (what people type most, in order) and, with ``everything=True``, from all other usable
emoji by their Unicode CLDR short names. Nothing here needs torch or a font.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

CLDR = Path("/usr/share/unicode/cldr/common")

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (218, 38, 40),
    "orange": (245, 135, 30),
    "yellow": (248, 208, 44),
    "green": (48, 160, 70),
    "blue": (38, 92, 222),
    "purple": (138, 66, 190),
    "pink": (246, 126, 178),
    "brown": (138, 88, 48),
    "black": (44, 44, 50),
    "white": (242, 242, 244),
    "gray": (140, 140, 146),
}
SIZES: dict[str, tuple[str, ...]] = {
    "big": ("big", "large", "huge", "giant"),
    "small": ("small", "little", "tiny"),
}
COUNTS: dict[int, tuple[str, ...]] = {2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4"), 5: ("five", "5")}
RELATIONS: dict[str, tuple[str, ...]] = {
    "left": ("to the left of", "left of", "on the left of"),
    "right": ("to the right of", "right of", "on the right of"),
    "above": ("above", "over", "flying over", "floating above"),
    "below": ("below", "under", "beneath", "underneath"),
    "on": ("on", "on top of", "riding", "sitting on", "standing on"),
    "beside": ("and", "next to", "beside", "with", "near", "by"),
}
# How a place is said after the thing ("a cat in the snow") and alone ("snow, a cat").
PLACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "snow": (("in the snow", "on a snowy day", "in winter", "on the snow"), ("snow", "winter", "snowy landscape")),
    "beach": (("on the beach", "on a beach", "by the sea", "at the seaside"), ("beach", "seaside")),
    "grass": (
        ("on the grass", "in a meadow", "in a field", "on a lawn", "in the park"),
        ("grass", "meadow", "green field"),
    ),
    "desert": (("in the desert", "on the sand", "in a desert", "on a dune"), ("desert", "sand dunes")),
    "forest": (("in the forest", "in the woods", "in a forest", "among the trees"), ("forest", "woods")),
    "city": (("in the city", "in town", "in a city", "on the street"), ("city", "city street", "city skyline")),
    "mountains": (("in the mountains", "in front of mountains", "in the alps"), ("mountains", "mountain landscape")),
    "water": (("on the water", "on a lake", "on the lake", "on a river"), ("lake", "river")),
    "sky": (("in the sky", "among the clouds", "in the clouds"), ("sky", "clouds", "blue sky")),
    "sea": (
        ("underwater", "in the sea", "in the ocean", "under the sea", "under water"),
        ("underwater", "sea", "ocean", "deep sea"),
    ),
    "space": (
        ("in space", "in outer space", "among the stars", "in the galaxy"),
        ("space", "outer space", "galaxy", "stars"),
    ),
}
TIMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "day": ((), ()),
    "night": (("at night", "in the dark", "under the stars", "at midnight"), ("night", "starry night")),
    "sunset": (("at sunset", "at dusk", "in the evening", "at sunrise", "at dawn"), ("sunset", "dusk", "evening")),
}
TIMELESS = frozenset({"sea", "space"})  # places without a sun
OPEN = "open"  # the countryside behind a caption that names a time and no place
PLAIN = "plain"  # a plain colour, or the pale studio wall when no colour is named


@dataclass(frozen=True, slots=True)
class Thing:
    """One drawable thing: its first name, every (singular, plural) it is called by, its emoji and its group."""

    name: str
    names: tuple[tuple[str, str], ...]
    emoji: str
    group: str


def plural(noun: str) -> str:
    """English plural by rule; exceptions are spelled out in things.txt."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def cldr_names(root: Path = CLDR) -> dict[str, str]:
    """CLDR short names (lower case, plain ASCII quotes) to emoji sequences."""
    names: dict[str, str] = {}
    for folder in ("annotations", "annotationsDerived"):
        tree = ElementTree.parse(root / folder / "en.xml").getroot()
        for node in tree.iter("annotation"):
            if node.get("type") == "tts" and node.text:
                names.setdefault(node.text.lower().replace("’", "'"), node.get("cp", ""))
    return names


def _noun(text: str) -> tuple[str, str]:
    singular, _, many = text.strip().partition("/")
    return singular, many or plural(singular)


def things(everything: bool = False, limit: int | None = None, root: Path = CLDR) -> tuple[Thing, ...]:
    """The list of things in order of importance; raises KeyError for a name CLDR doesn't have."""
    cldr, group, found = cldr_names(root), "", []
    for raw in (Path(__file__).parent / "things.txt").read_text().splitlines():
        line = raw.split("#")[0].strip()
        if not line:
            continue
        if line.startswith("["):
            group = line.strip("[]")
            continue
        head, _, synonyms = line.partition(" : ")
        first, _, source = head.partition(" < ")
        names = [_noun(first)] + [_noun(s) for s in synonyms.split(",") if s.strip()]
        found.append(Thing(names[0][0], tuple(names), cldr[(source or names[0][0]).strip().lower()], group))
    if everything:
        found += _others(cldr, {t.emoji for t in found}, {n for t in found for n, _ in t.names})
    return tuple(found[:limit])


# Signs, hands, smileys, hearts of all colours and what shows no thing of its own.
_NOT_A_THING = re.compile(
    r"flag|button|arrow|keycap|square|circle|o'clock|thirty|sign|symbol|\bmark\b|heart|hand|finger|fist|face|mailbox|"
    r"clapper|letter|input|star of|wheel of|family|couple|person|people|\bman\b|\bwoman\b|\bmen\b|\bwomen\b|selector|"
    r"skin tone|hair|bubble|chart|recycling|zzz|dash|hundred|radioactive|biohazard|warning|children|\bplace\b|atom|"
    r"^om$|infinity|currency|banknote|fleur|moon|speaker|globe|magnifying|folder|inbox|outbox|cat with|monkey|"
    r"oncoming|shaking|kiss|thumb|no |sun behind|clap|gesture|part alternation|astrological|number"
)


def _others(cldr: dict[str, str], taken: set[str], said: set[str]) -> list[Thing]:
    """Every other single-code-point emoji whose name reads like a thing."""
    rest = []
    for name, emoji in sorted(cldr.items()):
        pictorial = len(emoji) == 1 and ord(emoji) >= 0x1F300
        simple = re.fullmatch(r"[a-z' -]+", name) and len(name.split()) <= 3 and name not in said
        if pictorial and simple and emoji not in taken and not _NOT_A_THING.search(name):
            rest.append(Thing(name, ((name, name if name.endswith("s") else plural(name)),), emoji, "others"))
    return rest
