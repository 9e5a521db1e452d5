"""``/options``: the web UI's settings, kept in memory for as long as the server runs, the same for all clients."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from limner.errors import ModelNotFound, UnknownName
from limner.models.links.links import Links
from limner.serve.a1111.checkpoints import found, hash_of, title_of
from limner.serve.a1111.settings import AUTOMATIC, FIXED, Honoured
from limner.serve.a1111.state import Desk, desk
from limner.serve.a1111.wording import answer
from limner.serve.service import Service
from limner.serve.shell import service
from limner.types import Request

router = APIRouter()
Own = Annotated[Service, Depends(service)]
Inside = Annotated[Desk, Depends(desk)]


@router.get("/options", response_class=JSONResponse)
async def options(own: Own, inside: Inside) -> Response:
    """The options in force, those that clients set and that change nothing here included."""
    return answer(await asyncio.to_thread(told, own, inside))


@router.post("/options", response_class=JSONResponse)
async def set_options(own: Own, inside: Inside, values: Annotated[dict[str, JsonValue], Body()]) -> Response:
    """Set options. A model and a VAE must be known here; an option that changes nothing here is kept and repeated, and
    each picture's ``limner_notices`` says so."""
    said = Honoured.of(values)
    async with inside.changing:
        if said.sd_model_checkpoint is not None:
            await asyncio.to_thread(known_model, own, said.sd_model_checkpoint)
        if said.sd_vae is not None:
            await asyncio.to_thread(known_vae, own, said.sd_vae)
        inside.options.set(values)
    return answer(None)


def told(own: Service, inside: Desk) -> dict[str, JsonValue]:
    """Options as they stand. Asks the disk."""
    said = inside.options.honoured
    name = None if said.sd_model_checkpoint is None else found(own, said.sd_model_checkpoint)
    title = title_of(own, name)
    return {
        **FIXED,
        **inside.options.others,
        "sd_model_checkpoint": title,
        "sd_checkpoint_hash": hash_of(own, title),
        "sd_vae": said.sd_vae or "Automatic",
        "CLIP_stop_at_last_layers": said.CLIP_stop_at_last_layers or 1,
        "eta_noise_seed_delta": said.eta_noise_seed_delta or 0,
        "randn_source": said.randn_source or "GPU",
    }


def known_model(own: Service, text: str) -> None:
    """Raises what drawing with a model would, weights aside. Asks the disk; of the hub's models, the hub."""
    own.session.foresee(Request.of(prompt="a picture", model=found(own, text)))


def known_vae(own: Service, text: str) -> None:
    """Raises ``UnknownName`` for a VAE that is not here. Asks the disk."""
    links = Links(own.settings)
    try:
        here = text.lower() in AUTOMATIC or links.find("vae", text) is not None
    except ModelNotFound:
        here = False
    if not here:
        raise UnknownName("VAE", text, links.entries("vae"), field="vae")
