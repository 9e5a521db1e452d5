"""The estimate of a Plan, by what its family's files say: networks counted where they are ours, else weights alone."""

from __future__ import annotations

import math

from limner.errors import LimnerError
from limner.models.dalle import files as dalle_files
from limner.models.dalle import plan as dalle_plan
from limner.models.estimates import estimate
from limner.models.estimates.latent import TEXTS, UNET, VAE
from limner.models.family import Files, Planned
from limner.models.inspect import read_header, read_json
from limner.models.machine import Machine
from limner.types import Estimate

LATENT = ("sd", "sdxl")


def estimate_of(planned: Planned, files: Files, machine: Machine) -> Estimate:
    """Memory and operations of what was planned, from its config files; a family's own estimate by parts is kept.

    Raises ``DeviceError``.
    """
    recipe, request = planned.recipe, planned.request
    if planned.estimate.parts:
        return planned.estimate
    if recipe.family in LATENT:
        configs = {
            part: read_json(files.paths[f"{part}/config.json"])
            for part in (*TEXTS, UNET, VAE)
            if f"{part}/config.json" in files.paths
        }
        return estimate.latent(recipe, configs, request, machine)
    if recipe.family == dalle_files.FAMILY:
        return estimate.dalle_mini(recipe, *dalle_plan.configs(files), request, machine)
    found = estimate.of_files(_values(files), request, machine, values=True)
    return found if found.parts else planned.estimate


def _values(files: Files) -> dict[str, int]:
    """Values of the weights that are here, by part; counted in the files' own headers."""
    found: dict[str, int] = {}
    for name, path in files.paths.items():
        part = name.rpartition("/")[0]
        if name.endswith(".safetensors"):
            try:
                found[part] = found.get(part, 0) + sum(
                    math.prod(each.shape) for each in read_header(path).tensors.values()
                )
            except LimnerError:  # said when it is loaded
                continue
    return found
