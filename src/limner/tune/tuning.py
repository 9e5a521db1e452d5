"""A training run from its plan to the file: prepare, train, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limner.errors import NonFinite, OutOfMemory
from limner.models.adapters.targets import targets_of
from limner.session import Session
from limner.tune.base import Base
from limner.tune.caching import latents_of
from limner.tune.cost import Cost, peak_memory
from limner.tune.data import Data, arrange
from limner.tune.file import kohya_names, tensors_of, write
from limner.tune.loop import Ended, Trainer
from limner.tune.metadata import metadata
from limner.tune.networks import Networks
from limner.tune.pictures import Examples
from limner.tune.places import Busy, folder_of
from limner.tune.planning import CLASS, Planned
from limner.tune.settings import TuneSettings
from limner.tune.state import refuse_other
from limner.tune.words import Wording

Tell = Callable[[str], None]


@dataclass
class Tuning:
    """A run that is prepared. ``notices`` are what to say before it starts, those of its plan apart."""

    planned: Planned
    trainer: Trainer
    notices: tuple[str, ...]
    busy: Busy

    @property
    def settings(self) -> TuneSettings:
        return self.planned.settings

    @property
    def out(self) -> Path:
        return self.planned.out

    @property
    def base(self) -> Base:
        return self.planned.base

    @property
    def examples(self) -> Examples:
        return self.planned.examples

    @property
    def words(self) -> Wording:
        return self.planned.words

    @property
    def side(self) -> int:
        return self.planned.side

    @property
    def cost(self) -> Cost:
        return self.planned.cost

    @property
    def folder(self) -> Path:
        """Journal, plot, state and samples."""
        return self.planned.folder

    def run(
        self,
        *,
        stop: Callable[[], bool] = lambda: False,
        looked: Callable[[int], None] = lambda step: None,
        told: Callable[[int, float], None] = lambda step, loss: None,
    ) -> Ended:
        """Train, and write the file at the end; ``stop`` is asked after each step. ``looked`` follows each check and
        each step at which samples are due, when the file has been written with what there is. Raises as
        ``Trainer.run``; the file then holds the last good weights."""

        def checked(step: int) -> None:
            self.write(step)
            looked(step)

        try:
            ended = self.trainer.run(stop, checked, told)
            self.write(ended.step, ended)
        except (NonFinite, OutOfMemory):
            if self.trainer.step:
                self.write(self.trainer.step)
            raise
        finally:
            self.busy.let_go()
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
            "planned_bytes": self.cost.memory,
            "peak_bytes": peak_memory(self.settings.device),
            "loss": [round(value, 6) for _, value in trainer.journal.losses[-1:]],
            "held_out": [[at, round(value, 6)] for at, value in trainer.held],
            "held_out_pictures": len(trainer.networks.data.held),
            "went_back": trainer.turn,
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


def prepare(planned: Planned, session: Session, *, tell: Tell = lambda _: None) -> Tuning:
    """Draw class pictures where they are missing, cache what the frozen parts make, load the networks.

    Raises ``ModelError``, ``OutOfMemory``, ``StorageError``, ``MissingExtra``, ``InvalidRequest`` where another run
    writes to the same place, and what drawing raises.
    """
    busy = Busy(planned.folder)
    busy.hold()
    try:
        trainer, notices = _trainer(planned, session, tell)
    except BaseException:
        busy.let_go()
        raise
    return Tuning(planned, trainer, notices, busy)


def _trainer(planned: Planned, session: Session, tell: Tell) -> tuple[Trainer, tuple[str, ...]]:
    settings, base, state = planned.settings, planned.base, planned.state
    data, notices = _data(planned, session, tell)
    facts = {**planned.facts, "class": None if planned.kept is None else planned.kept.hash}
    if state is not None:
        refuse_other(state, facts, CLASS)
        rate = state.facts.get("lr")
        changed = "" if rate in (None, settings.lr) else f", at a learning rate of {settings.lr:g} instead of {rate}"
        tell(f"going on from step {state.step}{changed}")
    networks = Networks(base, settings, data)
    if networks.cut:
        notices = (*notices, f"captions longer than the text encoder reads, and cut: {networks.cut}")
    names_of(networks, base)
    return Trainer(networks, planned.folder, facts, state), notices


def names_of(networks: Networks, base: Base) -> dict[str, dict[str, str]]:
    """What each layer is called in the file, by part."""
    targets = targets_of(base.resolved.files)
    return {
        part: {name: each for name, each in kohya_names(part, targets[part], xl=base.xl).items() if name in layers}
        for part, layers in networks.layers.items()
    }


def _data(planned: Planned, session: Session, tell: Tell) -> tuple[Data, tuple[str, ...]]:
    """Latents of the examples and of the class pictures, which are drawn where they are not there yet."""
    settings, words = planned.settings, planned.words
    paths: Sequence[Path] = [each.path for each in planned.examples.found]
    captions: Sequence[str] = words.captions
    if planned.kept is not None and words.prior is not None:
        paths = [*paths, *planned.kept.draw(session, tell)]
        captions = [*captions, *[words.prior] * settings.prior]
    tell(f"encoding {len(paths)} pictures")
    latents = latents_of(paths, planned.base, planned.side, device=settings.device, flip=settings.flip)
    made = arrange(latents, captions, settings.prior, planned.held, flips=settings.flip)
    return made, latents.notices


__all__ = ["Tuning", "folder_of", "prepare"]
