"""``/memory``, ``/cmd-flags``, and letting go of models."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from limner.models.machine import Gpu, probe
from limner.serve.a1111.wording import Busy, answer
from limner.serve.service import Service
from limner.serve.shell import service

router = APIRouter()
Own = Annotated[Service, Depends(service)]
FLAGS: dict[str, JsonValue] = {
    "api": True,
    "nowebui": False,
    "api_server_stop": False,
    "enable_insecure_extension_access": False,
    "disable_safe_unpickle": False,
}


@router.get("/memory", response_class=JSONResponse)
async def memory() -> Response:
    """Bytes of memory, of the machine and of the first GPU."""
    machine = await asyncio.to_thread(probe)
    total = machine.ram_total if machine.ram_limit is None else min(machine.ram_total, machine.ram_limit)
    free = min(machine.ram_available, total)
    ram = {"free": free, "used": total - free, "total": total}
    return answer({"ram": ram, "cuda": _cuda(machine.gpus[0]) if machine.gpus else {"error": "no CUDA GPU is here"}})


@router.get("/cmd-flags", response_class=JSONResponse)
async def cmd_flags() -> Response:
    """The few of the web UI's flags that say something of this server."""
    return answer(FLAGS)


@router.post("/unload-checkpoint", response_class=JSONResponse)
async def unload(own: Own) -> Response:
    """Let go of all models: the worker process is replaced. An error while something is being drawn."""
    if own.inside.running or own.inside.pending:
        raise Busy("unload-checkpoint: pictures are being drawn", hint="wait, or interrupt them first")
    own.inside.crew.replace("a client asked to unload the models")
    return answer({})


@router.post("/reload-checkpoint", response_class=JSONResponse)
async def reload() -> Response:
    """Models are loaded when they are drawn with: nothing is to be done."""
    return answer({})


def _cuda(gpu: Gpu) -> dict[str, JsonValue]:
    free = gpu.memory if gpu.free is None else gpu.free
    return {"system": {"free": free, "used": gpu.memory - free, "total": gpu.memory}}
