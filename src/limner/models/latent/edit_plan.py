"""What editing adds to a Plan: start picture, mask, second pass, tiles, enlargement. Torch-free.

Every value lands in ``Recipe.options`` (or ``Recipe.second``), so that it is part of a Plan's identity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from limner.errors import InvalidRequest
from limner.models.family import Files, Planned
from limner.models.latent import compat, pictures
from limner.models.latent.pictures import Resize
from limner.models.latent.tiles import OVERLAP, TILE
from limner.models.upscaling.recognise import enlargement
from limner.types import MAX_SIDE, Adapter, Notice, Pass, Prompted, Request

STRENGTH, MASKED_STRENGTH = 0.8, 1.0  # diffusers' own for pictures and for masks
HIRES_STRENGTH, HIRES_UPSCALER = 0.5, "lanczos"
LATENT_STRENGTH = 0.7  # an enlarged latent leaves more to mend than an enlarged picture
LATENT_UPSCALERS = ("latent", "latent-bicubic")
BLUR = 128  # a mask's edge is feathered by this part of the picture's shorter side
FAR = 2.0  # a start picture this many times the native side is not drawn at its own size

Options: TypeAlias = dict[str, str | int | float | bool]
Levels: TypeAlias = tuple[tuple[float, float, float], ...]
Again: TypeAlias = Callable[[int, int], tuple[Levels, Mapping[str, tuple[Prompted, ...]]]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a family knows of its checkpoint: ``factor`` pixels a latent cell; ``again`` gives levels and prompts for
    another number of steps."""

    factor: int
    files: Files
    again: Again


def sized(request: Request, factor: int, native: int, files: Files) -> tuple[Request, tuple[Notice, ...]]:
    """The request with the size of its start picture, where it says none.

    That is the picture's own, its sides rounded to multiples of ``factor``; or, where it is more than twice (or less
    than half) the ``native`` side, the picture's proportions at the native area. A part drawn alone
    (``inpaint_padding``) is drawn at the model's own size. Raises ``UnreadablePicture``.
    """
    if request.init is None or request.width is not None or request.inpaint_padding is not None:
        return request, ()
    own = pictures.size_of(files.extras[request.init])
    scale = 1.0
    if max(own) > FAR * native or min(own) < native / FAR:
        scale = native / (own[0] * own[1]) ** 0.5
    width, height = (max(factor * 2, round(side * scale / factor) * factor) for side in own)
    if max(width, height) > MAX_SIDE:
        raise InvalidRequest(f"init: a picture of {own[0]}x{own[1]} is too long", field="init", hint="give --size")
    sized_request = request.but(width=width, height=height)
    if (width, height) == own:
        return sized_request, ()
    message = f"the start picture is {own[0]}x{own[1]} and is drawn at {width}x{height}; --size says otherwise"
    return sized_request, (Notice(code="init-resized", message=message),)


def edited(planned: Planned, ground: Ground, adapters: Sequence[Adapter] = ()) -> Planned:
    """The plan with what the request's editing fields ask. Raises ``InvalidRequest``, ``UnreadablePicture``."""
    for step in (_masked, _started, _second, _in_tiles, _enlarged):
        planned = step(planned, ground, adapters)
    return planned


def _with(planned: Planned, options: Options, notices: Sequence[Notice] = (), **filled: object) -> Planned:
    recipe = planned.recipe.model_copy(update={"options": {**planned.recipe.options, **options}})
    return replace(planned, recipe=recipe, request=planned.request.but(**filled), notices=(*planned.notices, *notices))


def begin_of(steps: int, strength: float, field: str) -> int:
    """The level to begin at so that ``strength`` of ``steps`` are run, rounded down as diffusers does.

    Raises ``InvalidRequest`` where that is no step at all.
    """
    run = min(int(steps * strength), steps)
    if run == 0:
        raise InvalidRequest(
            f"{field}: {strength:g} of {steps} steps is no step at all: nothing would be redrawn",
            field=field,
            hint=f"at {steps} steps it must be {1 / steps:.2g} or more; or ask for more steps",
        )
    return steps - run


def _started(planned: Planned, ground: Ground, adapters: Sequence[Adapter]) -> Planned:
    request, recipe = planned.request, planned.recipe
    if request.init is None:
        return planned
    steps = len(recipe.levels) - 1
    strength = request.strength
    if strength is None:
        strength = STRENGTH if request.mask is None else MASKED_STRENGTH
    begin = begin_of(steps, strength, "strength") if request.compat is None else compat.begin_of(steps, strength)
    resize: Resize = request.resize or "crop"
    options: Options = {
        "init": request.init,
        "resize": resize,
        "begin": begin,
        "pure_noise": strength == 1 and request.mask is not None,
    }
    if request.compat == "a1111":
        options["spread"] = False
    run = f"strength {strength:g}: {steps - begin} of {steps} steps are run, from the start picture"
    notices = [Notice(code="steps-run", message=run)] if begin else []
    if request.resize is None and request.inpaint_padding is None:
        own = pictures.size_of(ground.files.extras[request.init])
        if own[0] * recipe.height != own[1] * recipe.width:
            said = f"the start picture is {own[0]}x{own[1]} and cropped to the shape of {recipe.width}x{recipe.height}"
            notices.append(Notice(code="init-cropped", message=f"{said}; --resize fit or stretch does otherwise"))
    return _with(planned, options, notices, strength=strength, resize=resize)


def _masked(planned: Planned, ground: Ground, adapters: Sequence[Adapter]) -> Planned:
    request, recipe = planned.request, planned.recipe
    if request.mask is None or request.init is None:
        return planned
    own = pictures.size_of(ground.files.extras[request.init])
    hard = pictures.read_mask(ground.files.extras[request.mask], own, request.resize, invert=request.mask_invert)
    pictures.check_mask(hard)
    blur = round(min(recipe.width, recipe.height) / BLUR, 1) if request.mask_blur is None else request.mask_blur
    fill = request.inpaint_fill or "original"
    options: Options = {
        "mask": request.mask,
        "mask_blur": blur,
        "mask_invert": request.mask_invert,
        "inpaint_fill": fill,
    }
    notices = []
    if request.inpaint_padding is not None:
        box = pictures.region(hard, request.inpaint_padding, (recipe.width, recipe.height))
        options["region"] = ",".join(map(str, box))
        options |= {"finished_width": own[0], "finished_height": own[1]}
        part = f"the {box[2] - box[0]}x{box[3] - box[1]} pixels around the mask"
        said = f"{part} are drawn at {recipe.width}x{recipe.height} and put back into {own[0]}x{own[1]}"
        notices.append(Notice(code="part-drawn", message=said))
    return _with(planned, options, notices, mask_blur=blur, inpaint_fill=fill)


def _second(planned: Planned, ground: Ground, adapters: Sequence[Adapter]) -> Planned:
    request, recipe = planned.request, planned.recipe
    if request.hires is None:
        return planned
    if request.mask is not None:
        raise InvalidRequest(
            "hires: a second pass redraws the whole picture, and the mask keeps a part of it",
            field="hires",
            hint="leave --hires out; --upscale enlarges without redrawing",
        )
    size = [round(side * request.hires / ground.factor) * ground.factor for side in (recipe.width, recipe.height)]
    if max(size) > MAX_SIDE:
        raise InvalidRequest(
            f"hires: {size[0]}x{size[1]} is too large; a side may be {MAX_SIDE}", field="hires", hint="a smaller factor"
        )
    upscaler = request.hires_upscaler or HIRES_UPSCALER
    strength = request.hires_strength
    if strength is None:
        strength = LATENT_STRENGTH if upscaler in LATENT_UPSCALERS else HIRES_STRENGTH
    steps = request.hires_steps or request.steps or len(recipe.levels) - 1
    total, begin = steps, 0
    if request.compat is None:
        begin = begin_of(steps, strength, "hires_strength")
    else:
        total, begin = compat.second_pass(steps, strength)
    levels, prompts = ground.again(total, steps)
    second = Pass(
        width=size[0],
        height=size[1],
        latent=(recipe.latent[0], size[1] // ground.factor, size[0] // ground.factor),
        levels=levels,
        begin=begin,
        upscaler=upscaler if upscaler in (*LATENT_UPSCALERS, "lanczos") else _hash_of(upscaler, adapters),
        prompts=prompts,
    )
    said = f"second pass at {size[0]}x{size[1]}: {total - begin} of {total} steps, enlarged by {upscaler}"
    planned = _with(
        planned,
        {},
        [Notice(code="second-pass", message=said)],
        hires_strength=strength,
        hires_steps=steps,
        hires_upscaler=upscaler,
    )
    return replace(planned, recipe=planned.recipe.model_copy(update={"second": second}))


def _in_tiles(planned: Planned, ground: Ground, adapters: Sequence[Adapter]) -> Planned:
    if not planned.request.tiled:
        return planned
    recipe = planned.recipe
    cells = max(recipe.latent[1:] if recipe.second is None else recipe.second.latent[1:])
    pixels = TILE * ground.factor
    said = f"decoded in tiles of {pixels}x{pixels} that overlap: less memory, and other pixels near the seams"
    if cells <= TILE:
        said = f"tiled: the picture is no larger than one tile of {pixels}x{pixels}, so nothing changes"
        return _with(planned, {}, [Notice(code="tiled", message=said)])
    return _with(planned, {"tile": TILE, "tile_overlap": OVERLAP}, [Notice(code="tiled", message=said)])


def _enlarged(planned: Planned, ground: Ground, adapters: Sequence[Adapter]) -> Planned:
    if planned.request.upscale is None:
        return planned
    recipe = planned.recipe
    size = recipe.finished
    found = enlargement(planned.request.upscale, adapters, ground.files)
    width, height = found.size(size)
    said = f"enlarged from {size[0]}x{size[1]} to {width}x{height} by {planned.request.upscale}"
    options: Options = {
        "upscale": found.network or "lanczos",
        "finished_width": width,
        "finished_height": height,
    }
    return _with(planned, options, [Notice(code="enlarged", message=said)])


def _hash_of(name: str, adapters: Sequence[Adapter]) -> str:
    return next(each.hash for each in adapters if each.kind == "upscaler" and each.name == name)
