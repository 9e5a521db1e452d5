"""``/loras`` and ``/embeddings``: what can be named in a prompt; and the routes that look for new files."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from limner.errors import LimnerError
from limner.models.adapters.embedding import Embedding, read_embedding
from limner.models.links.links import Links
from limner.serve.a1111.wording import answer
from limner.serve.service import Service
from limner.serve.shell import service
from limner.session.shelf import Shelf

router = APIRouter()
Own = Annotated[Service, Depends(service)]


@router.get("/loras", response_class=JSONResponse)
async def loras(own: Own) -> Response:
    """LoRA: ``<lora:NAME:0.8>`` in a prompt. ``path`` is the name, for no path leaves this machine."""
    names = await asyncio.to_thread(lambda: tuple(Links(own.settings).entries("lora")))
    return answer([{"name": each, "alias": each, "path": each, "metadata": {}} for each in names])


@router.get("/embeddings", response_class=JSONResponse)
async def embeddings(own: Own) -> Response:
    """Textual inversions, whose names are words; ``skipped`` cannot be read."""
    return answer(await asyncio.to_thread(_embeddings, own))


@router.post("/refresh-checkpoints", response_class=JSONResponse)
@router.post("/refresh-loras", response_class=JSONResponse)
@router.post("/refresh-vae", response_class=JSONResponse)
@router.post("/refresh-embeddings", response_class=JSONResponse)
async def refresh() -> Response:
    """Folders are looked into whenever something is asked for: nothing is to be done."""
    return answer(None)


def _embeddings(own: Service) -> dict[str, JsonValue]:
    loaded: dict[str, JsonValue] = {}
    skipped: dict[str, JsonValue] = {}
    for name, path in Shelf(own.settings).embeddings.items():
        try:
            loaded[name] = _told(read_embedding(path))
        except LimnerError:
            skipped[name] = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 0, "vectors": 0}
    return {"loaded": loaded, "skipped": skipped}


def _told(found: Embedding) -> dict[str, JsonValue]:
    width = max((width for _, width in found.tables.values()), default=0)
    return {
        "step": None,
        "sd_checkpoint": None,
        "sd_checkpoint_name": None,
        "shape": width,
        "vectors": found.count,
    }
