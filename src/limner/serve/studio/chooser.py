"""The models that the Create form offers: what each costs before it is chosen, and why one cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from limner.models.catalog import Card
from limner.serve.native.lists import LinkedView, ModelView, listed
from limner.serve.service import Service
from limner.serve.studio.timing import usual
from limner.serve.studio.words import duration, size

Group = Literal["On this machine", "To be fetched first", "Not here"]
GROUPS: tuple[Group, ...] = ("On this machine", "To be fetched first", "Not here")


@dataclass(frozen=True, slots=True)
class Choice:
    """A model to choose. ``cost`` is short enough for a list; ``why`` says what stands against it."""

    name: str
    title: str
    cost: str
    group: Group
    why: str = ""

    @property
    def able(self) -> bool:
        return self.group != "Not here"


@dataclass(frozen=True, slots=True)
class Chooser:
    """All choices, and the one that is taken where nothing was said. ``linked``: the user's LoRAs and embeddings."""

    choices: tuple[Choice, ...]
    default: str
    loras: tuple[str, ...]
    embeddings: tuple[str, ...]
    views: tuple[ModelView, ...]

    def groups(self) -> Iterator[tuple[Group, list[Choice]]]:
        for group in GROUPS:
            found = [each for each in self.choices if each.group == group]
            if found:
                yield group, found

    def to_fetch(self, name: str) -> int | None:
        """Bytes that must be fetched before a model can draw: 0 where it is here, ``None`` where not known."""
        view = self.view(name)
        return 0 if view is None or view.here else view.fetch_bytes

    def view(self, name: str) -> ModelView | None:
        return next((each for each in self.views if each.name == name), None)

    def here(self, name: str) -> bool:
        view = self.view(name)
        return view is None or view.here


def chooser(own: Service) -> Chooser:
    """What there is to choose. Asks the disk."""
    found = listed(own)
    offline = own.session.offline
    default = next((each.name for each in found.models if each.default), found.models[0].name)
    return Chooser(
        (*(_choice(own, each, offline=offline) for each in found.models), *map(_own, _of(found.linked, "checkpoint"))),
        default,
        tuple(_of(found.linked, "lora")),
        tuple(_of(found.linked, "embedding")),
        found.models,
    )


def card_of(own: Service, name: str) -> Card | None:
    """The card of a model by name: the catalog's, or one made of what its own files say. Asks the disk."""
    known = own.session.catalog.find(name)
    if known is not None:
        return known
    view = next((each for each in listed(own).models if each.name == name and each.repo), None)
    if view is None:
        return None
    shared = view.model_dump(include={*Card.model_fields} & {*ModelView.model_fields})
    return Card.model_validate(shared)


def _choice(own: Service, view: ModelView, *, offline: bool) -> Choice:
    needs = "" if view.memory_bytes is None else size(view.memory_bytes)
    if view.here:
        group: Group = "On this machine"
        seconds = usual(own, view.name, default=view.default) if view.here else None
        cost = ", ".join(each for each in ("" if seconds is None else duration(seconds), needs) if each)
    else:
        group = "To be fetched first"
        cost = f"{size(view.fetch_bytes)} to fetch"
    if view.fits is False:
        return Choice(view.name, view.title, "too big here", "Not here", view.why)
    if offline and not view.here:
        return Choice(view.name, view.title, "offline", "Not here", "not fetched, and the server is offline")
    return Choice(view.name, view.title, cost, group)


def _own(name: str) -> Choice:
    return Choice(name, name, "yours", "On this machine")


def _of(linked: tuple[LinkedView, ...], kind: str) -> Iterator[str]:
    return (each.name for each in linked if each.kind == kind)
