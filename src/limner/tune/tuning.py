"""A training run from words to file: check, prepare, say what it takes, train, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.errors import InvalidRequest
from limner.models.adapters.targets import targets_of
from limner.models.resolving.families import load as load_family
from limner.models.resolving.resolve import resolve
from limner.session import Session
from limner.tune.base import Base
from limner.tune.caching import latents_of
from limner.tune.cost import Cost, cost_of, refuse_too_large
from limner.tune.data import Data, arrange, held_out
from limner.tune.file import kohya_names, tensors_of, write
from limner.tune.loop import Ended, Trainer
from limner.tune.metadata import metadata
from limner.tune.networks import Networks
from limner.tune.pictures import Examples, read_examples
from limner.tune.places import STATE, check_out, folder_of
from limner.tune.prior import class_pictures
from limner.tune.settings import TuneSettings
from limner.tune.state import State, refuse_other
from limner.tune.words import Wording, unseen, wording
from limner.types import Request

FACTS: Mapping[str, str] = {
    "base": "the base model's weights are others",
    "data": "the pictures or captions are others",
    "settings": "settings differ",
}

Tell = Callable[[str], None]


@dataclass
class Tuning:
    """A run that is prepared. ``notices`` are what to say before it starts; ``cost`` what it will take."""

    settings: TuneSettings
    out: Path
    base: Base
    examples: Examples
    words: Wording
    side: int
    trainer: Trainer
    cost: Cost
    notices: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Journal, plot, state and samples."""
        return folder_of(self.out)

    def run(
        self,
        *,
        stop: Callable[[], bool] = lambda: False,
        looked: Callable[[int], None] = lambda step: None,
        told: Callable[[int, float], None] = lambda step, loss: None,
    ) -> Ended:
        """Train, and write the file at the end; ``stop`` is asked after each step. ``looked`` follows each check, when
        the file has been written with what there is. Raises as ``Trainer.run``; the file then holds the last good
        weights."""

        def checked(step: int) -> None:
            self.write(step)
            looked(step)

        try:
            ended = self.trainer.run(stop, checked, told)
        except Exception:
            if self.trainer.step:
                self.write(self.trainer.step)
            raise
        self.write(ended.step, ended)
        return ended

    def write(self, step: int, ended: Ended | None = None) -> None:
        """The file, of the best step so far. Raises ``StorageError``, ``NonFinite``."""
        trainer = self.trainer
        best = trainer.step if trainer.best is None else trainer.best[0]
        run: dict[str, object] = {
            "steps": step,
            "step": best,
            "ended": "not yet" if ended is None else ended.why,
            "seconds": round(trainer.seconds, 1),
            "loss": [round(value, 6) for _, value in trainer.journal.losses[-1:]],
            "held_out": [[at, round(value, 6)] for at, value in trainer.held],
            "held_out_pictures": len(trainer.networks.data.held),
        }
        names = names_of(trainer.networks, self.base)
        alpha = self.settings.scale * self.settings.rank
        said = metadata(
            name=self.out.stem,
            base=self.base,
            settings=self.settings,
            side=self.side,
            examples=self.examples.found,
            words=self.words,
            held=trainer.networks.data.held,  # rows of latents, in the examples' order
            run=run,
        )
        write(self.out, tensors_of(trainer.result, names, targets_of(self.base.resolved.files), alpha), said)


def prepare(
    settings: TuneSettings,
    data: Path,
    out: Path,
    session: Session,
    *,
    resume: bool = False,
    tell: Tell = lambda _: None,
) -> Tuning:
    """Check everything, load the networks, cache what the frozen parts make, and take one trial step. The session draws
    class pictures, and its policy holds for what is trained too.

    Raises ``InvalidRequest``, ``UnreadablePicture``, ``Refused``, ``ModelError`` (also where a run that goes on is of
    another base, data or settings), ``OutOfMemory``, ``StorageError``, ``MissingExtra``.
    """
    check_out(out, resume=resume)
    examples = read_examples(data)
    base = Base.of(resolve(settings.model, session.settings, session.catalog, offline=session.offline))
    side = base.side(settings.size)
    words = wording(settings, examples.found)
    for caption in dict.fromkeys((*words.captions, words.asked, *settings.samples)):
        session.review(Request.of(prompt=caption, model=settings.model))
    facts = {"base": base.hash, "data": examples.hash, "settings": settings.decisive(), "lr": settings.lr}
    state = State.read(folder_of(out) / STATE) if resume else None
    if state is not None:
        refuse_other(state, facts, FACTS)
        rate = state.facts.get("lr")
        changed = "" if rate in (None, settings.lr) else f", at a learning rate of {settings.lr:g} instead of {rate}"
        tell(f"going on from step {state.step}{changed}")
    vocabulary = load_family(base.resolved.card.family).vocabulary(base.resolved.files)
    arranged, notices = _data(settings, examples, words, base, side, session, folder_of(out), tell)
    networks = Networks(base, settings, arranged)
    if networks.cut:
        notices = (
            *notices,
            f"{networks.cut} captions are longer than the text encoder reads, and are cut",
        )
    names_of(networks, base)
    sampled = 1 if settings.samples else 0
    cost = cost_of(networks, settings.steps - (state.step if state else 0), sampled=sampled)
    folder_of(out).mkdir(parents=True, exist_ok=True)
    from limner.models.machine import probe

    refuse_too_large(cost, probe(), settings.device, folder_of(out))
    trainer = Trainer(networks, folder_of(out), facts, state)
    said = (*examples.notices, *words.notices, *unseen(words, vocabulary, base.name), *notices)
    return Tuning(settings, out, base, examples, words, side, trainer, cost, said)


def names_of(networks: Networks, base: Base) -> dict[str, dict[str, str]]:
    """What each layer is called in the file, by part."""
    targets = targets_of(base.resolved.files)
    return {
        part: {name: each for name, each in kohya_names(part, targets[part], xl=base.xl).items() if name in layers}
        for part, layers in networks.layers.items()
    }


def _data(
    settings: TuneSettings,
    examples: Examples,
    words: Wording,
    base: Base,
    side: int,
    session: Session,
    folder: Path,
    tell: Tell,
) -> tuple[Data, tuple[str, ...]]:
    """Latents of the examples and of the class pictures, which are drawn where they are not there yet."""
    own = held_out(settings.hold_out, len(examples.found))
    if own > len(examples.found) - 2:
        raise InvalidRequest(
            f"{own} of {len(examples.found)} pictures held out leave too few to train on",
            field="hold_out",
            hint="--hold-out 0 trains on all of them",
        )
    paths: Sequence[Path] = [each.path for each in examples.found]
    captions: Sequence[str] = words.captions
    if settings.prior and words.prior is not None:
        paths = [*paths, *class_pictures(words.prior, settings, side, session, folder, tell)]
        captions = [*captions, *[words.prior] * settings.prior]
    tell(f"encoding {len(paths)} pictures")
    latents = latents_of(paths, base, side, device=settings.device, flip=settings.flip)
    made = arrange(latents, captions, settings.prior, own, flips=settings.flip)
    return made, latents.notices


__all__ = ["Tuning", "folder_of", "prepare"]
