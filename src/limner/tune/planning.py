"""What a run will do and take, said and refused before any network is loaded for it and before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limner.errors import InvalidRequest
from limner.models.machine import probe, usable_memory
from limner.models.resolving.families import load as load_family
from limner.models.resolving.resolve import resolve
from limner.session import Session
from limner.tune.base import Base
from limner.tune.cost import Cost, Work, cost_of, refuse_too_large
from limner.tune.data import held_out
from limner.tune.pictures import Examples, read_examples
from limner.tune.places import STATE, check_out, folder_of, refuse_busy
from limner.tune.prior import ClassPictures
from limner.tune.settings import TuneSettings
from limner.tune.state import State, refuse_other
from limner.tune.told import read_told
from limner.tune.words import Wording, unseen, wording
from limner.types import Plan, Request

FACTS: Mapping[str, str] = {
    "base": "the base model's weights are others",
    "data": "the pictures or captions are others",
    "settings": "settings differ",
}
CLASS: Mapping[str, str] = {"class": "the class pictures are others"}


@dataclass(frozen=True)
class Planned:
    """A run that can be prepared. ``held`` pictures are held out; ``facts`` are what a run that goes on must have in
    common with ``state``, where it stopped; ``kept`` are the class pictures, which may have to be drawn yet."""

    settings: TuneSettings
    out: Path
    base: Base
    examples: Examples
    words: Wording
    side: int
    held: int
    kept: ClassPictures | None
    facts: Mapping[str, object]
    state: State | None
    cost: Cost
    notices: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Journal, plot, state and samples."""
        return folder_of(self.out)

    @property
    def begun(self) -> int:
        """The step that it goes on from."""
        return 0 if self.state is None else self.state.step

    @property
    def done(self) -> bool:
        """Whether it goes on with a run that has taken all its steps, and whose file says so."""
        if self.begun < self.settings.steps or not self.out.is_file():
            return False
        return read_told(self.out).run.get("ended") == "done"


def plan(
    settings: TuneSettings,
    data: Path | Examples,
    out: Path,
    session: Session,
    *,
    resume: bool = False,
) -> Planned:
    """Check everything, count what it takes, and try one step. The session's policy holds for what is trained too.

    Raises ``InvalidRequest``, ``UnreadablePicture``, ``Refused``, ``ModelError`` (also where a run that goes on is of
    another base, data or settings), ``OutOfMemory``, ``StorageError``, ``MissingExtra``.
    """
    check_out(out, resume=resume)
    folder = folder_of(out)
    refuse_busy(folder)
    examples = data if isinstance(data, Examples) else read_examples(data)
    base = Base.of(resolve(settings.model, session.settings, session.catalog, offline=session.offline))
    side = base.side(settings.size)
    words = wording(settings, examples.found)
    for caption in dict.fromkeys((*words.captions, words.asked, *settings.samples)):
        session.review(Request.of(prompt=caption, model=settings.model))
    held = _held(settings, len(examples.found))
    facts = {
        "base": base.hash,
        "data": examples.hash,
        "settings": settings.decisive(side, held),
        "lr": settings.lr,
        "text_lr": settings.text_lr,
    }
    state = _state(folder, facts, settings) if resume else None
    kept = None
    if settings.prior and words.prior is not None:
        kept = ClassPictures.of(words.prior, settings, side, session, folder)
    cost = _cost(base, settings, side, session, folder, held, len(examples.found), kept, state)
    vocabulary = load_family(base.resolved.card.family).vocabulary(base.resolved.files)
    notices = (*examples.notices, *words.notices, *_none_held(held), *unseen(words, vocabulary, base.name))
    return Planned(settings, out, base, examples, words, side, held, kept, facts, state, cost, notices)


def _none_held(held: int) -> tuple[str, ...]:
    said = (
        "no picture is held out: limner tune show can call it learnt as an indication at most; --hold-out 1 mends that"
    )
    return () if held else (said,)


def _held(settings: TuneSettings, pictures: int) -> int:
    held = held_out(settings.hold_out, pictures)
    if held > pictures - 2:
        raise InvalidRequest(
            f"{held} of {pictures} pictures held out leave too few to train on",
            field="hold_out",
            hint="--hold-out 0 trains on all of them",
        )
    return held


def _state(folder: Path, facts: Mapping[str, object], settings: TuneSettings) -> State:
    state = State.read(folder / STATE)
    refuse_other(state, facts, FACTS)
    if state.step > settings.steps:
        raise InvalidRequest(
            f"this run is at step {state.step} already, and {settings.steps} were asked for",
            field="steps",
            hint=f"--steps {state.step} or more; its file is there",
        )
    return state


def _cost(
    base: Base,
    settings: TuneSettings,
    side: int,
    session: Session,
    folder: Path,
    held: int,
    pictures: int,
    kept: ClassPictures | None,
    state: State | None,
) -> Cost:
    missing = [] if kept is None else [kept.plans[k] for k in kept.missing()]
    left = settings.steps - (0 if state is None else state.step)
    encoded = (pictures + settings.prior) * (2 if settings.flip else 1)
    times = 2 + (left // settings.sample_every if settings.sample_every else 0)
    work = Work(left, encoded, held, missing, _samples(settings, side, session) * times)
    machine = probe()
    cost = cost_of(base, settings, side, work, device_free=usable_memory(settings.device, machine))
    refuse_too_large(cost, machine, settings.device, folder)
    return cost


def _samples(settings: TuneSettings, side: int, session: Session) -> tuple[Plan, ...]:
    """What is drawn each time, as if without the LoRA, which there is none of yet."""
    made: list[Plan] = []
    for prompt in settings.samples:
        request = Request.of(prompt=prompt, model=settings.model, width=side, height=side, device=settings.device)
        made += session.plan(request)
    return tuple(made)
