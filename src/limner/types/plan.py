"""The Plan: a Request with everything resolved, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from limner.canonical import content_hash
from limner.types.base import SCHEMA, Batching, Dtype, Frozen, Notice, Speed
from limner.types.request import Request


class Adapter(Frozen):
    """Something laid over a checkpoint: a LoRA, a textual inversion, another autoencoder, an upscaler.

    ``hash`` is the tagged hash of its file, ``scale`` its strength (1 is as trained) and ``text_scale`` that in
    text encoders where it is another, ``word`` what it is called in a prompt where it is a textual inversion. ``name``
    is what the user called it and decides nothing.
    """

    kind: Literal["lora", "embedding", "vae", "upscaler"]
    name: str
    hash: str
    scale: float = 1.0
    text_scale: float | None = None
    word: str | None = None


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


class Pass(Frozen):
    """A second pass over the picture, enlarged: sizes and levels as in a Recipe, drawn from level ``begin`` on.

    ``upscaler`` is how it is enlarged: ``latent``, ``latent-bicubic``, ``lanczos``, or the tagged hash of a network's
    file. ``prompts`` are the Recipe's over the steps of this pass."""

    width: int
    height: int
    latent: tuple[int, int, int]
    levels: tuple[tuple[float, float, float], ...]
    begin: int
    upscaler: str
    prompts: Mapping[str, tuple[Prompted, ...]]


class Recipe(Frozen):
    """A family's part of a Plan: everything that decides the pixels apart from weights and numerics.

    ``levels`` are (alpha, sigma, t), one more than steps; ``start`` multiplies the first noise; ``prompts`` maps a role
    (positive, negative, morph_to) to its conditioning over the steps; ``latent`` is channels, height, width; ``second``
    is the pass over the enlarged picture, where there is one.
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
    second: Pass | None = None

    @property
    def finished(self) -> tuple[int, int]:
        """Width and height of the picture that comes out: after a second pass, put back into its start picture, or
        enlarged."""
        last = self.second or self
        width, height = self.options.get("finished_width", last.width), self.options.get("finished_height", last.height)
        return int(width), int(height)


class PartCost(Frozen):
    """What one network costs. ``weights_bytes`` while it is loaded and ``work_bytes`` more while it runs a call of
    ``rows`` batch elements; ``flops`` of one picture over all its ``calls``. ``None`` where it is not known."""

    name: str
    weights_bytes: int
    work_bytes: int | None = None
    flops: float | None = None
    calls: int = 0
    rows: int = 1


class Estimate(Frozen):
    """What a picture will cost. Bytes and seconds; ``None`` where it is not known. Never part of an identity.

    ``peak_bytes`` is of the whole process on a CPU, of the device elsewhere, with ``offload`` done: the parts that
    leave memory to make room for others. ``seconds_low`` to ``seconds_high`` is the range that ``seconds_per_image``
    stands for, without loading, and ``basis`` says what it goes by.
    """

    weights_bytes: int | None = None
    peak_bytes: int | None = None
    seconds_per_image: float | None = None
    download_bytes: int = 0
    seconds_low: float | None = None
    seconds_high: float | None = None
    basis: str = ""
    parts: tuple[PartCost, ...] = ()
    offload: tuple[str, ...] = ()


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
    adapters: tuple[Adapter, ...] = ()
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
        decides: dict[str, object] = {
            "schema": SCHEMA,
            "weights": self.model.weights_hash(),
            "numerics": self.numerics.model_dump(mode="json"),
            "recipe": self.recipe.model_dump(mode="json", exclude_defaults=True),
        }
        if self.adapters:
            decides["adapters"] = [each.model_dump(mode="json", exclude={"name"}) for each in self.adapters]
        return content_hash(decides)

    def image_key(self, k: int) -> str:
        """Cache key of image ``k`` of this plan."""
        return content_hash({"identity": self.identity, "seed": self.seeds[k].text()})
