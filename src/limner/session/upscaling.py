"""Plans that enlarge a finished picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from limner.config import Settings
from limner.models.family import Files
from limner.models.machine import Machine, choose_device
from limner.models.upscaling.family import Upscaling
from limner.models.upscaling.recognise import LANCZOS, Named
from limner.models.upscaling.run import DTYPE
from limner.session.inputs import given_pictures
from limner.session.upscalers import named_upscalers
from limner.types import Adapter, ModelRef, Numerics, Plan, Request, Seed


def plan_upscaling(
    request: Request,
    settings: Settings,
    machine: Machine,
    extras: dict[str, Path],
    parent: str | None = None,
    pinned: Sequence[Adapter] | None = None,
) -> Plan:
    """The Plan that enlarges ``request.init`` by ``request.upscale``; its ``prompt`` is the picture's own.
    ``extras`` remembers where files lie; ``pinned`` are the adapters of a Record that is made again. Raises
    ``InvalidRequest``, ``ModelError``, ``LibraryError``."""
    adapters, networks = named_upscalers(request, settings, pinned)
    extras.update({**networks, **given_pictures(request, settings, extras)})
    family = Upscaling()
    planned = family.plan(request, None, Files(Path(), {}, extras), machine, adapters)
    device = choose_device(request.device, machine)
    names: Mapping[str, str] = {Path(each.name).name: each.hash for each in adapters}
    name = Named.of(request.upscale or LANCZOS).name
    numerics = Numerics.model_validate({"device": device.split(":")[0], "dtype": DTYPE})
    return Plan(
        asked=request,
        request=request.but(seed=0, device=device, dtype=DTYPE, model=None, speed="exact", batching="alone"),
        prompt=request.prompt,
        negative="",
        model=ModelRef(name=name, family=family.name, files=names),
        device=device,
        numerics=numerics,
        recipe=planned.recipe,
        adapters=adapters,
        seeds=(Seed(seed=0),),
        notices=planned.notices,
        parent=parent,
    )
