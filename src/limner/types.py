"""The words of Limner as types: Request, Plan, Record, Score and the Events. Frozen, JSON, torch-free.

A ``Request`` is what was asked. Fields left ``None`` are unset: ``Session.plan`` fills them from the card, the family
and the user's settings, and nothing else in the program does. A ``Plan`` is a Request with everything resolved; its
``identity`` hashes what decides the pixels. A ``Record`` is an image's birth certificate and travels in its file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from limner.canonical import content_hash
from limner.errors import InvalidRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels: TypeAlias = NDArray[np.uint8]
    """Height x width x 3, uint8, sRGB."""
else:
    Pixels = object  # numpy is not worth its import time to requests that fail validation

SCHEMA = 1
MAX_PROMPT = 20_000
MAX_IMAGES = 1_000
MAX_SIDE = 8_192
MAX_STEPS = 1_000
MAX_SEED = 2**53 - 1  # every JSON reader, JavaScript's included, keeps integers up to here

_EMPTY = "is empty; say what to draw"
_EXAMPLE = 'for example "a red fox in the snow"'
_OUT_OF_RANGE = ("greater_than_equal", "less_than_equal")

Speed = Literal["exact", "balanced", "fast"]
Batching = Literal["alone", "shared"]
Dtype = Literal["float32", "bfloat16", "float16"]
Marks = Literal["full", "metadata", "none"]


class Frozen(BaseModel):
    """Immutable, strict about names, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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
    schedule: Annotated[Literal["model", "karras"] | None, Field(description="how noise levels are spaced")] = None
    styles: Annotated[tuple[str, ...], Field(description="presets added to the prompt")] = ()
    variation_seed: Annotated[int | None, Field(ge=0, le=MAX_SEED, description="second noise, mixed in")] = None
    variation: Annotated[float, Field(ge=0, le=1, description="share of the second noise (spherical)")] = 0.0
    morph_to: Annotated[str | None, Field(description="second prompt, mixed in")] = None
    morph: Annotated[float, Field(ge=0, le=1, description="share of the second prompt")] = 0.0
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


class Notice(Frozen):
    """Something the user should know: truncated text, a retry, a clipped value. Never only a log line."""

    code: str
    message: str


class ModelRef(Frozen):
    """Which weights exactly: files by name relative to the checkpoint, each with its tagged hash."""

    name: str
    family: str
    repo: str | None = None
    commit: str | None = None
    files: Mapping[str, str]

    def weights_hash(self) -> str:
        """Hash over the file hashes alone: the same bytes under another name are the same weights."""
        return content_hash(sorted(self.files.values()))


class Numerics(Frozen):
    """What besides the weights decides the bytes. ``device`` is the type alone: cpu, cuda or mps."""

    device: Literal["cpu", "cuda", "mps"]
    dtype: Dtype
    speed: Speed = "exact"
    batching: Batching = "alone"


class Prompted(Frozen):
    """The chunks of token ids in force up to and including step ``until`` (1-based). Weights are A1111 emphasis."""

    until: int
    ids: tuple[tuple[int, ...], ...]
    weights: tuple[tuple[float, ...], ...]


class Recipe(Frozen):
    """A family's part of a Plan: everything that decides the pixels apart from weights and numerics.

    ``levels`` are (alpha, sigma, t), one more than steps; ``start`` multiplies the first noise; ``prompts`` maps a role
    (positive, negative, morph_to) to its conditioning over the steps; ``latent`` is channels, height, width.
    """

    family: str
    width: int
    height: int
    latent: tuple[int, int, int]
    solver: str | None = None
    levels: tuple[tuple[float, float, float], ...] = ()
    start: float = 1.0
    prediction: str = "epsilon"
    guidance: float = 1.0
    morph: float = 0.0
    variation: float = 0.0
    prompts: Mapping[str, tuple[Prompted, ...]] = Field(default_factory=dict)
    options: Mapping[str, str | int | float | bool] = Field(default_factory=dict)


class Estimate(Frozen):
    """What a picture will cost. Bytes and seconds; ``None`` where it is not known. Never part of an identity."""

    weights_bytes: int | None = None
    peak_bytes: int | None = None
    seconds_per_image: float | None = None
    download_bytes: int = 0


class Seed(Frozen):
    """Where one image's noise starts: its seed, and the second seed where a variation is mixed in."""

    seed: int
    variation_seed: int | None = None

    def text(self) -> str:
        return str(self.seed) if self.variation_seed is None else f"{self.seed}/{self.variation_seed}"


class Plan(Frozen):
    """A Request with everything resolved. ``asked`` is the Request as it came; ``request`` has no unset fields that
    matter; ``prompt`` and ``negative`` are the words after styles and wildcards. ``first`` is the index of its first
    image among those asked for (a prompt with variants becomes several Plans)."""

    SCHEMA: ClassVar[int] = SCHEMA

    asked: Request
    request: Request
    prompt: str
    negative: str
    model: ModelRef
    device: str
    numerics: Numerics
    recipe: Recipe
    seeds: tuple[Seed, ...]
    first: int = 0
    origins: Mapping[str, str] = Field(default_factory=dict)
    estimate: Estimate = Estimate()
    notices: tuple[Notice, ...] = ()
    checks: tuple[Notice, ...] = ()
    parent: str | None = None

    @property
    def identity(self) -> str:
        """Tagged hash of what decides the pixels. Fields at their schema default are left out."""
        return content_hash(
            {
                "schema": SCHEMA,
                "weights": self.model.weights_hash(),
                "numerics": self.numerics.model_dump(mode="json"),
                "recipe": self.recipe.model_dump(mode="json", exclude_defaults=True),
            }
        )

    def image_key(self, k: int) -> str:
        """Cache key of image ``k`` of this plan."""
        return content_hash({"identity": self.identity, "seed": self.seeds[k].text()})


class Record(Frozen):
    """How an image came to be: immutable, travels in the file. Scores and ratings live in the library instead."""

    schema_: Annotated[int, Field(alias="schema")] = SCHEMA
    request: Request
    prompt: str
    negative: str = ""
    identity: str
    image_key: str
    index: int
    seed: Seed
    model: ModelRef
    numerics: Numerics
    recipe: Recipe
    device_name: str = ""
    threads: int = 0
    timings: Mapping[str, float] = Field(default_factory=dict)
    peak_bytes: int | None = None
    versions: Mapping[str, str] = Field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    checks: tuple[Notice, ...] = ()
    marks: Marks = "metadata"
    parent: str | None = None
    pixel_hash: str
    created: str

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    def to_json(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_defaults=False)


class Score(Frozen):
    """A number with everything needed to believe it."""

    scorer: str
    revision: str
    value: float
    scale: str
    domain: str


def now() -> str:
    """The time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Queued:
    """Accepted; ``n`` pictures will be made."""

    n: int


@dataclass(frozen=True, slots=True)
class Loading:
    """Weights of ``part`` are being read."""

    model: str
    part: str


@dataclass(frozen=True, slots=True)
class Step:
    """Image ``index`` has done ``step`` of ``steps``; ``preview`` is a small picture where one was asked for."""

    index: int
    step: int
    steps: int
    preview: Pixels | None = None


@dataclass(frozen=True, slots=True)
class Warned:
    notice: Notice
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A backend's answer for image ``index``: pixels and how they were made. The Session turns it into a ``Made``."""

    index: int
    pixels: Pixels
    facts: Facts


@dataclass(frozen=True, slots=True)
class Facts:
    """What only the machine that drew knows: it becomes part of the Record."""

    device_name: str
    threads: int
    timings: Mapping[str, float]
    peak_bytes: int | None
    versions: Mapping[str, str]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """Image ``index`` is finished and, where there is a library, stored. ``path`` is ``None`` where nothing is kept."""

    index: int
    image: Picture


@dataclass(frozen=True, slots=True)
class Done:
    images: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    error: Exception
    images: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    images: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One finished image: pixels, birth Record, and where it is kept."""

    pixels: Pixels
    record: Record
    id: str | None = None
    path: str | None = None


Event: TypeAlias = Queued | Loading | Step | Warned | Made | Done | Failed | Cancelled
