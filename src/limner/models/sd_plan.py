"""Stable Diffusion's part of a Plan: sizes, noise levels, token chunks. Torch-free, from config files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from limner.errors import CorruptFile, InvalidRequest
from limner.models import tokenizer
from limner.models.catalog import Card
from limner.models.family import Files, Planned
from limner.models.inspect import read_json
from limner.prompts import chunks, syntax
from limner.prompts.chunks import Chunk
from limner.sampling import catalog, schedules
from limner.sampling.guidance import needs_uncond
from limner.types import Estimate, Notice, Prompted, Recipe, Request

STEPS, GUIDANCE, SOLVER = 20, 7.5, "dpmpp-2m"
FAR = 2.0  # a side this many times the native one: pictures repeat themselves


def plan(request: Request, card: Card, files: Files) -> Planned:
    """Fill in what the request leaves open and compute the Recipe. Raises ``InvalidRequest``, ``ModelError``."""
    unet, vae = _config(files, "unet"), _config(files, "vae")
    training = schedules.Training.from_json(_config(files, "scheduler", "scheduler_config.json"))
    # Old configs say 0, but the networks were trained with 1; diffusers' pipeline corrects it too.
    training = replace(training, steps_offset=1)
    filled = _fill(request, card, unet, vae)
    notices = [*_size_notices(filled, card, unet, vae), *_guidance_notices(filled)]
    solver = catalog.find(filled.solver or SOLVER)
    levels, start = schedules.levels(training, solver, filled.steps or STEPS, karras=filled.schedule == "karras")
    text = tokenizer.read(files)
    prompts = _prompts(filled, text)
    factor = _factor(vae)
    channels = _channels(card, unet, vae)
    recipe = Recipe(
        family="sd",
        width=filled.width or 0,
        height=filled.height or 0,
        latent=(channels, (filled.height or 0) // factor, (filled.width or 0) // factor),
        solver=solver.name,
        levels=tuple((level.alpha, level.sigma, level.t) for level in levels),
        start=start,
        prediction=training.prediction_type,
        guidance=_number(filled.guidance),
        morph=filled.morph,
        variation=filled.variation,
        prompts=prompts,
        options={"scaling": _float(vae, "scaling_factor", 0.18215), "shift": _float(vae, "shift_factor", 0.0)},
    )
    weights = sum(path.stat().st_size for path in files.part("unet", ".safetensors"))
    return Planned(recipe, filled.but(solver=solver.name), tuple(notices), Estimate(weights_bytes=weights))


def _fill(request: Request, card: Card, unet: Mapping[str, object], vae: Mapping[str, object]) -> Request:
    factor = _factor(vae)
    native = _int(unet, "sample_size", 64) * factor
    width, height = request.width or card.width or native, request.height or card.height or native
    if width % factor or height % factor:
        near = f"{_near(width, factor)}x{_near(height, factor)}"
        raise InvalidRequest(
            f"size: {width}x{height} cannot be made by {card.name}: its sides are multiples of {factor}",
            field="size",
            hint=f"the nearest size is {near}",
        )
    steps = request.steps or card.steps or STEPS
    guidance = request.guidance if request.guidance is not None else card.guidance
    return request.but(
        width=width,
        height=height,
        steps=steps,
        guidance=GUIDANCE if guidance is None else guidance,
        solver=request.solver or card.solver or SOLVER,
        schedule=request.schedule or "model",
        negative=request.negative or "",
    )


def _channels(card: Card, unet: Mapping[str, object], vae: Mapping[str, object]) -> int:
    latent, taken = _int(vae, "latent_channels", 4), _int(unet, "in_channels", 4)
    if latent != taken:
        raise InvalidRequest(
            f"{card.name} takes {taken} latent channels and its autoencoder makes {latent}: it wants a picture to edit",
            field="model",
            hint="this is an inpainting or editing model; choose a text-to-image model (limner models list)",
        )
    return latent


def _near(side: int, factor: int) -> int:
    return max(factor * 2, round(side / factor) * factor)


def _size_notices(request: Request, card: Card, unet: Mapping[str, object], vae: Mapping[str, object]) -> list[Notice]:
    native = _int(unet, "sample_size", 64) * _factor(vae)
    side = max(request.width or native, request.height or native)
    if native / FAR < min(request.width or native, request.height or native) and side < native * FAR:
        return []
    return [
        Notice(
            code="far-from-native-size",
            message=f"{card.name} was trained on {native}x{native}; far from that, shapes repeat or fall apart",
        )
    ]


def _guidance_notices(request: Request) -> list[Notice]:
    if request.negative and not needs_uncond(_number(request.guidance)):
        return [Notice(code="negative-unused", message="at guidance 1 the negative prompt has no effect")]
    return []


def _prompts(request: Request, text: tokenizer.Text) -> dict[str, tuple[Prompted, ...]]:
    """Chunks by role over the steps; all roles padded to the same number of chunks, as they share model calls."""
    steps = request.steps or STEPS
    said = {"positive": request.prompt}
    if needs_uncond(_number(request.guidance)):
        said["negative"] = request.negative or ""
    if request.morph_to is not None:
        said["morph_to"] = request.morph_to
    staged = {
        role: [(stage.until, _chunks(stage.text, text)) for stage in syntax.schedule(words, steps)]
        for role, words in said.items()
    }
    most = max(len(found) for stages in staged.values() for _, found in stages)
    empty = _chunks("", text)
    return {
        role: tuple(_prompted(until, [*found, *empty * (most - len(found))]) for until, found in stages)
        for role, stages in staged.items()
    }


def _chunks(words: str, text: tokenizer.Text) -> tuple[Chunk, ...]:
    return chunks.chunk(
        syntax.parse_weights(words), text.encode, bos=text.bos, eos=text.eos, pad=text.pad, length=text.length
    )


def _prompted(until: int, found: Sequence[Chunk]) -> Prompted:
    return Prompted(until=until, ids=tuple(c.ids for c in found), weights=tuple(c.weights for c in found))


def _config(files: Files, part: str, name: str = "config.json") -> Mapping[str, object]:
    try:
        return read_json(files.paths[f"{part}/{name}"])
    except KeyError:
        raise CorruptFile(f"the checkpoint has no {part}/{name}", hint="it is not a whole diffusers folder") from None


def _factor(vae: Mapping[str, object]) -> int:
    blocks = vae.get("block_out_channels")
    count = len(blocks) if isinstance(blocks, Sequence) else 4
    return int(2 ** (count - 1))


def _int(config: Mapping[str, object], key: str, default: int) -> int:
    value = config.get(key, default)
    return value if isinstance(value, int) else default


def _float(config: Mapping[str, object], key: str, default: float) -> float:
    value = config.get(key)
    return float(value) if isinstance(value, int | float) else default


def _number(guidance: float | None) -> float:
    return GUIDANCE if guidance is None else guidance
