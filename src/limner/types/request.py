"""The Request: what was asked, checked at the door."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from limner.errors import InvalidRequest
from limner.types.base import Batching, Dtype, Frozen, Speed

MAX_PROMPT = 20_000
MAX_IMAGES = 1_000
MAX_SIDE = 8_192
MAX_STEPS = 1_000
MAX_SEED = 2**53 - 1  # every JSON reader, JavaScript's included, keeps integers up to here

_EMPTY = "is empty; say what to draw"
_EXAMPLE = 'for example "a red fox in the snow"'
_OUT_OF_RANGE = ("greater_than_equal", "less_than_equal")
INPUT = r"^sha256:[0-9a-f]{64}$"  # an ingested picture; its path never leaves the machine that took it in


class Request(Frozen):
    """What was asked: immutable, validated, JSON. The same type for CLI, HTTP body and library.

    Sizes are pixels. ``None`` means "not said": the model's own default is used, and recorded.
    """

    prompt: Annotated[str, Field(description="what to draw")]
    negative: Annotated[str | None, Field(description="what to keep out of the picture")] = None
    model: Annotated[str | None, Field(description="catalog name, hub repo or folder")] = None
    n: Annotated[int, Field(ge=1, le=MAX_IMAGES, description="number of pictures")] = 1
    seed: Annotated[int | None, Field(ge=0, le=MAX_SEED, description="start of the noise; picture k uses seed + k")] = (
        None
    )
    width: Annotated[int | None, Field(ge=16, le=MAX_SIDE, description="width in pixels")] = None
    height: Annotated[int | None, Field(ge=16, le=MAX_SIDE, description="height in pixels")] = None
    steps: Annotated[int | None, Field(ge=1, le=MAX_STEPS, description="denoising steps")] = None
    guidance: Annotated[float | None, Field(ge=0, le=100, description="how strongly the words steer; 1 is off")] = None
    temperature: Annotated[
        float | None, Field(ge=0, le=10, description="how freely image tokens are chosen; 0 takes the likeliest")
    ] = None
    top_k: Annotated[
        int | None, Field(ge=0, le=1_000_000, description="choose among this many likeliest image tokens; 0 is all")
    ] = None
    top_p: Annotated[
        float | None, Field(ge=0, le=1, description="choose among the likeliest image tokens that reach this share")
    ] = None
    solver: Annotated[str | None, Field(description="how the noise is removed (limner solvers)")] = None
    schedule: Annotated[
        Literal["model", "karras", "exponential", "sgm-uniform", "simple", "align-your-steps"] | None,
        Field(description="how noise levels are spaced; beyond karras with --compat a1111 only"),
    ] = None
    styles: Annotated[tuple[str, ...], Field(description="presets added to the prompt")] = ()
    variation_seed: Annotated[int | None, Field(ge=0, le=MAX_SEED, description="second noise, mixed in")] = None
    variation: Annotated[float, Field(ge=0, le=1, description="share of the second noise (spherical)")] = 0.0
    morph_to: Annotated[str | None, Field(description="second prompt, mixed in")] = None
    morph: Annotated[float, Field(ge=0, le=1, description="share of the second prompt")] = 0.0
    init: Annotated[str | None, Field(pattern=INPUT, description="picture to start from")] = None
    strength: Annotated[
        float | None, Field(ge=0, le=1, description="how much of the start picture is redrawn; 1 is all of it")
    ] = None
    resize: Annotated[
        Literal["crop", "fit", "stretch"] | None, Field(description="how the start picture is brought to the size")
    ] = None
    mask: Annotated[str | None, Field(pattern=INPUT, description="where to draw: white is redrawn, black kept")] = None
    mask_blur: Annotated[float | None, Field(ge=0, le=256, description="softness of the mask's edge in pixels")] = None
    mask_invert: Annotated[bool, Field(description="redraw what is black in the mask instead")] = False
    inpaint_fill: Annotated[
        Literal["original", "noise"] | None, Field(description="what the masked part starts from")
    ] = None
    inpaint_padding: Annotated[
        int | None, Field(ge=0, le=1024, description="draw only the masked part, with this many pixels around it")
    ] = None
    hires: Annotated[float | None, Field(gt=1, le=8, description="second pass at this many times the size")] = None
    hires_strength: Annotated[
        float | None, Field(ge=0, le=1, description="how much of the enlarged picture is redrawn")
    ] = None
    hires_steps: Annotated[int | None, Field(ge=1, le=MAX_STEPS, description="steps of the second pass")] = None
    hires_upscaler: Annotated[
        str | None, Field(description="how it is enlarged: latent, lanczos, or an upscaler's name")
    ] = None
    upscale: Annotated[str | None, Field(description="enlarge the finished picture with this upscaler")] = None
    loras: Annotated[tuple[str, ...], Field(description="adapters as NAME or NAME:WEIGHT")] = ()
    vae: Annotated[str | None, Field(description="another autoencoder than the model's own")] = None
    clip_skip: Annotated[
        int | None, Field(ge=1, le=12, description="layer of the text encoder counted from the end; 1 is the last")
    ] = None
    tiled: Annotated[bool | None, Field(description="decode in tiles: less memory, other pixels at the seams")] = None
    compat: Annotated[Literal["a1111"] | None, Field(description="follow another tool's rules")] = None
    noise_source: Annotated[Literal["cpu", "philox"] | None, Field(description="whose random numbers")] = None
    noise_delta: Annotated[
        int | None, Field(ge=0, le=MAX_SEED, description="added to the seed of the solver's own noise (A1111's ENSD)")
    ] = None
    device: Annotated[str | None, Field(pattern=r"^(cpu|cuda(:\d+)?|mps)$", description="cpu, cuda, cuda:1 or mps")] = (
        None
    )
    dtype: Annotated[Dtype | None, Field(description="number format of the networks")] = None
    speed: Annotated[Speed | None, Field(description="which approximations are allowed")] = None
    batching: Annotated[Batching | None, Field(description="may a model call hold several pictures' rows")] = None

    @field_validator("prompt", "negative", "morph_to")
    @classmethod
    def _text(cls, text: str | None) -> str | None:
        if text is None:
            return None
        if len(text) > MAX_PROMPT:
            raise ValueError(f"is {len(text):,} characters long; the limit is {MAX_PROMPT:,}")
        if bad := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", text):
            raise ValueError(f"holds the control character U+{ord(bad[0]):04X} at position {bad.start()}")
        return text

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.prompt.strip():
            raise ValueError(f"prompt: {_EMPTY}")
        if (self.width is None) != (self.height is None):
            raise ValueError("size: give width and height together")
        if self.seed is not None and self.seed + self.n - 1 > MAX_SEED:
            raise ValueError(f"seed: seed + n is beyond {MAX_SEED}")
        if self.mask is not None and self.init is None:
            raise ValueError("mask: says where to redraw a start picture, and there is none; give init too")
        return self

    @classmethod
    def of(cls, **fields: object) -> Self:
        """Build from loose values. Raises ``InvalidRequest`` naming the field and what it may be."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise _invalid(error) from None

    def but(self, **changes: object) -> Self:
        """A copy with some fields changed, validated again."""
        return type(self).of(**(self.model_dump() | changes))


def _invalid(error: ValidationError) -> InvalidRequest:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else None
    message = str(first["msg"]).removeprefix("Value error, ")
    if field is None and ": " in message:
        field, message = message.split(": ", 1)
    given = first.get("input")
    shown = f" (given: {str(given)[:60]!r})" if isinstance(given, str | int | float) and first["loc"] else ""
    name = field or "request"
    if first["type"] == "extra_forbidden":
        return InvalidRequest(f"a request has no field {name!r}", field=field, hint="limner draw --help lists them")
    if first["type"] in _OUT_OF_RANGE and field in Request.model_fields and (limits := _limits(name)):
        about = f"{name}: {Request.model_fields[name].description}"
        return InvalidRequest(f"{name} must be {limits}, not {str(given)[:60]}", field=field, hint=about)
    if not first["loc"] and message == _EMPTY:
        return InvalidRequest(f"the prompt {message}", field=field, hint=_EXAMPLE)
    hint = "" if field not in Request.model_fields else f"{name}: {_allowed(name)}"
    return InvalidRequest(f"{name}: {message[0].lower() + message[1:]}{shown}", field=field, hint=hint)


def _allowed(name: str) -> str:
    """What a field may be, in words: its range where it has one, and what it is for."""
    about, limits = Request.model_fields[name].description or "", _limits(name)
    return f"{limits} ({about})" if limits else about


def _limits(name: str) -> str:
    """``"1 to 1000"``; empty for a field without a range."""
    bounds = Request.model_fields[name].metadata
    low = next((m.ge for m in bounds if hasattr(m, "ge")), None)
    high = next((m.le for m in bounds if hasattr(m, "le")), None)
    return "" if low is None or high is None else f"{low} to {high}"


def parse_size(text: str) -> tuple[int, int]:
    """``"512x768"`` or ``"512"`` (square) to (width, height). Raises ``InvalidRequest``."""
    match = re.fullmatch(r"\s*(\d{1,5})(?:\s*[xX×*]\s*(\d{1,5}))?\s*", text)
    if match is None:
        raise InvalidRequest(
            f"size: {text!r} is not a size", field="size", hint="write WIDTHxHEIGHT, for example 512x768"
        )
    return int(match[1]), int(match[2] or match[1])
