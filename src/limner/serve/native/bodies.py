"""What may be asked of ``POST /api/v1/jobs``, a type for each kind of job. Pictures are library ids; no paths, no URLs.

The worker's handlers read a job's ``body`` with the same types: ``RefineJob.model_validate(work.ask.body)``.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, StringConstraints

from limner.types import MAX_SEED, Request
from limner.types.base import Frozen
from limner.types.request import INPUT, MAX_PROMPT

PictureId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{14}$"), Field(description="a picture of the library")]
InputId = Annotated[str, StringConstraints(pattern=INPUT), Field(description="an uploaded picture")]
JobId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{14}$"), Field(description="a job")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PROMPT)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Names = Annotated[tuple[Name, ...], Field(max_length=20)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Positive = Annotated[float, Field(gt=0, le=10)]


class DrawJob(Frozen):
    """Draw pictures. ``parent``: the picture they come from, for its lineage; ``deadline``: seconds from now."""

    kind: Literal["draw"] = "draw"
    request: Request
    parent: PictureId | None = None
    previews: bool = True
    deadline: Annotated[float | None, Field(gt=0, le=7 * 86_400)] = None


class UpscaleJob(Frozen):
    """Enlarge a picture; the result is its child. ``factor`` unset: lanczos doubles, networks have their own.

    Tells ``made`` {index 0, picture}."""

    kind: Literal["upscale"]
    picture: PictureId
    upscaler: Name = "lanczos"
    factor: Annotated[float | None, Field(gt=1, le=8)] = None


class ScoreJob(Frozen):
    """Score pictures; the scores are kept with them. No ``metrics``: those of the pictures' own world. No ``text``:
    each picture's own words.

    Result: ``{"scores": [{"picture", ...Score}], "failures": [{"picture", "metric", "message"}]}``."""

    kind: Literal["score"]
    pictures: Annotated[tuple[PictureId, ...], Field(min_length=1, max_length=500)]
    metrics: Names = ()
    text: Words | None = None
    force: bool = False


class RefineJob(Frozen):
    """Search for a better way to say it, and prove whether it is one. ``images`` or ``seconds`` is the budget.

    ``resume``: the id of an unfinished refinement to go on with; the rest is as it was then. Tells ``note`` {text};
    result: ``{"refinement": id, "outcome", "sentence", "prompt", ...}``."""

    kind: Literal["refine"]
    request: Request
    images: Annotated[int | None, Field(ge=1, le=100_000)] = 160
    seconds: Annotated[float | None, Field(gt=0, le=86_400)] = None
    strategies: Names = ()
    scorers: Names = ()
    judges: Names = ()
    text: Words | None = None
    margin: Positive = 0.5
    diversity_margin: Positive | None = None
    worthwhile: Positive = 0.2
    seed: Seed | None = None
    force: bool = False
    resume: Name | None = None


class ArmBody(Frozen):
    """A side of a comparison."""

    name: Annotated[str, StringConstraints(max_length=200)] = ""
    request: Request


class CompareJob(Frozen):
    """Which side is better? The first is what the others are compared with. ``n`` seeds a side (a prompt).

    ``prompts`` replace the arms' own words where it is judged over several. ``judged=False`` draws the grid alone, from
    ``seed`` on. Tells ``note`` {text}; result: ``{"comparison": id, "verdicts": [...]}``."""

    kind: Literal["compare"]
    arms: Annotated[tuple[ArmBody, ...], Field(min_length=2, max_length=64)]
    prompts: Annotated[tuple[Words, ...], Field(max_length=500)] = ()
    n: Annotated[int | None, Field(ge=1, le=1_000)] = None
    seed: Seed | None = None
    text: Words | None = None
    judges: Names = ()
    alignment: Name | None = None
    margin: Positive = 0.5
    diversity_margin: Positive | None = None
    worthwhile: Positive = 0.2
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    looks: Literal[1, 2] = 1
    own_settings: bool = False
    judged: bool = True


class PullJob(Frozen):
    """Fetch a model (catalog name, ``owner/name`` or ``owner/name@commit``) or a scorer's weights from the hub.

    Tells ``note`` {text, done, total} in bytes; result: ``{"name", "fetched_bytes"}``."""

    kind: Literal["pull"]
    name: Name
    what: Literal["model", "metric"] = "model"


AnyJob: TypeAlias = Annotated[
    DrawJob | UpscaleJob | ScoreJob | RefineJob | CompareJob | PullJob, Field(discriminator="kind")
]


class LintBody(Frozen):
    """A prompt to be read as a model (unset: the default one) will."""

    prompt: Words
    model: Name | None = None
    compat: Literal["a1111"] | None = None


class MoveBody(Frozen):
    """Where a waiting job goes: before another one, or (``null``) to the end."""

    before: JobId | None = None


class RateBody(Frozen):
    """A rating from 1 to 5; ``null`` takes it back."""

    rating: Annotated[int | None, Field(ge=1, le=5)]
