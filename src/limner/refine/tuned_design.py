"""What is asked of a model before and after it was adapted, fixed and stored before the first picture is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from limner.canonical import content_hash
from limner.errors import InvalidRequest, ModelNotFound
from limner.evaluate.defaults import POCKET_WORLD
from limner.evaluate.pocket_atoms import read
from limner.evaluate.statistics import ALPHA
from limner.refine.arms import Arm
from limner.refine.compare import Prepared, study_of
from limner.refine.compare import prepare as prepare_comparison
from limner.refine.compare_scoring import default_scorers, world_of
from limner.refine.compare_study import SEEDS, Scorers, Study, Text, default_seed
from limner.refine.diversity import PIXELS
from limner.refine.tuned_asked import Asked
from limner.refine.tuned_likeness import References, tower_for
from limner.refine.verdict import MARGIN, require_pairs
from limner.session import Session
from limner.types import Frozen, Request

LEARNT_BY_HEART: Final = "no picture was held out, so that likeness is to the very pictures it was trained on"


class Design(Frozen):
    """All questions, fixed and stored before the first picture. ``lora`` is its file's hash; ``held_out`` and
    ``trained_on`` are the hashes of the pictures that likeness is to, seen by ``tower``; ``caps`` are reasons to
    believe the subject's verdict less."""

    lora: str
    asked: tuple[Asked, ...]
    studies: tuple[Study, ...]
    tower: str
    held_out: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return content_hash(self.stored()).removeprefix("sha256:")[:16]

    @property
    def pictures(self) -> int:
        return sum(study.pictures for study in self.studies)

    @property
    def alpha(self) -> float:
        return self.studies[0].alpha

    def stored(self) -> dict[str, object]:
        """JSON-ready."""
        whole = self.model_dump(mode="json", exclude={"studies"})
        return {**whole, "studies": [study.stored() for study in self.studies]}


@dataclass(frozen=True, slots=True)
class Ready:
    """All that is planned and checked, and not begun."""

    design: Design
    references: References
    prepared: tuple[Prepared, ...]

    @property
    def made(self) -> int:
        """How many of its pictures the library has already."""
        return sum(each.made for each in self.prepared)

    @property
    def seconds(self) -> float | None:
        """What drawing the rest may take; ``None`` where it is not known."""
        each = [prepared.seconds for prepared in self.prepared]
        return None if None in each else sum(seconds for seconds in each if seconds is not None)


def prepare(
    before: Request,
    after: Request,
    asked: Sequence[Asked],
    references: References,
    session: Session,
    *,
    lora: str = "",
    n: int = SEEDS,
    seed: int | None = None,
    trained_seeds: int = 0,
    margin: float = MARGIN,
    diversity_margin: float | None = None,
    alpha: float = ALPHA,
    notices: Iterable[str] = (),
) -> Ready:
    """Plan every question. ``before`` and ``after`` differ in the LoRA alone; their words are replaced by each
    question's, the first of which is the subject. Class pictures of the seeds below ``trained_seeds`` were trained on.

    Raises ``InvalidRequest`` for too few seeds to decide so many questions, or seeds that were trained on;
    ``ModelNotFound`` where no CLIP can tell likeness; ``ScorerOutOfDomain``, and what ``Session.plan`` raises.
    """
    plan = session.plan(_with_words(before, asked[0]))[0]
    world = world_of(session.catalog.find(plan.model.name))
    if (tower := tower_for(session, world)) is None:
        raise ModelNotFound(
            "no CLIP is here that can say how like its own pictures a subject is", hint="limner metrics pull clip-b32"
        )
    scorers, told = _scorers(session, world, plan.device, asked)
    first = default_seed(_arms(before, after, asked[0])) if seed is None else seed
    if first < trained_seeds:
        raise InvalidRequest(
            f"seed: its class was trained on pictures of the seeds 0 to {trained_seeds - 1}, which cannot judge it",
            field="seed",
            hint=f"leave it out, or begin at {trained_seeds}",
        )
    studies = tuple(
        study_of(
            _arms(before, after, each),
            [Text(words=each.words, prompt=each.prompt)],
            scorers,
            n=n,
            seed=first,
            margin=margin,
            diversity_margin=diversity_margin,
            alpha=alpha,
            notices=(*notices, *told) if k == 0 else (),
        )
        for k, each in enumerate(asked)
    )
    require_pairs(n, len(studies), alpha)
    design = Design(
        lora=lora,
        asked=tuple(asked),
        studies=studies,
        tower=tower,
        held_out=tuple(references.held),
        trained_on=tuple(references.trained),
        caps=() if references.held else (LEARNT_BY_HEART,),
    )
    return Ready(design, references, tuple(prepare_comparison(study, session) for study in studies))


def _scorers(
    session: Session, world: str | None, device: str, asked: Sequence[Asked]
) -> tuple[Scorers, tuple[str, ...]]:
    """Who says whether words are followed, and what to say of that: the judge that asks fact by fact, where it knows
    the model's world and has a question for all these words, else the panel's CLIP. It judges and guards alike: nothing
    is searched here, so that nothing was chosen by it."""
    usual = default_scorers(session, world, device)
    words, caps, notices = usual.alignment or usual.judges[0], tuple[str, ...](), tuple[str, ...]()
    if world == POCKET_WORLD:
        strange = [text for each in asked for text in (each.words, *each.each.values()) if not read(text).atoms]
        if strange:
            notices = (f"{usual.judges[0]} finds nothing to ask about in {strange[0]!r}; words are judged by {words}",)
        else:
            words, caps = usual.judges[0], usual.caps
    return Scorers(judges=(words,), alignment=words, diversity=usual.diversity or PIXELS, caps=caps), notices


def _arms(before: Request, after: Request, asked: Asked) -> list[Arm]:
    """Named so that a table of many questions tells them apart."""
    words = asked.name if len(asked.name) <= 40 else f"{asked.name[:39]}…"
    return [
        Arm.of(f"{words} before", _with_words(before, asked)),
        Arm.of(f"{words} after", _with_words(after, asked)),
    ]


def _with_words(request: Request, asked: Asked) -> Request:
    # Not ``but``: that would set every field, and the user's own defaults fill those that are not.
    return request.model_copy(update={"prompt": asked.prompt})
