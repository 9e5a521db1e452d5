"""What is said of each picture in training, and what is asked for when the result is looked at. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from limner.errors import InvalidRequest
from limner.prompts.vocabulary import Vocabulary
from limner.tune.pictures import Example
from limner.tune.settings import TuneSettings

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Wording:
    """``captions`` in the order of the examples; ``called`` is the phrase that calls what was learnt (``None``: the
    captions' own words), ``kind`` the class word of a subject."""

    captions: tuple[str, ...]
    called: str | None
    kind: str | None
    notices: tuple[str, ...] = ()

    @property
    def prior(self) -> str | None:
        """The prompt of the class pictures."""
        return None if self.kind is None else article(self.kind)

    @property
    def asked(self) -> str:
        """A prompt that calls it."""
        return self.captions[0] if self.called is None else self.called

    @property
    def tried(self) -> str:
        """A prompt to try it with: a style shows on something."""
        return self.captions[0] if self.kind is None else self.asked


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[:1].lower() in 'aeiou' else 'a'} {phrase}"


def wording(settings: TuneSettings, examples: Iterable[Example]) -> Wording:
    """The words of every example. Raises ``InvalidRequest`` where they are missing, or a subject has no class word."""
    examples = tuple(examples)
    if settings.subject is not None:
        return _of_subject(" ".join(settings.subject.split()), examples)
    if settings.style is not None:
        return _of_style(" ".join(settings.style.split()), examples)
    without = [each.path.name for each in examples if each.caption is None]
    if without:
        more = f", and {len(without) - SHOWN} more" if len(without) > SHOWN else ""
        raise InvalidRequest(
            f"{len(without)} of {len(examples)} pictures have no caption: {', '.join(without[:SHOWN])}{more}",
            field="data",
            hint='write each into NAME.txt beside the picture, or name what they show: --subject "sks fox"',
        )
    return Wording(tuple(each.caption or "" for each in examples), None, None)


def _of_subject(subject: str, examples: tuple[Example, ...]) -> Wording:
    name, _, kind = subject.partition(" ")
    if not name or not kind:
        raise InvalidRequest(
            f"{subject!r} needs a name and a class word",
            field="subject",
            hint='a rare word, then what it is: --subject "sks fox"',
        )
    said, without = [], 0
    for each in examples:
        if each.caption is not None and not _says(each.caption, name):
            without += 1
        said.append(each.caption or article(subject))
    notices = []
    if without:
        notices.append(
            f"{without} of {len(examples)} captions do not say {name!r}: their pictures teach what the captions do say"
        )
    return Wording(tuple(said), article(subject), kind, tuple(notices))


def _of_style(style: str, examples: tuple[Example, ...]) -> Wording:
    phrase = f"{style} style"
    said = [
        phrase if each.caption is None else each.caption if _says(each.caption, style) else f"{each.caption}, {phrase}"
        for each in examples
    ]
    without = sum(each.caption is None for each in examples)
    lacking = (f"{without} of {len(examples)} pictures have no caption: {phrase!r} alone is said of them",)
    return Wording(tuple(said), phrase, None, lacking if without else ())


def _says(caption: str, word: str) -> bool:
    """Whole words only: a pink house is none in ink."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", caption, re.IGNORECASE) is not None


def unseen(words: Wording, vocabulary: Vocabulary | None, model: str) -> tuple[str, ...]:
    """What to say where the model has a closed vocabulary and does not know the name: any other unknown word will call
    it too."""
    if vocabulary is None or vocabulary.open or words.called is None:
        return ()
    from limner.prompts.lint import lint

    unknown = lint(words.called, vocabulary).unknown
    if not unknown:
        return ()
    named = ", ".join(repr(word) for word in unknown)
    return (f"{model} has no word {named}: it stands for every unknown word there, and any of them will call this",)
