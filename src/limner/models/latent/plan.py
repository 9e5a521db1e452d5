"""The Plan of a picture made by diffusing latents: sizes, noise levels, words. Torch-free, from config files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from limner.errors import CorruptFile, InvalidRequest
from limner.models.adapters.adapt import Adapted, adapt
from limner.models.catalog import Card
from limner.models.family import Files, Planned
from limner.models.inspect import read_json
from limner.models.latent import compat, edit_plan, words
from limner.models.latent.parts import ROLE_SUFFIX
from limner.models.nets.configs import AutoencoderConfig, ClipTextConfig, UNetConfig
from limner.sampling import catalog, schedules
from limner.sampling.guidance import needs_uncond
from limner.types import Adapter, Estimate, Notice, Prompted, Recipe, Request

FAR = 2.0  # a side this many times the native one: pictures repeat themselves
SIDE = 64  # latent cells a network was trained at where its config does not say
SOLVER = "dpmpp-2m"
STEPS, GUIDANCE = 20, 7.5
LCM_STEPS, LCM_GUIDANCE = 4, 8.5  # Luo et al. 2023, arXiv 2310.04378

Options = Mapping[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Configs:
    """What a checkpoint's config files say, and what adapters change of it: ``vae`` is the one in use."""

    unet: UNetConfig
    training: schedules.Training
    adapted: Adapted

    @property
    def vae(self) -> AutoencoderConfig:
        return self.adapted.vae

    @property
    def factor(self) -> int:
        """Pixels a latent cell, along each side."""
        return self.vae.downsample_factor

    @property
    def native(self) -> int:
        """Pixels a side of the pictures it was trained on."""
        return (self.unet.sample_size or SIDE) * self.factor

    @property
    def consistency(self) -> bool:
        """A latent consistency model: few steps, and where the network is told the guidance, no second row."""
        return self.unet.time_cond_proj_dim is not None or self.training.scheduler == "LCMScheduler"

    @classmethod
    def read(cls, files: Files, adapters: Sequence[Adapter] = (), model: str = "the model") -> Configs:
        """``model`` is its name. Raises ``CorruptFile``, and ``MismatchedWeights`` for adapters that do not fit too."""
        vae = AutoencoderConfig.from_json(config(files, "vae/config.json"))
        return cls(
            UNetConfig.from_json(config(files, "unet/config.json")),
            schedules.Training.from_json(config(files, "scheduler/scheduler_config.json")),
            adapt(adapters, files, model, vae) if adapters else Adapted(vae),
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """What sets a family apart: its name, the tokenizers' folders with the suffix their roles get, what is in every
    recipe of the checkpoint, and its usual guidance. ``silent_negative``: an empty negative prompt is no words at all,
    and not encoded."""

    family: str
    tokenizers: Mapping[str, str]
    options: Options = field(default_factory=dict)
    guidance: float = GUIDANCE
    silent_negative: bool = False


def config(files: Files, name: str) -> Mapping[str, object]:
    """A config file of the checkpoint. Raises ``CorruptFile`` where it is missing or malformed."""
    try:
        return read_json(files.paths[name])
    except KeyError:
        raise CorruptFile(f"the checkpoint has no {name}", hint="it is not a whole diffusers folder") from None


def plan(
    request: Request, card: Card, files: Files, configs: Configs, kind: Kind, adapters: Sequence[Adapter] = ()
) -> Planned:
    """Fill in what the request leaves open and compute the Recipe. Raises ``InvalidRequest``, ``ModelError``,
    ``UnreadablePicture``."""
    request, resized = edit_plan.sized(request, configs.factor, max(card.width or 0, configs.native), files)
    planned = _drawn(request, card, files, configs, kind)
    planned = replace(planned, notices=(*resized, *planned.notices))

    def again(steps: int, run: int) -> tuple[edit_plan.Levels, Mapping[str, tuple[Prompted, ...]]]:
        drawn = planned.request
        recipe = _drawn(drawn.but(steps=steps), card, files, configs, kind).recipe
        if drawn.compat is None:
            return recipe.levels, recipe.prompts
        said = _drawn(drawn.but(steps=run), card, files, configs, kind, before=drawn.steps).recipe
        return recipe.levels, said.prompts

    return edit_plan.edited(planned, edit_plan.Ground(configs.factor, files, again), adapters)


def _drawn(
    request: Request, card: Card, files: Files, configs: Configs, kind: Kind, before: int | None = None
) -> Planned:
    """The plan of what is drawn, be it from words alone or over a picture."""
    filled = fill(request, card, configs, kind.guidance)
    solver = catalog.find(filled.solver or SOLVER)
    steps, guidance = filled.steps or STEPS, _number(filled.guidance)
    filled = compat.settled(filled, solver)
    reading = compat.reading(filled, solver)
    levels, start = compat.levels(configs.training, solver, filled, steps, xl=kind.family == "sdxl")
    # A network that is told the guidance does in one row what others need two for.
    told = configs.unet.time_cond_proj_dim is not None
    scale = 1.0 if told else guidance
    silent = kind.silent_negative and needs_uncond(scale) and not (filled.negative or "").strip()
    texts = words.said(filled, negative=needs_uncond(scale) and not silent)
    options: dict[str, str | int | float | bool] = {
        "scaling": configs.vae.scaling_factor,
        "shift": configs.vae.shift_factor,
        **kind.options,
        **({"guidance_told": guidance} if told else {}),
        **({"silent_negative": True} if silent else {}),
        **_inpainting(request, card, configs),
    }
    options |= compat.options(filled, solver, xl=kind.family == "sdxl")
    if filled.clip_skip is not None:
        _check_layers(filled.clip_skip, card, files, kind)
    width, height = filled.width or 0, filled.height or 0
    recipe = Recipe(
        family=kind.family,
        width=width,
        height=height,
        latent=(configs.vae.latent_channels, height // configs.factor, width // configs.factor),
        solver=solver.name,
        levels=tuple((level.alpha, level.sigma, level.t) for level in levels),
        start=start,
        prediction=configs.training.prediction_type,
        guidance=scale,
        morph=filled.morph,
        variation=filled.variation,
        prompts=words.read_all(texts, steps, files, kind.tokenizers, configs.adapted.added, reading, before),
        options=options,
    )
    notices = (
        *configs.adapted.notices,
        *_size_notices(filled, card, configs),
        *_guidance_notices(filled, scale, card),
        *compat.notices(filled, solver, xl=kind.family == "sdxl"),
    )
    weights = sum(path.stat().st_size for path in files.part("unet", ".safetensors"))
    return Planned(recipe, filled.but(solver=solver.name), notices, Estimate(weights_bytes=weights))


def fill(request: Request, card: Card, configs: Configs, guidance: float = GUIDANCE) -> Request:
    """The request with size, steps, guidance and solver; ``guidance`` is the family's usual one. Raises
    ``InvalidRequest`` for a size it cannot have."""
    factor, native = configs.factor, configs.native
    width, height = request.width or card.width or native, request.height or card.height or native
    if width % factor or height % factor:
        near = f"{_near(width, factor)}x{_near(height, factor)}"
        raise InvalidRequest(
            f"size: {width}x{height} cannot be made by {card.name}: its sides are multiples of {factor}",
            field="size",
            hint=f"the nearest size is {near}",
        )
    steps, solver = STEPS, SOLVER
    if configs.consistency:
        steps, solver = LCM_STEPS, "lcm"
        guidance = LCM_GUIDANCE if configs.unet.time_cond_proj_dim is not None else 1.0
    if card.guidance is not None:
        guidance = card.guidance
    return request.but(
        width=width,
        height=height,
        steps=request.steps or card.steps or steps,
        guidance=guidance if request.guidance is None else request.guidance,
        solver=request.solver or card.solver or solver,
        negative=request.negative or "",
    )


def _inpainting(request: Request, card: Card, configs: Configs) -> Options:
    """Which channels the network takes beside the latent: none, or a mask and the masked picture."""
    latent, taken = configs.vae.latent_channels, configs.unet.in_channels
    if taken == latent:
        return {}
    if taken != 2 * latent + 1:
        raise InvalidRequest(
            f"{card.name} takes {taken} latent channels and its autoencoder makes {latent}: it wants something to edit",
            field="model",
            hint="this is an editing model of a kind Limner does not have; choose another (limner models list)",
        )
    if request.mask is None:
        raise InvalidRequest(
            f"{card.name} is an inpainting model: it takes {taken} channels, a mask and a masked picture among them, "
            "and there is no mask",
            field="mask",
            hint="give --init and --mask, or choose a text-to-image model (limner models list)",
        )
    return {"inpainting": True}


def _check_layers(skip: int, card: Card, files: Files, kind: Kind) -> None:
    for suffix in kind.tokenizers.values():
        part = next(name for name, own in ROLE_SUFFIX.items() if own == suffix)
        layers = ClipTextConfig.from_json(config(files, f"{part}/config.json")).num_hidden_layers
        if skip > layers:
            raise InvalidRequest(
                f"clip_skip: {card.name} has no layer {skip} from the end: its {part} has {layers}",
                field="clip_skip",
                hint=f"the deepest it has is {layers}",
            )


def _near(side: int, factor: int) -> int:
    return max(factor * 2, round(side / factor) * factor)


def _size_notices(request: Request, card: Card, configs: Configs) -> list[Notice]:
    native = configs.native
    sides = request.width or native, request.height or native
    if native / FAR < min(sides) and max(sides) < native * FAR:
        return []
    return [
        Notice(
            code="far-from-native-size",
            message=f"{card.name} was trained on {native}x{native}; far from that, shapes repeat or fall apart",
        )
    ]


def _guidance_notices(request: Request, scale: float, card: Card) -> list[Notice]:
    notices = []
    if card.guidance is not None and card.guidance <= 1 < scale:
        message = f"{card.name} was made for no guidance: at {scale:g}, colours and edges overshoot; 1 switches it off"
        notices.append(Notice(code="guidance-unwanted", message=message))
    if request.negative and not needs_uncond(scale):
        why = "at guidance 1" if request.guidance == 1 else "a model that is told the guidance takes none:"
        notices.append(Notice(code="negative-unused", message=f"{why} the negative prompt has no effect"))
    if scale == 0:
        message = "at guidance 0 the words have no effect; guidance 1 switches guidance off"
        notices.append(Notice(code="guidance-ignores-words", message=message))
    return notices


def _number(guidance: float | None) -> float:
    return GUIDANCE if guidance is None else guidance
