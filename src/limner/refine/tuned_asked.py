"""What is asked of a model before and after it was adapted: its subject, scenes it was not taught, and what should have
stayed as it was. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from pydantic import Field

from limner.types import Frozen

What = Literal["the subject", "a scene", "its class", "other things"]
OTHERS: Final = ("a red car", "two cats on the beach")
PLACES: Final = (
    "on the beach",
    "in the snow",
    "at night",
    "in the mountains",
    "in a forest",
    "underwater",
    "in a city",
    "in the desert",
)
THINGS: Final = ("a red strawberry", "a green apple", "a blue car", "a yellow banana")
_SILENT: Final = frozenset({"a", "an", "the", "in", "on", "at", "and", "of"})


class Asked(Frozen):
    """Words that are drawn before and after (``prompt``, maybe with choices in braces), and the words that pictures are
    scored against: by the prompt of each in ``each``, else ``words``. ``title`` is its name for people."""

    what: What
    prompt: str
    words: str
    title: str = ""
    each: Mapping[str, str] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.title or repr(self.prompt)

    def words_of(self, prompt: str) -> str:
        """What a picture of ``prompt`` is scored against."""
        return self.each.get(prompt, self.words)


class Taught(Frozen):
    """What a LoRA was taught: the phrase that calls it, the rare word and the class word of a subject, whether it is a
    style; the words of its pictures, and of those among them that were held out."""

    called: str
    token: str | None = None
    kind: str | None = None
    style: bool = False
    captions: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


def asked_of(taught: Taught, others: Sequence[str] = OTHERS, scenes: Sequence[str] = ()) -> tuple[Asked, ...]:
    """The questions, the subject first, none twice. ``scenes`` are added to the subject's name ("on the beach"); unset:
    a place, and a colour with a second thing, neither of which its captions name."""
    found = (*_subject(taught, others), *_scenes(taught, others, scenes), *_class(taught))
    found = (*found, *(Asked(what="other things", prompt=each, words=each) for each in others))
    first: dict[str, Asked] = {}
    for each in found:
        first.setdefault(each.prompt, each)
    return tuple(first.values())


def new_scenes(captions: Iterable[str], kind: str = "") -> tuple[str, ...]:
    """A place, and a second thing in a colour, that no caption names; fewer where the captions name them all."""
    said = _words(" ".join(captions)) | _words(kind)
    place = next((each for each in PLACES if not _words(each) & said), None)
    thing = next((each for each in THINGS if not _words(each) & said), None)
    return tuple(each for each in (place, None if thing is None else f"and {thing}") if each is not None)


def with_article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}"


def _subject(taught: Taught, others: Sequence[str]) -> tuple[Asked, ...]:
    """It is drawn in the words of the pictures that were held out, where there are any: likeness to a fox in a forest
    says little of a fox on a beach."""
    on = others[0] if others else OTHERS[0]
    if captions := tuple(dict.fromkeys(taught.held)):
        each = {caption: _plain(caption, taught) or on for caption in captions}
        safe = [re.sub(r"([{}|_])", r"\\\1", caption) for caption in captions]
        if len(captions) == 1:
            return (Asked(what="the subject", prompt=safe[0], words=each[captions[0]]),)
        words = with_article(taught.kind) if taught.kind is not None else each[captions[0]]
        title = f"{taught.called!r} as held out"
        return (Asked(what="the subject", prompt=f"{{{'|'.join(safe)}}}", words=words, title=title, each=each),)
    if taught.style:  # a style shows on something
        return (Asked(what="the subject", prompt=f"{on}, {taught.called}", words=on),)
    words = taught.called if taught.kind is None else with_article(taught.kind)
    return (Asked(what="the subject", prompt=taught.called, words=words),)


def _plain(caption: str, taught: Taught) -> str:
    """A caption without the word that calls what was taught, which no scorer knows."""
    if taught.style:
        return re.sub(rf"(?:,\s*)?\b{re.escape(taught.called)}\b", "", caption, flags=re.IGNORECASE).strip()
    if taught.token is None:
        return caption
    return re.sub(rf"\b{re.escape(taught.token)}\b\s*", "", caption, flags=re.IGNORECASE).strip()


def _scenes(taught: Taught, others: Sequence[str], scenes: Sequence[str]) -> tuple[Asked, ...]:
    """With captions alone there is no name to put into a scene."""
    if taught.style:
        on = others[0] if others else OTHERS[0]
        said = [f"{on} {each}" for each in scenes or new_scenes(taught.captions, on)]
        return tuple(Asked(what="a scene", prompt=f"{each}, {taught.called}", words=each) for each in said)
    if taught.kind is None:
        return tuple(Asked(what="a scene", prompt=f"{taught.called} {each}", words=each) for each in scenes)
    kind = with_article(taught.kind)
    said = list(scenes or new_scenes(taught.captions, taught.kind))
    return tuple(Asked(what="a scene", prompt=f"{taught.called} {each}", words=f"{kind} {each}") for each in said)


def _class(taught: Taught) -> tuple[Asked, ...]:
    if taught.kind is None:
        return ()
    words = with_article(taught.kind)
    return (Asked(what="its class", prompt=words, words=words),)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _SILENT
