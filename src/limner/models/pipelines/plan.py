"""A foreign pipeline's part of a Plan: size, steps, guidance, words. Torch-free, from config files alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from limner.errors import InvalidRequest, MissingExtra, UnsupportedField
from limner.models.family import Files, Planned
from limner.models.inspect import read_json
from limner.models.pipelines.kinds import Kind, kind_of
from limner.models.resolving.layout import INDEX
from limner.prompts.plain import as_words
from limner.types import Estimate, Notice, Recipe, Request

__all__ = ["CHECKER", "FAMILY", "IN_MEMORY", "Described", "checker_in", "describe", "extra", "plan", "refuse_negative"]

FAMILY = "pipeline"
IN_MEMORY = "pipeline:"  # begins the name of a model that is in no file; no repo, folder or catalog name can
CHECKER = "safety_checker"
DENOISERS = ("transformer", "unet", "prior_prior")
DECODERS = ("vae", "movq", "vqgan")

Config = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of a pipeline before it is loaded. ``name`` is what the user calls it; ``configs`` are those of its
    components; ``weights_bytes`` what they hold; ``notices`` what must be said whatever is drawn."""

    name: str
    kind: Kind
    configs: Mapping[str, Config]
    weights_bytes: int | None = None
    notices: tuple[Notice, ...] = ()


def describe(name: str, files: Files) -> Described:
    """From the files of a checkpoint in the diffusers layout. Raises ``ModelError``."""
    index = read_json(files.paths[INDEX])
    kind = kind_of(str(index.get("_class_name")))
    configs = {part: read_json(path) for part in index if (path := files.paths.get(f"{part}/config.json"))}
    size = sum(path.stat().st_size for file, path in files.paths.items() if file.endswith(".safetensors"))
    notices = [*_checker_notices(name, index), *_extra_notices(name)]
    if not kind.listed:
        message = f"{name} is a {kind.name}, which Limner was never tried with: what you leave open is its own default"
        notices.append(Notice(code="untried-pipeline", message=message))
    return Described(name, kind, configs, size, tuple(notices))


def checker_in(index: Config) -> bool:
    """Whether a ``model_index.json`` names a safety checker."""
    said = index.get(CHECKER)
    return isinstance(said, list) and any(word is not None for word in said)


def extra() -> MissingExtra | None:
    """What to say where the libraries that draw are not installed; imports neither."""
    missing = [name for name in ("diffusers", "transformers") if find_spec(name) is None]
    return MissingExtra("models", missing) if missing else None


def plan(request: Request, described: Described, size: tuple[int | None, int | None] = (None, None)) -> Planned:
    """Fill in what the request leaves open, as the pipeline itself would. ``size`` is the model card's.

    Raises ``InvalidRequest``, ``UnsupportedField``.
    """
    kind = described.kind
    width, height = _size(request, described, size)
    steps = request.steps or kind.steps
    guidance, unused = _guidance(request, described)
    negative, dropped = _negative(request, described, guidance)
    notices = (
        *_manner(described),
        *unused,
        *dropped,
        *as_words(described.name, (request.prompt, request.negative or "")),
        *described.notices,
    )
    options: dict[str, str | int | float | bool] = {"class": kind.name, "prompt": request.prompt}
    for name, value in (("negative", negative), ("steps", steps), ("guidance", guidance)):
        if value is not None:
            options[name] = value
    filled = request.but(
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        negative=negative,
        # Settings may have filled what it has no use for.
        **dict.fromkeys(("solver", "schedule", "temperature", "top_k", "top_p")),
    )
    recipe = Recipe(
        family=FAMILY, width=width, height=height, latent=(0, 0, 0), guidance=guidance or 0.0, options=options
    )
    return Planned(recipe, filled, notices, Estimate(weights_bytes=described.weights_bytes))


def refuse_negative(name: str, kind: Kind) -> None:
    """Raises ``UnsupportedField`` where the class takes no negative prompt."""
    if not kind.negative:
        raise UnsupportedField(
            f"{name} cannot honour 'negative': a {kind.name} takes no negative prompt",
            field="negative",
            hint="leave it out, and say in the prompt what you want instead",
        )


def _size(request: Request, described: Described, card: tuple[int | None, int | None]) -> tuple[int, int]:
    native = _native(described)
    width, height = request.width or card[0] or native, request.height or card[1] or native
    if width is None or height is None:
        raise InvalidRequest(
            f"size: the configs of {described.name} do not say what it was trained on",
            field="size",
            hint="give --size; what its publisher recommends is best",
        )
    multiple = _multiple(described)
    if width % multiple or height % multiple:
        near = f"{_near(width, multiple)}x{_near(height, multiple)}"
        raise InvalidRequest(
            f"size: {width}x{height} cannot be made by {described.name}: its sides are multiples of {multiple}",
            field="size",
            hint=f"the nearest size is {near}",
        )
    return width, height


def _near(side: int, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)


def _native(described: Described) -> int | None:
    kind = described.kind
    if kind.side is not None:
        return kind.side
    sample = kind.sample or _first(described, DENOISERS, "sample_size")
    return None if sample is None else sample * _factor(described)


def _multiple(described: Described) -> int:
    kind = described.kind
    if kind.multiple is not None:
        return kind.multiple
    return _factor(described) * (kind.packing or _first(described, DENOISERS, "patch_size") or 1)


def _factor(described: Described) -> int:
    """Pixels a latent: the autoencoder halves with each block but one."""
    for part in DECODERS:
        config = described.configs.get(part, {})
        for key in ("block_out_channels", "encoder_block_out_channels"):
            if isinstance(blocks := config.get(key), list | tuple) and blocks:
                return int(2 ** (len(blocks) - 1))
        if isinstance(halved := config.get("temperal_downsample"), list | tuple):  # spelt so
            return int(2 ** len(halved))
    return 8


def _first(described: Described, parts: tuple[str, ...], key: str) -> int | None:
    """A whole number of the first of these components that has it; the largest of several."""
    for part in parts:
        value = described.configs.get(part, {}).get(key)
        found = [each for each in (value if isinstance(value, list | tuple) else [value]) if isinstance(each, int)]
        if found:
            return max(found)
    return None


def _guidance(request: Request, described: Described) -> tuple[float | None, tuple[Notice, ...]]:
    """What guidance the pipeline is given. A checkpoint that was distilled without it is given none."""
    kind, asked = described.kind, request.guidance
    if kind.by_negative and not request.negative:
        message = f"{described.name} steers away from a negative prompt: without one, guidance has no effect"
        return kind.off, (Notice(code="guidance-unused", message=message),) if (asked or 0) > kind.off else ()
    if described.configs.get("transformer", {}).get("guidance_embeds") is not False or kind.name != "FluxPipeline":
        return kind.guidance if asked is None else asked, ()
    if not asked:
        return None, ()
    message = f"{described.name} was trained to draw without guidance: {asked:g} has no effect"
    return None, (Notice(code="guidance-unused", message=message),)


def _negative(request: Request, described: Described, guidance: float | None) -> tuple[str | None, tuple[Notice, ...]]:
    """The negative prompt where the class takes one. Refused by name where not, unless it came with a style."""
    kind, words = described.kind, request.negative
    if not words:
        return None, ()
    if not kind.negative:
        if request.styles:
            message = f"{described.name} takes no negative prompt: what a style adds to it has no effect"
            return None, (Notice(code="negative-unused", message=message),)
        refuse_negative(described.name, kind)
    if guidance is not None and guidance <= kind.off:
        message = f"at guidance {guidance:g} the negative prompt has no effect"
        return words, (Notice(code="negative-unused", message=message),)
    return words, ()


def _manner(described: Described) -> tuple[Notice, ...]:
    kind = described.kind
    said = f"{described.name} is drawn by diffusers ({kind.name}), a picture at a time: other pictures wait meanwhile"
    if kind.progress == "none":
        said += "; it tells no progress, and can be cancelled between pictures only"
    return (Notice(code="foreign-pipeline", message=said),)


def _checker_notices(name: str, index: Config) -> tuple[Notice, ...]:
    if not checker_in(index):
        return ()
    message = f"{name} comes with a safety checker of its own, which is not loaded"
    return (Notice(code="safety-checker-left-out", message=message),)


def _extra_notices(name: str) -> tuple[Notice, ...]:
    missing = extra()
    if missing is None:
        return ()
    message = f"{name} cannot be drawn with yet: {missing.message} ({missing.hint})"
    return (Notice(code="missing-extra", message=message),)
