"""Everything that a request says, as texts that draw and terms that keep out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from limner.prompts.reading import Reading
from limner.prompts.syntax import Break
from limner.types import Plan, Request

_SYNTAX: Final = re.compile(r"[()\[\]|\\]")
_TERMS: Final = re.compile(r"[,;.\n|(){}\[\]]|\bBREAK\b")
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)")
_GLUED: Final = re.compile(r"(nsfw|porn|hentai|nude|naked|nudify|blowjob|cumshot|deepfake|lolicon|shotacon)", re.I)
_WEIGHT: Final = re.compile(r":\s*[+-]?\d*\.?\d+\s*$")
_STAGES: Final = 64  # readings of a scheduled prompt that are looked at, and its whole text
_NEGATIVE_COUNTS_BELOW: Final = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """``names`` are those of adapters; ``guidance`` and ``steps`` are ``None`` where the model decides; ``webui`` says
    whose rules the brackets follow."""

    prompt: str
    negative: str = ""
    morph_to: str | None = None
    names: tuple[str, ...] = ()
    guidance: float | None = None
    steps: int | None = None
    webui: bool = False

    @classmethod
    def of_request(cls, request: Request) -> Self:
        """What a Request says before styles and wildcards."""
        names = tuple(name for name in (*request.loras, request.vae or "") if name)
        webui = request.compat == "a1111"
        return cls(
            request.prompt, request.negative or "", request.morph_to, names, request.guidance, request.steps, webui
        )

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        """What a Plan draws: the words after styles and wildcards, the names of its adapters."""
        names = tuple(name for each in plan.adapters for name in (each.name, each.word or "") if name)
        asked = plan.request
        guidance = asked.guidance if asked.guidance is not None else plan.recipe.guidance
        return cls(plan.prompt, plan.negative, asked.morph_to, names, guidance, asked.steps, asked.compat == "a1111")

    @property
    def negative_draws(self) -> bool:
        """Below a guidance of 1 the model is led towards the negative prompt too."""
        return self.guidance is not None and self.guidance < _NEGATIVE_COUNTS_BELOW


@dataclass(frozen=True, slots=True)
class Text:
    """A text and the field that it is of."""

    where: str
    text: str


def drawn(said: Said) -> tuple[Text, ...]:
    """The texts that are drawn: each reading of the prompt, without what is weighted negatively; what is weighted
    negatively in the negative prompt; all of that where guidance is below 1; the names of adapters."""
    found = [*_readings("prompt", said.prompt, said), *_readings("morph_to", said.morph_to or "", said)]
    found += [Text("negative", text) for text in _weighed(said.negative, said, below_zero=True)]
    if said.negative_draws:
        found += _readings("negative", said.negative, said)
    found += [Text("loras", _spaced(name)) for name in said.names]
    return tuple(dict.fromkeys(text for text in found if text.text.strip()))


def kept_out(said: Said) -> tuple[Text, ...]:
    """The terms that the picture is kept away from: of the negative prompt, and weighted negatively in the prompt."""
    texts = [Text("prompt", text) for text in _weighed(said.prompt, said, below_zero=True)]
    if not said.negative_draws:
        texts.append(Text("negative", said.negative))
    terms = (Text(each.where, _WEIGHT.sub("", term).strip()) for each in texts for term in _TERMS.split(each.text))
    return tuple(dict.fromkeys(term for term in terms if term.text))


def _readings(where: str, text: str, said: Said) -> Iterator[Text]:
    if not _SYNTAX.search(text):
        yield Text(where, text)
        return
    if not any(_weighed(text, said, below_zero=True)):
        yield Text(where, text)  # whole: also what no step of this plan shows
    for reading in _weighed(text, said, below_zero=False):
        yield Text(where, reading)


def _weighed(text: str, said: Said, *, below_zero: bool) -> tuple[str, ...]:
    """The words of each stage whose weight is below zero, or is not."""
    if not _SYNTAX.search(text):
        return () if below_zero else (text,)
    return _stages(text, max(1, min(said.steps or 30, 200)), said.webui)[below_zero]


@lru_cache(maxsize=64)
def _stages(text: str, steps: int, webui: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of each different stage the words that are drawn, and those that are kept out."""
    reading = Reading(webui=webui)
    drawn: dict[str, None] = {}
    out: dict[str, None] = {}
    for stage in list(dict.fromkeys(stage.text for stage in reading.stages(text, steps)))[:_STAGES]:
        pieces = reading.pieces(stage)
        drawn[
            "".join(" " if isinstance(p, Break) else p.text for p in pieces if isinstance(p, Break) or p.weight >= 0)
        ] = None
        out[",".join(p.text for p in pieces if not isinstance(p, Break) and p.weight < 0)] = None
    return tuple(each for each in drawn if each.strip()), tuple(each for each in out if each.strip())


def _spaced(name: str) -> str:
    """A file's name as words."""
    return _CAMEL.sub(" ", _GLUED.sub(r" \1 ", re.sub(r"[_\-.:]", " ", name)))
