"""``/api/v1/models``, ``solvers``, ``styles``, ``metrics``: what there is to choose from here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends

from limner.errors import LimnerError
from limner.evaluate.metric import MetricCard
from limner.evaluate.state import states
from limner.models.catalog import Card
from limner.models.holdings import repos
from limner.models.hub.cache import RepoName, cached
from limner.models.links.layouts import KINDS
from limner.models.links.links import Links
from limner.models.machine import probe
from limner.models.resolving.resolved import in_folder, unknown_card
from limner.models.state import State, state
from limner.sampling.catalog import SOLVERS
from limner.serve.service import Service
from limner.serve.shell import service
from limner.types.base import Frozen

router = APIRouter(tags=["lists"])
Own = Annotated[Service, Depends(service)]


class ModelView(Frozen):
    """A model: its card, and what stands between it and a picture here. Bytes. ``fetch_bytes`` is 0 where it is here,
    ``null`` where not known; ``why`` says why it fits this machine's memory, or does not."""

    name: str
    title: str
    family: str
    repo: str | None
    licence: str
    restrictions: str
    gated: bool | None
    width: int | None
    height: int | None
    steps: int | None
    guidance: float | None
    solver: str | None
    blurb: str
    verified: str
    default: bool
    here: bool
    fetch_bytes: int | None
    memory_bytes: int | None
    fits: bool | None
    why: str


class LinkedView(Frozen):
    """A file of the user's own, by the name that a Request calls it."""

    kind: str
    name: str


class ModelList(Frozen):
    """Models of the catalog and of the hub's cache; ``linked``: checkpoints, LoRAs and so on of the user's own."""

    models: tuple[ModelView, ...]
    linked: tuple[LinkedView, ...]


class SolverView(Frozen):
    """A way of removing noise, and what others call it."""

    name: str
    title: str
    a1111: str
    scheduler: str
    stochastic: bool
    source: str


class StyleView(Frozen):
    """A preset; ``{prompt}`` stands for the user's words."""

    name: str
    prompt: str
    negative: str
    description: str


class MetricView(Frozen):
    """A scorer. ``missing`` is the command that makes it ready, ``fetch_bytes`` what that brings."""

    name: str
    card: MetricCard
    here: bool
    missing: str | None
    fetch_bytes: int
    fits: bool | None


@router.get("/models")
async def models(own: Own) -> ModelList:
    """Which models there are, which are here, and which fit this machine."""
    return await asyncio.to_thread(listed, own)


@router.get("/solvers")
async def solvers() -> tuple[SolverView, ...]:
    """The ways of removing noise."""
    return tuple(
        SolverView(**{name: getattr(card, name) for name in SolverView.model_fields}) for card in SOLVERS.values()
    )


@router.get("/styles")
async def styles(own: Own) -> tuple[StyleView, ...]:
    """Presets added to prompts: the built-in ones and the user's."""
    found = await asyncio.to_thread(lambda: own.session.styles)
    return tuple(
        StyleView(name=each.name, prompt=each.prompt, negative=each.negative, description=each.description)
        for _, each in sorted(found.items())
    )


@router.get("/metrics")
async def metrics() -> tuple[MetricView, ...]:
    """Scorers, and what stands between them and a score here."""
    return tuple(
        MetricView(
            name=each.name,
            card=each.card,
            here=each.missing is None,
            missing=each.missing,
            fetch_bytes=each.fetch,
            fits=each.fits,
        )
        for each in await asyncio.to_thread(states)
    )


def listed(own: Service) -> ModelList:
    """The models as they stand. Asks the disk."""
    machine = probe()
    default = str(own.settings.value("model").value or "pocket")
    cards = (*own.session.catalog.cards, *_fetched(own))
    return ModelList(
        models=tuple(_view(state(card, machine), default) for card in cards),
        linked=tuple(_linked(own)),
    )


def _view(found: State, default: str) -> ModelView:
    card = found.card
    own = ("default", "here", "fetch_bytes", "memory_bytes", "fits", "why")
    return ModelView(
        **{name: getattr(card, name) for name in ModelView.model_fields if name not in own},
        default=card.name == default,
        here=found.here,
        fetch_bytes=found.fetch,
        memory_bytes=found.memory,
        fits=None if found.fit is None else found.fit.ok,
        why="" if found.fit is None else found.fit.reason,
    )


def _fetched(own: Service) -> Iterator[Card]:
    """Cards of hub repos on this machine that the catalog does not know and that Limner can draw with."""
    known = {card.repo for card in own.session.catalog.cards}
    for repo in repos():
        there = cached(RepoName(repo))
        if repo in known or there is None:
            continue
        found = there.files()
        try:
            seen = in_folder(found, repo)
            used = {name: found[name] for name in seen.need.names}
            yield unknown_card(repo, seen.family, used, repo=repo, commit=there.commit)
        except LimnerError:
            continue


def _linked(own: Service) -> Iterator[LinkedView]:
    links = Links(own.settings)
    for kind in KINDS:
        try:
            entries = links.entries(kind)
        except LimnerError:
            continue  # limner models link --list says what is wrong with the list
        yield from (LinkedView(kind=kind, name=name) for name in entries)
