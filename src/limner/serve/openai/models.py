"""``/v1/models``: what can be drawn with here, now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path

from limner.errors import UnknownName
from limner.serve.native.lists import listed
from limner.serve.service import Service
from limner.serve.shell import service
from limner.types.base import Frozen

router = APIRouter()
Own = Annotated[Service, Depends(service)]
CREATED = 0  # nobody says when


class ModelObject(Frozen):
    """A model as OpenAI describes one. ``owned_by``: the owner of its repository, ``limner`` of those inside."""

    id: str
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str
    title: str
    default: bool


class ModelObjects(Frozen):
    """All of them."""

    object: Literal["list"] = "list"
    data: tuple[ModelObject, ...]


@router.get("/models")
async def models(own: Own) -> ModelObjects:
    """The models whose weights are here; the default one first."""
    return ModelObjects(data=await asyncio.to_thread(found, own))


@router.get("/models/{id:path}")
async def model(own: Own, id: Annotated[str, Path(max_length=200)]) -> ModelObject:
    """One of them."""
    known = await asyncio.to_thread(found, own)
    card = own.session.catalog.find(id)
    for each in known:
        if each.id in (id, None if card is None else card.name):
            return each
    raise UnknownName("model", id, (each.id for each in known), field="model")


def found(own: Service) -> tuple[ModelObject, ...]:
    """The models that are here. Asks the disk."""
    return tuple(sorted(_found(own), key=lambda each: not each.default))


def _found(own: Service) -> Iterator[ModelObject]:
    all_ = listed(own)
    for each in all_.models:
        if each.here:
            owner = "limner" if each.repo is None else each.repo.partition("/")[0]
            yield ModelObject(id=each.name, owned_by=owner, title=each.title, default=each.default)
    for linked in all_.linked:
        if linked.kind == "checkpoint":
            yield ModelObject(id=linked.name, owned_by="user", title=linked.name, default=False)
