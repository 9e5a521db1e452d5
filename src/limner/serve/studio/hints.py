"""What a model sees in the words, while they are typed: tokens, unknown words with near ones, and advice."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from limner.errors import LimnerError
from limner.models.catalog import Catalog
from limner.models.resolving.resolve import resolve
from limner.prompts.lexicon import lexicon
from limner.prompts.vocabulary import Listed
from limner.serve.native.asking import LintView, linted
from limner.serve.native.bodies import LintBody
from limner.serve.service import Service
from limner.serve.shell import service
from limner.serve.studio.templating import fragment
from limner.session.planning import load_family
from limner.types.request import MAX_PROMPT

router = APIRouter()
Own = Annotated[Service, Depends(service)]
ALIKE = 0.81  # difflib ratio: a person chooses among what is offered, so it may be looser than a rewrite's
OFFERED = 3
WORDS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Unknown:
    """A word that the model cannot see, and what it might see instead."""

    word: str
    near: tuple[str, ...]


@router.get("/ui/lint")
async def hints(
    own: Own,
    prompt: Annotated[str, Query(max_length=MAX_PROMPT)] = "",
    model: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """The hints below the prompt. A prompt that cannot be read says why; it never blocks."""
    return fragment("create/_hints.html", await asyncio.to_thread(partial(found, own, prompt, model)))


def found(own: Service, prompt: str, model: str) -> dict[str, object]:
    """What the hints show. Asks the disk."""
    nothing: dict[str, object] = {"lint": None, "unknown": (), "trouble": ""}
    if not prompt.strip():
        return nothing
    try:
        lint = linted(own, LintBody(prompt=prompt, model=model or None))
    except LimnerError as error:
        # a model that is not here yet has no words to compare with, which is no fault of the prompt's
        return {**nothing, "trouble": error.message if error.code == "invalid_request" else ""}
    return {"lint": lint, "unknown": _unknown(own, lint), "trouble": ""}


def _unknown(own: Service, lint: LintView) -> tuple[Unknown, ...]:
    known = _words(own, lint.model) if lint.unknown else ()
    return tuple(Unknown(word, near(word, known)) for word in lint.unknown[:WORDS_SHOWN])


def near(word: str, known: Collection[str]) -> tuple[str, ...]:
    """Known words that may stand for ``word``: synonyms first, then those that are written alike."""
    synonyms = [each for each in lexicon().synonyms.get(word, ()) if each in known]
    alike = difflib.get_close_matches(word, sorted(known), n=OFFERED, cutoff=ALIKE)
    return tuple(dict.fromkeys((*synonyms, *alike)))[:OFFERED]


def _words(own: Service, model: str) -> Collection[str]:
    resolved = resolve(model, own.settings, Catalog.load(), offline=True, folders=False)
    vocabulary = load_family(resolved.card.family).vocabulary(resolved.files)
    return vocabulary.words if isinstance(vocabulary, Listed) else ()
