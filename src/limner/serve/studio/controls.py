"""What the Create form offers under "more": made from what the chosen model's family honours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from limner.errors import LimnerError, UnsupportedField
from limner.models.catalog import Card
from limner.models.family import Particular
from limner.models.latent.edit_plan import LATENT_UPSCALERS
from limner.models.links.links import Links
from limner.models.upscaling.recognise import LANCZOS
from limner.sampling.catalog import SOLVERS
from limner.serve.service import Service
from limner.session.planning import load_family
from limner.types import Request

Kind = Literal["area", "number", "choice", "switch"]
Group = Literal["", "Second pass", "Finish", "Fine"]


@dataclass(frozen=True, slots=True)
class Control:
    """One field. ``usual`` is what the model does when nothing is said. Numbers have ends and a step."""

    name: str
    label: str
    kind: Kind
    group: Group = ""
    low: float = 0
    high: float = 100
    step: float = 1
    choices: Sequence[tuple[str, str]] = ()
    usual: str = ""

    @property
    def about(self) -> str:
        """What it does, in the Request's own words."""
        return Request.model_fields[self.name].description or ""


CONTROLS = (
    Control("negative", "Not in the picture", "area"),
    Control("steps", "Steps", "number", "", 1, 150),
    Control("guidance", "Guidance", "number", "", 0, 30, 0.5),
    Control("temperature", "Temperature", "number", "", 0, 4, 0.05),
    Control("top_k", "Top k", "number", "", 0, 16_384),
    Control("top_p", "Top p", "number", "", 0, 1, 0.05),
    Control("solver", "Solver", "choice"),
    Control("schedule", "Schedule", "choice", choices=(("model", "the model's own"), ("karras", "Karras"))),
    Control("hires", "Times the size", "number", "Second pass", 1, 8, 0.25),
    Control("hires_strength", "Redrawn", "number", "Second pass", 0, 1, 0.05),
    Control("hires_steps", "Steps", "number", "Second pass", 1, 150),
    Control("hires_upscaler", "Enlarged by", "choice", "Second pass"),
    Control("upscale", "Upscale", "choice", "Finish"),
    Control("clip_skip", "CLIP skip", "number", "Fine", 1, 12),
    Control("vae", "Autoencoder", "choice", "Fine"),
    Control("tiled", "Decode in tiles", "switch", "Fine"),
)


def honours(card: Card | None) -> frozenset[str]:
    """The Request fields that a model can carry out; of a model without a card, those that a diffusion model can."""
    family = load_family("sd" if card is None else card.family)
    if card is None or not isinstance(family, Particular):
        return family.honours
    return frozenset(name for name in family.honours if _takes(family, card, name))


def controls(own: Service, card: Card | None, can: frozenset[str]) -> tuple[Control, ...]:
    """The fields under "more" for a model. Asks the disk."""
    offered = _choices(own)
    return tuple(_for(each, card, offered) for each in CONTROLS if each.name in can)


def _for(control: Control, card: Card | None, offered: Mapping[str, Sequence[tuple[str, str]]]) -> Control:
    usual = getattr(card, control.name, None) if control.name in ("steps", "guidance", "solver") else None
    said = "" if usual is None else f"{usual:g}" if isinstance(usual, int | float) else str(usual)
    return replace(control, choices=offered.get(control.name, control.choices), usual=said)


def _choices(own: Service) -> dict[str, Sequence[tuple[str, str]]]:
    links = Links(own.settings)
    nets = [(name, name) for name in _linked(lambda: links.entries("upscaler"))]
    return {
        "solver": [(card.name, card.title) for card in SOLVERS.values()],
        "hires_upscaler": [*((name, name.replace("-", " ")) for name in LATENT_UPSCALERS), (LANCZOS, "Lanczos"), *nets],
        "upscale": [(LANCZOS, "Lanczos, twice"), *nets],
        "vae": [(name, name) for name in _linked(lambda: links.entries("vae"))],
    }


def _linked(look: Callable[[], Mapping[str, object]]) -> Iterator[str]:
    try:
        yield from look()
    except LimnerError:
        return  # limner models link --list says what is wrong with the list


_TRIALS: Mapping[str, object] = {
    **{"negative": "x", "steps": 10, "guidance": 2.0, "temperature": 1.0, "top_k": 10, "top_p": 0.5, "seed": 1},
    **{"hires": 2.0, "hires_strength": 0.5, "hires_steps": 10, "hires_upscaler": "latent", "upscale": LANCZOS},
    **{"clip_skip": 2, "vae": "x", "tiled": True, "solver": "euler", "schedule": "karras", "loras": ("x",)},
    **{"init": "sha256:" + "0" * 64, "strength": 0.5, "width": 512, "height": 512},
}


def _takes(family: Particular, card: Card, name: str) -> bool:
    if name not in _TRIALS:
        return True
    both = ("width", "height") if name in ("width", "height") else (name,)
    with_init = {"init": _TRIALS["init"]} if name == "strength" else {}
    try:
        family.refuse(Request.of(prompt="x", **with_init, **{each: _TRIALS[each] for each in both}), card)
    except UnsupportedField:
        return False
    return True
