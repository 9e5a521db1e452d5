"""A picture of diffused latents from words to pixels: the course that its families share."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from limner.errors import LimnerError
from limner.models.family import Files
from limner.models.latent.decode import decode, encode_picture
from limner.models.latent.denoise import denoiser
from limner.models.latent.edit import begin
from limner.models.latent.edit_plan import LATENT_UPSCALERS
from limner.models.latent.parts import Parts
from limner.models.latent.start import Draws
from limner.models.latent.text import encode
from limner.models.upscaling.run import enlarge
from limner.sampling.compat import BROWNIAN
from limner.sampling.course import Ask, Course, Level, Show, Solver
from limner.types import Pass, Plan, Recipe

if TYPE_CHECKING:
    from torch import Tensor


def draw(parts: Parts, plan: Plan, k: int, solver: Solver, files: Files) -> Course:
    """Image ``k`` of the plan: pixels [3, H, W] in 0..1."""
    recipe = plan.recipe
    conditions = yield from encode(parts, recipe)
    draws = Draws(plan, k)
    begun, given = yield from begin(parts, draws, files)
    denoise = denoiser(parts, recipe, conditions, begun.beside)
    if begun.kept is not None:
        denoise = begun.kept.around(denoise)
    before, total = len(begun.levels) - 1, steps_of(recipe)
    latent = yield from counted(
        solver.solve(begun.x, begun.levels, denoise, _fresh(draws, recipe, begun.levels)), 0, total
    )
    if begun.kept is not None:
        latent = begun.kept.finish(latent)
    if recipe.second is not None:
        parts, latent = yield from _second(parts, recipe.second, latent, draws, solver, before)
    pixels = yield from decode(parts, latent)
    if "compat" in recipe.options:
        pixels = (pixels * 255).floor() / 255  # A1111 cuts to whole numbers where others round
    if given is not None:
        pixels = given.put_back(pixels)
    return (yield from _enlarged(parts, pixels))


def steps_of(recipe: Recipe) -> int:
    """Steps that are run of both passes, each as many evaluations as its solver's."""
    run = len(recipe.levels) - 1 - int(recipe.options.get("begin", 0))
    return run if recipe.second is None else run + len(recipe.second.levels) - 1 - recipe.second.begin


def _second(
    parts: Parts, second: Pass, latent: Tensor, draws: Draws, solver: Solver, before: int
) -> Generator[Ask, tuple[Tensor, ...], tuple[Parts, Tensor]]:
    """The second pass: the picture enlarged, noise up to the level it begins at, and removed again."""
    recipe = parts.recipe.model_copy(
        update={name: getattr(second, name) for name in ("width", "height", "latent", "levels", "prompts")}
    )
    large = replace(parts, recipe=recipe)
    conditions = yield from encode(large, recipe)
    anew = "compat" in recipe.options  # A1111 begins the seed anew for its second pass, and draws no spread
    draws = draws.again(second.latent) if anew else draws
    clean = yield from _larger(parts, large, second, latent, draws)
    levels = [Level(*level) for level in second.levels[second.begin :]]
    noise = draws.first() if anew else draws.next(second.latent)
    x = levels[0].alpha * clean + levels[0].sigma * noise
    course = solver.solve(x, levels, denoiser(large, recipe, conditions), _fresh(draws, recipe, levels))
    return large, (yield from counted(course, before, before + len(levels) - 1))


def _fresh(draws: Draws, recipe: Recipe, levels: Sequence[Level]) -> Callable[[], Tensor]:
    """What draws a solver's own noise over these of the recipe's levels."""
    if "compat" in recipe.options and recipe.solver in BROWNIAN:
        return draws.between([Level(*level) for level in recipe.levels], levels)
    return lambda: draws.next(recipe.latent)


def _larger(parts: Parts, large: Parts, second: Pass, latent: Tensor, draws: Draws) -> Course:
    """The first pass's latent at the second's size: interpolated as it is, or decoded, enlarged and encoded."""
    import torch

    if second.upscaler in LATENT_UPSCALERS:
        mode = "bicubic" if second.upscaler == "latent-bicubic" else "bilinear"
        return torch.nn.functional.interpolate(latent[None], second.latent[1:], mode=mode, align_corners=False)[0]
    pixels = yield from decode(parts, latent)
    network = None if second.upscaler == "lanczos" else second.upscaler
    pixels = yield from enlarge(parts.checkpoint, pixels, network, (second.width, second.height))
    spread = large.recipe.options.get("spread", True)
    return (
        yield from encode_picture(large, pixels * 2 - 1, lambda: draws.next(second.latent) if spread else draws.like())
    )


def _enlarged(parts: Parts, pixels: Tensor) -> Course:
    options = parts.recipe.options
    if "upscale" not in options:
        return pixels
    network, size = str(options["upscale"]), parts.recipe.finished
    return (yield from enlarge(parts.checkpoint, pixels, None if network == "lanczos" else network, size))


def counted(course: Course, before: int, total: int) -> Course:
    """A solver's course as a part of a longer one: its progress counts from ``before`` up to ``total``."""
    try:
        ask = next(course)
        while True:
            if isinstance(ask, Show):
                ask = replace(ask, step=before + ask.step, steps=total)
            try:
                answer = yield ask
            except LimnerError as error:
                ask = course.throw(error)
            else:
                ask = course.send(answer)
    except StopIteration as stop:
        found: Tensor = stop.value
        return found
    finally:
        course.close()
