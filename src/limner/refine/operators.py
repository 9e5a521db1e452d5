"""Edits of a prompt as pure functions of text: stress a phrase, move it, say it again, say it otherwise."""

from __future__ import annotations

import re

from limner.prompts.syntax import escape
from limner.refine.atoms import Atom

STRENGTHS = (1.3, 1.5)
FRAMES = (
    "{}",
    "a picture of {}",
    "an image of {}",
    "{} in one picture",
    "there is {}",
    "a scene with {}",
    "showing {}",
)
_ARTICLES = {"a": "one", "an": "one", "the": "a"}
_JOINT_AT_END = re.compile(r"(?<!\w)(?:and|or|plus|&)$", re.IGNORECASE)
_JOINT_AT_START = re.compile(r"^(?:and|or|plus|&)(?!\w)\s*", re.IGNORECASE)
_SWAPS = (
    (" in front of ", " before "),
    (" next to ", " beside "),
    (" beside ", " next to "),
    (" with ", " together with "),
    (" and ", " along with "),
    (" on top of ", " on "),
    (" under ", " underneath "),
    (" near ", " close to "),
)


def emphasised(text: str, atom: Atom, weight: float) -> str:
    """``a red fox in (the snow:1.3)``."""
    stressed = f"({escape(atom.text)}:{weight:g})"
    return f"{escape(text[: atom.start])}{stressed}{escape(text[atom.end :])}"


def said_first(text: str, atom: Atom) -> str:
    """The phrase before all others. One with a preposition says how things stand to each other, so its place stays,
    too: ``the snow, a red fox in the snow``."""
    if atom.lead:
        return f"{atom.text}, {text}"
    rest = without(text, atom)
    return f"{atom.text}, {rest}" if rest else atom.text


def said_again(text: str, atom: Atom) -> str:
    """The phrase once more at the end: ``a red fox in the snow, the snow``."""
    return f"{text.rstrip(' ,.')}, {atom.text}"


def without(text: str, atom: Atom) -> str:
    """The text without a phrase, its preposition, and the "and" that joined it."""
    before = text[: atom.start].rstrip()
    if atom.lead:
        before = before.removesuffix(atom.lead).rstrip()
    before = _JOINT_AT_END.sub("", before).rstrip()
    after = text[atom.end :].lstrip()
    if before.endswith(",") and after.startswith(","):
        after = after[1:].lstrip()
    if not before:
        after = _JOINT_AT_START.sub("", after.lstrip(" ,"))
    return re.sub(r"\s+([,.])", r"\1", f"{before} {after}").strip(" ,")


def framed(text: str, frame: str) -> str:
    return frame.format(text)


def swapped(text: str) -> list[str]:
    """The text with one small word at a time for another that means the same."""
    padded = f" {text} "
    found = [padded.replace(old, new, 1).strip() for old, new in _SWAPS if old in padded.lower()]
    first, _, rest = text.partition(" ")
    if rest and first.lower() in _ARTICLES:
        found.append(f"{_ARTICLES[first.lower()]} {rest}")
    return [each for each in found if each != text]


def reordered(text: str, atoms: tuple[Atom, ...]) -> list[str]:
    """The text with a later phrase said first, its preposition with it: ``in the snow, a red fox``."""
    return [f"{atom.said}, {rest}" for atom in atoms[1:] if (rest := without(text, atom))]


def appended(text: str, detail: str) -> str:
    return f"{text.rstrip(' ,.')}, {detail}"
