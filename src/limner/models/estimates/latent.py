"""The parts of a picture made by diffusing latents, and what each costs: passes, start picture, tiles. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from limner.models.estimates import nets as estimate_nets
from limner.models.estimates.count import Tally
from limner.models.latent.tiles import tiles
from limner.sampling import catalog
from limner.types import Dtype, PartCost, Prompted, Recipe

BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}
TEXTS, UNET, VAE = ("text_encoder", "text_encoder_2"), "unet", "vae"
LATENT_UPSCALERS = ("latent", "latent-bicubic")  # a second pass that needs no pixels in between

Config = Mapping[str, object]
Prompts = Mapping[str, Sequence[Prompted]]


def parts_of(recipe: Recipe, configs: Mapping[str, Config], dtype: Dtype) -> tuple[PartCost, ...]:
    """In the order they are used. Raises ``ModelError`` for a config that cannot be counted."""
    vae: Dtype = "float32" if recipe.options.get("force_upcast") and dtype == "float16" else dtype
    return (
        *(_text(name, configs[name], recipe.prompts, dtype) for name in TEXTS if name in configs),
        together([part(UNET, tally, dtype, calls) for tally, calls in _denoising(recipe, configs[UNET])]),
        together([part(VAE, tally, vae, calls) for tally, calls in _pixels(recipe, configs[VAE], configs[UNET])]),
    )


def part(name: str, tally: Tally, dtype: Dtype, calls: int = 1) -> PartCost:
    """A network's cost in a number format, at ``calls`` calls a picture."""
    size = BYTES[dtype]
    return PartCost(
        name=name,
        weights_bytes=tally.parameters * size,
        work_bytes=tally.peak * size,
        flops=float(tally.flops) * calls,
        calls=calls,
        rows=tally.rows,
    )


def together(uses: Sequence[PartCost]) -> PartCost:
    """One network's several uses in a picture: operations add up, memory is that of the largest."""
    largest = max(uses, key=lambda use: use.work_bytes or 0)
    return largest.model_copy(
        update={"flops": sum(use.flops or 0.0 for use in uses), "calls": sum(use.calls for use in uses)}
    )


def _text(name: str, config: Config, prompts: Prompts, dtype: Dtype) -> PartCost:
    """All chunks of all prompts in one call, each text once."""
    second = name.endswith("_2")
    chunks = {
        ids
        for role, stages in prompts.items()
        if role.endswith("_2") == second
        for stage in stages
        for ids in stage.ids
    }
    return part(name, estimate_nets.clip_text(config, max(map(len, chunks), default=77), max(len(chunks), 1)), dtype)


def _denoising(recipe: Recipe, config: Config) -> Iterator[tuple[Tally, int]]:
    """Calls of each pass; the last level is the clean picture. Solvers that look twice do not at the last step, which
    is counted all the same."""
    guided = any(role.startswith("negative") for role in recipe.prompts) or bool(recipe.options.get("silent_negative"))
    each = catalog.find(recipe.solver).evals_per_step if recipe.solver else 1
    passes = [(recipe.latent, len(recipe.levels) - 1 - int(recipe.options.get("begin", 0)), recipe.prompts)]
    if recipe.second is not None:
        second = recipe.second
        passes.append((second.latent, len(second.levels) - 1 - second.begin, second.prompts))
    for (_, height, width), steps, prompts in passes:
        tally = estimate_nets.unet(config, height, width, _tokens(prompts), 2 if guided else 1)
        yield tally, max(steps, 1) * each


def _pixels(recipe: Recipe, vae: Config, unet: Config) -> Iterator[tuple[Tally, int]]:
    """Decodes and encodes, each as many times as it has tiles."""
    first, last = recipe.latent[1:], recipe.second.latent[1:] if recipe.second else recipe.latent[1:]
    yield _piecewise(recipe, vae, last, decoding=True)
    if "init" in recipe.options:
        times = 2 if unet.get("in_channels") == 9 else 1  # an inpainting network is also told the masked picture
        for _ in range(times):
            yield _piecewise(recipe, vae, first, decoding=False)
    if recipe.second is not None and recipe.second.upscaler not in LATENT_UPSCALERS:
        yield _piecewise(recipe, vae, first, decoding=True)
        yield _piecewise(recipe, vae, last, decoding=False)


def _piecewise(recipe: Recipe, vae: Config, cells: Sequence[int], *, decoding: bool) -> tuple[Tally, int]:
    height, width = cells
    count = 1
    if "tile" in recipe.options:
        placed = tiles(height, width, int(recipe.options["tile"]), int(recipe.options["tile_overlap"]))
        count, height, width = len(placed), placed[0].bottom - placed[0].top, placed[0].right - placed[0].left
    if decoding:
        return estimate_nets.decoder(vae, height, width), count
    blocks = vae.get("block_out_channels")
    factor = 2 ** (len(blocks) - 1) if isinstance(blocks, Sequence) else 8
    return estimate_nets.encoder(vae, height * factor, width * factor), count


def _tokens(prompts: Prompts) -> int:
    """Text states that the network attends to."""
    counts = (sum(map(len, stage.ids)) for stages in prompts.values() for stage in stages)
    return max(counts, default=77)
