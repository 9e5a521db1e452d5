"""Sizes that clients ask for and models cannot draw: the nearest one that they can, and how it is resampled."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from limner.errors import InvalidRequest
from limner.serve.openai.wording import WrongValue
from limner.session.planning import load_family
from limner.types import Plan

Size = tuple[int, int]
LEAST, MOST_SIDE, MOST_PIXELS = 16, 4_096, 4_096 * 2_048
MOST_RATIO = 4.0  # beyond that, most of what is drawn would be cut off
FAR = 2.0  # a side so many times the native one: pictures repeat themselves, or fall apart
COARSE = 512  # native sides from which models were trained at multiples of 64
ANY = 16  # multiple of sides where the plan does not say it


@dataclass(frozen=True, slots=True)
class Sized:
    """What is drawn (``None``: as the plan has it) and, where that is another one, the size of the answer."""

    drawn: Size | None = None
    answered: Size | None = None


def read_size(text: str) -> Size | None:
    """``WxH`` in pixels, ``None`` for ``auto``. Raises ``InvalidRequest``."""
    if text == "auto":
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise WrongValue(
            f"size: {text[:40]!r} is not WIDTHxHEIGHT", field="size", hint="for example 1024x1024, or auto"
        )
    width, height = int(match[1]), int(match[2])
    if min(width, height) < LEAST or max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise WrongValue(
            f"size: {text} cannot be had", field="size", hint=f"sides of {LEAST} to {MOST_SIDE}, 8 megapixels at most"
        )
    return width, height


def fitted(asked: Size, plan: Plan) -> Sized:
    """How the size asked for is had of the model whose Plan, without a size, this is. Raises ``InvalidRequest``."""
    recipe = plan.recipe
    native = recipe.width, recipe.height
    if not {"width", "height"} <= load_family(recipe.family).honours:
        return Sized(None, None if asked == native else _proportioned(asked))
    multiple = recipe.width // recipe.latent[2] if recipe.latent[2] else ANY
    whole = all(side % multiple == 0 for side in asked)
    near = all(own / FAR < side < own * FAR for side, own in zip(asked, native, strict=True))
    if asked == native or (whole and near):
        return Sized(asked)
    drawn = nearest(_proportioned(asked), native, max(multiple, 64 if min(native) >= COARSE else 8))
    return Sized(drawn, asked)


def nearest(asked: Size, native: Size, multiple: int) -> Size:
    """The size with about ``native``'s pixels and ``asked``'s proportions, its sides multiples of ``multiple`` and not
    far from the native ones."""
    pixels, ratio = native[0] * native[1], asked[0] / asked[1]
    width, height = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
    return _side(width, native[0], multiple), _side(height, native[1], multiple)


def _side(wanted: float, native: int, multiple: int) -> int:
    least = (math.floor(native / FAR / multiple) + 1) * multiple
    most = max(least, (math.ceil(native * FAR / multiple) - 1) * multiple)
    return min(max(round(wanted / multiple) * multiple, least), most)


def _proportioned(size: Size) -> Size:
    if max(size) / min(size) > MOST_RATIO:
        raise InvalidRequest(
            f"size: {size[0]}x{size[1]} is too long and narrow for this model",
            field="size",
            hint=f"one side at most {MOST_RATIO:g} times the other",
        )
    return size


def text_of(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
