"""What ``--compat a1111`` changes in the plan of a picture. Torch-free.

The rules themselves are in ``sampling/compat.py`` (noise levels), ``sampling/noise.py``, ``prompts/webui.py`` (words)
and ``latent/text.py`` (emphasis); here a request is turned into what they need. ``docs/a1111.md`` tells them to people.
"""

from __future__ import annotations

from limner.errors import UnsupportedField
from limner.prompts.reading import PLAIN, Reading
from limner.sampling import compat, schedules
from limner.sampling.course import SolverCard
from limner.sampling.schedules import Levels, Training
from limner.types import Notice, Request

_MOST = 0.999  # it never redraws all of a picture
_OURS = frozenset({"model", "karras"})  # schedules that need no compat

Options = dict[str, str | int | float | bool]


def settled(request: Request, solver: SolverCard) -> Request:
    """The request with the schedule and the source of noise that its rules take for granted.

    The web UI's noise comes from the GPU unless told otherwise; here that is "philox", the same numbers.
    """
    if request.compat is None:
        return request.but(schedule=request.schedule or "model")
    return request.but(
        schedule=request.schedule or compat.automatic(solver.name), noise_source=request.noise_source or "philox"
    )


def levels(training: Training, solver: SolverCard, request: Request, steps: int, *, xl: bool) -> Levels:
    """Noise levels by the request's rules. Raises ``InvalidRequest``, ``UnsupportedField``."""
    schedule = request.schedule or "model"
    if request.compat == "a1111":
        own = solver.placement in ("ddim", "lcm") or solver.name == "unipc"
        return compat.levels(training, solver, steps, None if own and schedule == "model" else schedule, xl=xl)
    if schedule not in _OURS:
        raise UnsupportedField(
            f"schedule: {schedule} is one of the web UI's schedules", field="schedule", hint="add --compat a1111"
        )
    return schedules.levels(training, solver, steps, karras=schedule == "karras")


def reading(request: Request, solver: SolverCard) -> Reading:
    """How the request's words are read."""
    return PLAIN if request.compat is None else Reading(webui=True, evals=solver.evals_per_step)


def options(request: Request, solver: SolverCard, *, xl: bool) -> Options:
    """What of it decides the pixels beyond levels and words, for ``Recipe.options``. The web UI takes XL's encoders at
    their usual layer, whatever clip skip says; the last layer is the others' usual one."""
    found: Options = {}
    if request.clip_skip not in (None, None if xl else 1) and not (xl and request.compat):
        found["clip_skip"] = request.clip_skip
    if request.compat is not None:
        found |= {"compat": request.compat, "spread": False}
    if request.noise_source == "philox":
        found["noise_source"] = request.noise_source
    if request.noise_delta and _draws_noise(request, solver):
        found["noise_delta"] = request.noise_delta
    return found


def notices(request: Request, solver: SolverCard, *, xl: bool) -> list[Notice]:
    """What it does not as the web UI does, and what that leaves out."""
    found = []
    if request.noise_delta and not _draws_noise(request, solver):
        said = f"noise_delta has no effect: {solver.title} draws no noise that it is added to"
        found.append(Notice(code="noise-delta-unused", message=said))
    if request.compat is None:
        return found
    if xl and (request.clip_skip or 2) != 2:
        said = f"clip skip {request.clip_skip} is left out: the web UI reads XL's encoders at the penultimate layer"
        found.append(Notice(code="compat-clip-skip", message=said))
    if solver.name not in compat.EXACT:
        why = compat.WHY_NOT.get(solver.name, "it is not one of the web UI's")
        said = f"{solver.title} does not draw what the web UI's does: {why}"
        found.append(Notice(code="compat-approximate", message=said))
    if request.mask is not None:
        said = "what the mask keeps is mixed in before each step; the web UI does it after"
        found.append(Notice(code="compat-approximate", message=said))
    if " AND " in request.prompt:
        said = "AND joins two prompts in the web UI; here it is a word like any other"
        found.append(Notice(code="compat-and", message=said))
    return found


def _draws_noise(request: Request, solver: SolverCard) -> bool:
    """Whether anything is drawn after the first noise: by the solver, over a picture, for a second pass. A Brownian
    path, the web UI's for its SDE samplers, has the picture's own seed."""
    own = solver.stochastic and not (request.compat and solver.name in compat.BROWNIAN)
    return own or request.init is not None or request.hires is not None


def begin_of(steps: int, strength: float) -> int:
    """The level that drawing over a picture begins at: the web UI runs one step more than ``strength`` of them."""
    return steps - int(min(strength, _MOST) * steps) - 1


def second_pass(steps: int, strength: float) -> tuple[int, int]:
    """Of a second pass with ``steps``: how many its schedule has, and the level it begins at, so that all are run.
    A strength of 0 runs one."""
    total = int(steps / min(strength, _MOST)) if strength > 0 else steps
    return total, total - (steps if strength > 0 else 1)
