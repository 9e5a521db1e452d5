"""The solvers Limner knows, by every name that people know them by. Torch-free; a solver is imported when it is used.

Another package adds one through an entry point of the group ``limner.solvers`` that names a ``SolverCard``; it is
looked for only where the built-in names do not answer.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from limner.errors import InvalidRequest, UnknownName
from limner.sampling.course import Solver, SolverCard

if TYPE_CHECKING:
    from limner.sampling.training import Training

GROUP = "limner.solvers"
_HOME = "limner.sampling.solvers"

_CARDS = (
    SolverCard(
        name="euler",
        title="Euler",
        a1111="Euler",
        solver=f"{_HOME}.euler:Euler",
        source="Karras et al. 2022, arXiv 2206.00364",
        scheduler="EulerDiscreteScheduler",
        placement="interpolated",
        flow=True,
        aliases=("k_euler", "EulerDiscrete", "FlowMatchEulerDiscrete"),
    ),
    SolverCard(
        name="euler-a",
        title="Euler ancestral",
        a1111="Euler a",
        solver=f"{_HOME}.euler_ancestral:EulerAncestral",
        source="Ho et al. 2020, arXiv 2006.11239; k-diffusion",
        scheduler="EulerAncestralDiscreteScheduler",
        placement="interpolated",
        stochastic=True,
        aliases=("k_euler_a", "k_euler_ancestral", "EulerAncestralDiscrete"),
    ),
    SolverCard(
        name="heun",
        title="Heun",
        a1111="Heun",
        solver=f"{_HOME}.heun:Heun",
        source="Karras et al. 2022, arXiv 2206.00364",
        scheduler="HeunDiscreteScheduler",
        placement="interpolated",
        flow=True,
        evals_per_step=2,
        aliases=("k_heun", "HeunDiscrete", "FlowMatchHeunDiscrete"),
    ),
    SolverCard(
        name="dpmpp-2m",
        title="DPM++ 2M",
        a1111="DPM++ 2M",
        solver=f"{_HOME}.dpmpp_2m:DpmPp2M",
        source="Lu et al. 2022, arXiv 2211.01095",
        scheduler="DPMSolverMultistepScheduler",
        placement="multistep",
        flow=True,
        aliases=("k_dpmpp_2m", "DPMSolverMultistep", "DPM-Solver++(2M)"),
    ),
    SolverCard(
        name="dpmpp-2m-karras",
        title="DPM++ 2M Karras",
        a1111="DPM++ 2M",
        a1111_schedule="Karras",
        solver=f"{_HOME}.dpmpp_2m:DpmPp2M",
        source="Lu et al. 2022, arXiv 2211.01095; Karras et al. 2022, arXiv 2206.00364",
        scheduler="DPMSolverMultistepScheduler",
        placement="multistep",
        karras=True,
        aliases=("k_dpmpp_2m_ka",),
    ),
    SolverCard(
        name="dpmpp-2m-sde",
        title="DPM++ 2M SDE",
        a1111="DPM++ 2M SDE",
        solver=f"{_HOME}.dpmpp_2m_sde:DpmPp2MSde",
        source="Lu et al. 2022, arXiv 2211.01095",
        scheduler="DPMSolverMultistepScheduler",
        placement="multistep",
        stochastic=True,
        aliases=("k_dpmpp_2m_sde",),
    ),
    SolverCard(
        name="dpmpp-2m-sde-karras",
        title="DPM++ 2M SDE Karras",
        a1111="DPM++ 2M SDE",
        a1111_schedule="Karras",
        solver=f"{_HOME}.dpmpp_2m_sde:DpmPp2MSde",
        source="Lu et al. 2022, arXiv 2211.01095; Karras et al. 2022, arXiv 2206.00364",
        scheduler="DPMSolverMultistepScheduler",
        placement="multistep",
        karras=True,
        stochastic=True,
        aliases=("k_dpmpp_2m_sde_ka",),
    ),
    SolverCard(
        name="unipc",
        title="UniPC",
        a1111="UniPC",
        solver=f"{_HOME}.unipc:UniPC",
        source="Zhao et al. 2023, arXiv 2302.04867",
        scheduler="UniPCMultistepScheduler",
        placement="multistep",
        flow=True,
        aliases=("UniPCMultistep", "uni_pc", "uni_pc_bh2"),
    ),
    SolverCard(
        name="ddim",
        title="DDIM",
        a1111="DDIM",
        solver=f"{_HOME}.ddim:Ddim",
        source="Song et al. 2021, arXiv 2010.02502",
        scheduler="DDIMScheduler",
        placement="ddim",
        spacing="leading",
    ),
    SolverCard(
        name="lcm",
        title="LCM",
        a1111="LCM",
        solver=f"{_HOME}.lcm:Lcm",
        source="Luo et al. 2023, arXiv 2310.04378",
        scheduler="LCMScheduler",
        placement="lcm",
        spacing="leading",
        stochastic=True,
    ),
)

SOLVERS: Mapping[str, SolverCard] = MappingProxyType({card.name: card for card in _CARDS})

A1111_NAMES: Mapping[str, str] = MappingProxyType(
    {
        card.name: card.a1111 if card.a1111_schedule == "Automatic" else f"{card.a1111} {card.a1111_schedule}"
        for card in _CARDS
    }
)
"""What A1111 calls each solver, the schedule in the name as its older versions write it and all of them read it."""


def find(name: str) -> SolverCard:
    """The card of a solver by its name here, in A1111, in k-diffusion or in diffusers (``Scheduler`` may be left out).

    Case, spaces, hyphens and underscores do not matter. Raises ``UnknownName`` offering the nearest.
    """
    key = _key(name)
    found = _INDEX.get(key) or _plugin(name, key)
    if found is None:
        raise UnknownName("solver", name, SOLVERS, field="solver")
    return found


def matching(training: Training) -> SolverCard | None:
    """The solver that draws what the model's own scheduler draws; ``None`` where that one (PNDM, say) is not here."""
    found = _INDEX.get(_key(training.scheduler))
    spaced = f"{found.name}-karras" if found and training.use_karras_sigmas else ""
    return SOLVERS.get(spaced, found) if found else None


def load(card: SolverCard) -> Solver:
    """A fresh solver, its module imported now."""
    module, name = card.solver.split(":")
    return cast("Solver", getattr(importlib.import_module(module), name)())


def _key(name: str) -> str:
    return re.sub(r"[\s_()\-]+", "", name.lower()).replace("++", "pp").removesuffix("scheduler")


def _known_as(card: SolverCard) -> Iterator[str]:
    yield from (card.name, card.title, *card.aliases)
    if card.a1111_schedule == "Automatic":
        yield card.a1111
    else:
        yield f"{card.a1111} {card.a1111_schedule}"


_INDEX: Mapping[str, SolverCard] = {_key(name): card for card in _CARDS for name in _known_as(card)}


def _plugin(name: str, key: str) -> SolverCard | None:
    from importlib.metadata import entry_points  # here: scanning installed packages costs start-up time

    for point in entry_points(group=GROUP):
        if _key(point.name) == key:
            card: object = point.load()
            if isinstance(card, SolverCard):
                return card
            raise InvalidRequest(
                f"the solver {name!r} comes from another package, which does not offer it as a SolverCard",
                field="solver",
                hint=f"its entry point is {point.value} in the group {GROUP}",
            )
    return None
