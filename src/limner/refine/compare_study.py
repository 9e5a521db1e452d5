"""What a comparison is, fixed and stored before the first picture: arms, words, seeds, scorers, margins, looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from limner.canonical import content_hash
from limner.errors import InvalidRequest
from limner.evaluate.statistics import ALPHA
from limner.refine.arms import Arm
from limner.refine.power import WORTHWHILE
from limner.refine.verdict import MARGIN, Terms, require_pairs
from limner.refine.verdict_types import Looks
from limner.types import MAX_IMAGES, MAX_SEED, Frozen, Request

SEEDS, SEEDS_PER_PROMPT = 24, 4
MOST_ARMS = 64
Value = str | int | float | tuple[str, ...]


class Text(Frozen):
    """Words that pictures are scored against: the user's own. ``prompt`` is what is drawn for them, ``None``: each
    arm's own prompt. ``fields`` are settings that a prompt file gives with it."""

    words: str
    prompt: str | None = None
    category: str = ""
    fields: Mapping[str, Value] = Field(default_factory=dict)


class Scorers(Frozen):
    """Who judges, and who guards. Names are metrics'; ``caps`` are reasons for which a verdict is indicative only."""

    judges: tuple[str, ...] = Field(min_length=1)
    alignment: str | None = None
    diversity: str | None = None
    caps: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics to ask, each once; diversity is measured among an arm's own pictures."""
        return tuple(dict.fromkeys((*self.judges, *(() if self.alignment is None else (self.alignment,)))))


class Study(Frozen):
    """A comparison as it will be carried out. Every arm is drawn for every text from seeds ``seed`` to ``seed+n-1``.

    ``references[k]`` is the arm that arm ``k + 1`` is compared with. Where there are several texts the prompt is the
    unit, else the seed.
    """

    arms: tuple[Arm, ...] = Field(min_length=2, max_length=MOST_ARMS)
    references: tuple[int, ...]
    texts: tuple[Text, ...] = Field(min_length=1)
    n: int = Field(ge=1, le=MAX_IMAGES)
    seed: int = Field(ge=0, le=MAX_SEED)
    scorers: Scorers
    margin: float = Field(default=MARGIN, gt=0, le=10)
    diversity_margin: float | None = Field(default=None, gt=0, le=100)
    worthwhile: float = Field(default=WORTHWHILE, ge=0, le=10)
    alpha: float = Field(default=ALPHA, gt=0, lt=1)
    looks: Looks
    notices: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len(self.references) != len(self.arms) - 1 or any(r > k for k, r in enumerate(self.references)):
            raise ValueError("references: one earlier arm for each arm but the first")
        if len({text.words for text in self.texts}) != len(self.texts):
            raise ValueError("texts: a prompt is there twice; it would count twice")
        if self.seed + self.n - 1 > MAX_SEED:
            raise ValueError(f"seed: seed + n is beyond {MAX_SEED}")
        return self

    @property
    def unit(self) -> Literal["seed", "prompt"]:
        return "prompt" if len(self.texts) > 1 else "seed"

    @property
    def units(self) -> int:
        return len(self.texts) if self.unit == "prompt" else self.n

    @property
    def terms(self) -> Terms:
        """What its verdicts are given by."""
        return {
            "alignment": self.scorers.alignment,
            "diversity": self.scorers.diversity,
            "margin": self.margin,
            "diversity_margin": self.diversity_margin,
            "worthwhile": self.worthwhile,
            "alpha": self.alpha,
            "looks": self.looks,
        }

    @property
    def pictures(self) -> int:
        """How many are drawn at most; two looks may need fewer."""
        return len(self.arms) * len(self.texts) * self.n

    @property
    def hypotheses(self) -> int:
        return len(self.scorers.judges) * len(self.references)

    @property
    def id(self) -> str:
        """The same for the same comparison: a second run goes on where the first was stopped."""
        return content_hash(self.stored()).removeprefix("sha256:")[:16]

    def stored(self) -> dict[str, object]:
        """JSON-ready; Requests hold only what was said."""
        whole = self.model_dump(mode="json", exclude={"arms"})
        arms = [{"name": arm.name, "request": said(arm.request)} for arm in self.arms]
        return {"arms": arms, **whole}

    def request(self, arm: int, text: Text) -> Request:
        """The Request of an arm's pictures of a text. What the arm itself says wins over the prompt file."""
        own = self.arms[arm].request
        fields = {name: value for name, value in text.fields.items() if name not in said(own)}
        prompt = own.prompt if text.prompt is None else text.prompt
        merged = own.model_copy(update={**fields, "prompt": prompt, "seed": self.seed, "n": self.n})
        Request.of(**merged.model_dump(exclude_unset=True))  # model_copy checks nothing
        return merged


def said(request: Request) -> dict[str, object]:
    """What a Request says: its fields that were set, JSON-ready."""
    return request.model_dump(mode="json", exclude_unset=True, exclude_none=True, exclude={"n", "seed"})


def check_size(study: Study) -> None:
    """Raises ``InvalidRequest`` where the units are too few for any verdict, before anything is drawn."""
    for units, share in zip(study.looks.pairs, study.looks.shares, strict=True):
        require_pairs(units, study.hypotheses, study.alpha * share, unit=study.unit, whole=study.looks.pairs[-1])
    if study.looks.pairs[-1] != study.units:
        raise InvalidRequest(
            f"the last look is at {study.looks.pairs[-1]} {study.unit}s, but {study.units} are drawn",
            field="looks",
            hint="look last at all of them",
        )


def default_seed(arms: Sequence[Arm]) -> int:
    """The first seed where none is given: a hash of the arms, so that nobody chose it and a rerun finds it. Other words
    to score against, or more prompts, use the same pictures; another B has fresh seeds."""
    words = [[arm.name, said(arm.request)] for arm in arms]
    return int(content_hash(words).removeprefix("sha256:")[:8], 16) % (2**32 - MAX_IMAGES)


def references_of(arms: Sequence[Arm]) -> tuple[int, ...]:
    """What each arm but the first is compared with: the first arm of its own model, since seeds pair within a model
    only; the first arm of another model with the first of all."""
    first: dict[str | None, int] = {}
    for k, arm in enumerate(arms):
        first.setdefault(arm.request.model, k)
    return tuple(first[arm.request.model] if first[arm.request.model] != k else 0 for k, arm in enumerate(arms))[1:]
