"""What there is to choose from, as the web UI lists it: samplers, schedulers, models, styles, upscalers, scripts."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from limner.library import a1111
from limner.models.links.links import Links
from limner.sampling.catalog import A1111_NAMES, SOLVERS
from limner.sampling.compat import SCHEDULES
from limner.serve.a1111.checkpoints import checkpoints
from limner.serve.a1111.wording import answer
from limner.serve.service import Service
from limner.serve.shell import service

router = APIRouter()
Own = Annotated[Service, Depends(service)]
RHO = 7.0  # of Karras' schedule


@router.get("/samplers", response_class=JSONResponse)
async def samplers() -> Response:
    """Samplers by the web UI's names; ``aliases`` are names that are understood too."""
    found: list[JsonValue] = []
    for name, card in SOLVERS.items():
        aliases: list[JsonValue] = [name, *card.aliases]
        options: dict[str, JsonValue] = {"source": card.source, "uses_ensd": card.stochastic}
        if card.karras:
            options["scheduler"] = "karras"
        found.append({"name": A1111_NAMES[name], "aliases": aliases, "options": options})
    return answer(found)


@router.get("/schedulers", response_class=JSONResponse)
async def schedulers() -> Response:
    """Ways of spacing the steps. Automatic is the sampler's usual one."""
    found: list[JsonValue] = [_scheduler("automatic", "Automatic", ())]
    for name, label in SCHEDULES.items():
        theirs = "uniform" if name == "model" else name.replace("-", "_")
        aliases = {name} - {theirs, "model"} | ({"SGMUniform"} if name == "sgm-uniform" else set())
        found.append(_scheduler(theirs, label, tuple(sorted(aliases))))
    return answer(found)


@router.get("/sd-models", response_class=JSONResponse)
async def sd_models(own: Own) -> Response:
    """The models that are here. Any ``title``, ``model_name`` or ``hash`` chooses one."""
    return answer([each.told() for each in await asyncio.to_thread(checkpoints, own)])


@router.get("/sd-vae", response_class=JSONResponse)
async def sd_vae(own: Own) -> Response:
    """Autoencoders of the user's own."""
    names = await asyncio.to_thread(lambda: tuple(Links(own.settings).entries("vae")))
    return answer([{"model_name": each, "filename": each} for each in names])


@router.get("/upscalers", response_class=JSONResponse)
async def upscalers(own: Own) -> Response:
    """Ways of enlarging a finished picture. ``scale`` of a network is not known before it is read."""
    names = await asyncio.to_thread(lambda: tuple(Links(own.settings).entries("upscaler")))
    return answer([_upscaler("None", 1), *map(_upscaler, a1111.words("upscale")), *map(_upscaler, names)])


@router.get("/latent-upscale-modes", response_class=JSONResponse)
async def latent_upscale_modes() -> Response:
    """Ways of enlarging between two passes, before the picture is one."""
    return answer([{"name": each} for each in a1111.words("hires_upscaler") if each.startswith("Latent")])


@router.get("/prompt-styles", response_class=JSONResponse)
async def prompt_styles(own: Own) -> Response:
    """Presets: the built-in ones and the user's."""
    found = await asyncio.to_thread(lambda: own.session.styles)
    return answer(
        [{"name": each.name, "prompt": each.prompt, "negative_prompt": each.negative} for each in found.values()]
    )


@router.get("/scripts", response_class=JSONResponse)
async def scripts() -> Response:
    """There are none."""
    return answer({"txt2img": [], "img2img": []})


@router.get("/script-info", response_class=JSONResponse)
@router.get("/hypernetworks", response_class=JSONResponse)
@router.get("/face-restorers", response_class=JSONResponse)
@router.get("/realesrgan-models", response_class=JSONResponse)
async def none() -> Response:
    """There are none."""
    return answer([])


def _scheduler(name: str, label: str, aliases: tuple[str, ...]) -> dict[str, JsonValue]:
    return {
        "name": name,
        "label": label,
        "aliases": list(aliases) or None,
        "default_rho": RHO if name == "karras" else -1.0,
        "need_inner_model": name in ("sgm_uniform", "simple"),
    }


def _upscaler(name: str, scale: int = 4) -> dict[str, JsonValue]:
    return {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": scale}
