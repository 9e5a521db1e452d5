"""Training itself: AdamW over the LoRA's factors, looks at held-out pictures, states from which a run goes on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from limner.errors import NonFinite, OutOfMemory
from limner.tune.data import Batch, batch_at, held_batch
from limner.tune.journal import Journal
from limner.tune.layers import swapped
from limner.tune.networks import Networks
from limner.tune.places import STATE
from limner.tune.state import State

BETAS = (0.9, 0.99)
DECAY = 0.01
WILD = 10.0
"""A loss so many times that of a network that says nothing, or that the run began with, is no learning any more."""
FLOOR = 0.1  # of the learning rate, at the end of the cosine
NEVER = "limner models check says whether the model is whole; --dtype float32 where it was bfloat16"


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a run ended (``done``, ``early``, ``stopped``), at which step, and which step's weights are the result."""

    why: str
    step: int
    best: int


class Trainer:
    """``values`` are the weights as they would be written now."""

    def __init__(self, networks: Networks, folder: Path, facts: Mapping[str, object], state: State | None) -> None:
        self.networks, self.settings, self.folder, self.facts = networks, networks.settings, folder, facts
        settings = self.settings
        text_lr = settings.text_lr or settings.lr / 2
        self.parameters = networks.parameters
        groups = [
            {"params": [each for name, each in self.parameters.items() if name.startswith("unet.") == unet], "lr": lr}
            for unet, lr in ((True, settings.lr), (False, text_lr))
        ]
        self._rates = [settings.lr, text_lr]
        self.optimizer = torch.optim.AdamW(groups, betas=BETAS, weight_decay=DECAY)
        self.step, self.seconds = 0, 0.0
        self.mean = self._copied() if settings.ema else None
        self.best: tuple[int, Mapping[str, Tensor]] | None = None
        self.held: list[tuple[int, float]] = []
        self.turn, self.rested = 0, 0
        if state is not None:
            self._restore(state)
            self.rested = len(self.held) if self.tired else self.rested  # who goes on after an early end wants more
        self.journal = Journal.open(folder, self.step)
        self._saved = self.step if state is not None else -1

    @property
    def values(self) -> Mapping[str, Tensor]:
        """The mean where one is kept, else the weights."""
        return self.mean or {name: each.data for name, each in self.parameters.items()}

    @property
    def result(self) -> Mapping[str, Tensor]:
        """The weights of the step that did best on held-out pictures, where there are any; else the last ones."""
        return self.values if self.best is None else self.best[1]

    def run(self, stop: Callable[[], bool], looked: Callable[[int], None], told: Callable[[int, float], None]) -> Ended:
        """Train to the end, early or not. ``stop`` is asked after each step; ``looked`` is called when a state has been
        saved at a check or where samples are due, ``told`` after each step with its loss.

        Raises ``NonFinite`` where training came apart, ``OutOfMemory``, ``StorageError``. The last state in which it
        was whole is kept then: the first is saved before the first step.
        """
        settings = self.settings
        if self.step == 0:
            if not self.held:
                self._guarded(self._check, self.step)
            self.save()
        while self.step < settings.steps:
            loss = self._guarded(self._one, self.step + 1)
            told(self.step, loss)
            due = self.step % settings.check_every == 0 or self.step == settings.steps
            if due or settings.samples_at(self.step):
                self._guarded(self._check if due else self._prove, self.step)
                self.save()
                looked(self.step)
                if due and self.tired:
                    return self._ended("early")
            if stop():
                if not due:
                    self._guarded(self._prove, self.step)
                self.save()
                return self._ended("stopped")
        return self._ended("done")

    def _ended(self, why: str) -> Ended:
        return Ended(why, self.step, self.step if self.best is None else self.best[0])

    def _guarded(self, do: Callable[[], float], at: int) -> float:
        try:
            return do()
        except NonFinite as error:
            self.optimizer.zero_grad(set_to_none=True)
            raise self._gone_back(error, at) from None
        except (torch.OutOfMemoryError, MemoryError) as error:
            self.optimizer.zero_grad(set_to_none=True)
            self.save()
            raise OutOfMemory(
                f"training ran out of memory at step {at}",
                hint="--resume with --checkpointing, or begin with a smaller --batch and --accumulate for the rest",
            ) from error

    def _gone_back(self, error: NonFinite, at: int) -> NonFinite:
        """What to raise. The last whole state is taken up again, with other things drawn by lot: what came apart hangs
        on the weights and on them, and the same would come apart the same way."""
        path = self.folder / STATE
        if self._saved < 0:
            return NonFinite(f"{error.message}, before anything was learnt", hint=NEVER)
        state = State.read(path).gone_back()
        state.write(path)
        self._restore(state)
        self._saved = state.step
        rates = f"--lr {self.settings.lr / 3:.1g}"
        if self.settings.text_lr:
            rates += f" --text-lr {self.settings.text_lr / 3:.1g}"
        return NonFinite(
            f"{error.message} at step {at}; the weights of step {state.step} are kept",
            hint=f"go on from there with a smaller step: --resume {rates}; it happens in bfloat16 and with a high rate",
        )

    @torch.enable_grad()
    def _one(self) -> float:
        """One optimizer step; its loss."""
        settings, started = self.settings, time.perf_counter()
        number, total = self.step + 1, 0.0
        for part in range(settings.accumulate):
            loss = self.networks.loss(self._batch(number, part)) / settings.accumulate
            if not bool(loss.isfinite()):
                raise NonFinite("the loss was not finite")
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), settings.clip)
        if not bool(norm.isfinite()):
            raise NonFinite("the gradient was not finite")
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * schedule(number, settings.steps, settings.warmup)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step = number
        self._average()
        took = time.perf_counter() - started
        self.seconds += took
        rate = self.optimizer.param_groups[0]["lr"]
        self.journal.write(step=number, loss=total, lr=rate, norm=float(norm), seconds=round(took, 4))
        return total

    def _batch(self, number: int, part: int) -> Batch:
        settings = self.settings
        return batch_at(
            self.networks.data,
            number,
            part,
            size=settings.batch,
            parts=settings.accumulate,
            seed=settings.seed,
            timesteps=self.networks.noising.steps,
            drop=settings.drop_caption,
            prior_weight=settings.prior_weight,
            turn=self.turn,
        )

    @torch.no_grad()
    def _average(self) -> None:
        """The running mean, quicker at first: with a decay of (1 + n) / (10 + n) until that is above the one asked."""
        if self.mean is None:
            return
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for name, each in self.parameters.items():
            self.mean[name].lerp_(each.data, 1 - decay)

    def _check(self) -> float:
        self._prove()
        return self._look()

    @torch.no_grad()
    def _prove(self) -> float:
        """The loss of what comes next. Raises ``NonFinite`` where it says that the weights are no good any more, which
        finite numbers may be too."""
        loss = float(self.networks.loss(self._batch(self.step + 1, 0)))
        said = 1 + (self.settings.prior_weight if self.networks.data.prior else 0)
        most = WILD * max(said, self.journal.losses[0][1] if self.journal.losses else 0.0)
        if not math.isfinite(loss):
            raise NonFinite("the loss was not finite")
        if self.step and loss > most:
            raise NonFinite(f"the loss rose to {loss:.3g}, which is no learning any more,")
        return loss

    @torch.no_grad()
    def _look(self) -> float:
        """The held-out pictures' loss, 0 without any; the best so far is kept. Raises ``NonFinite``."""
        networks = self.networks
        if not networks.data.held:
            return 0.0
        settings = self.settings
        batch = held_batch(networks.data, settings.seed, networks.noising.steps)
        with swapped(self.parameters, self.values):
            losses = [float(networks.loss(part)) for part in batch.parts(max(settings.batch, 4))]
        loss = sum(losses)
        if not math.isfinite(loss):
            raise NonFinite("the loss of the held-out pictures was not finite")
        if self.best is None or all(loss < other for _, other in self.held):
            self.best = (self.step, self._copied())
        self.held.append((self.step, loss))
        self.journal.write(step=self.step, held_out=loss)
        return loss

    @property
    def tired(self) -> bool:
        """Whether the last looks brought nothing."""
        if not self.held:
            return False
        best = min(range(len(self.held)), key=lambda k: self.held[k][1])
        return len(self.held) - 1 - max(best, self.rested - 1) >= self.settings.patience

    def _copied(self) -> dict[str, Tensor]:
        return (
            {name: value.detach().clone() for name, value in self.values.items()}
            if self.step
            else {name: each.detach().clone() for name, each in self.parameters.items()}
        )

    def save(self) -> None:
        """Write the state, once a step at most, and the plot. Raises ``StorageError``; the last one stays then."""
        if self._saved == self.step:
            return
        moments = {name: self.optimizer.state.get(each, {}) for name, each in self.parameters.items()}
        groups: dict[str, Mapping[str, Tensor]] = {
            "now": {name: each.data for name, each in self.parameters.items()},
            "first": {name: found["exp_avg"] for name, found in moments.items() if found},
            "second": {name: found["exp_avg_sq"] for name, found in moments.items() if found},
        }
        if self.mean is not None:
            groups["mean"] = self.mean
        if self.best is not None:
            groups["best"] = self.best[1]
        best = None if self.best is None else self.best[0]
        state = State(self.step, groups, self.facts, self.held, best, self.seconds, self.turn, rested=self.rested)
        state.write(self.folder / STATE)
        self._saved = self.step
        self.journal.draw(f"{self.networks.base.name}: step {self.step} of {self.settings.steps}")

    def _restore(self, state: State) -> None:
        self.step, self.seconds, self.held = state.step, state.seconds, list(state.held)
        self.turn, self.rested = state.turn, state.rested
        groups, device = state.groups, self.settings.device
        self.optimizer.state.clear()
        for name, each in self.parameters.items():
            if "now" in groups:
                each.data.copy_(groups["now"][name])
            elif name.endswith(".up"):
                each.data.zero_()  # the beginning: nothing is added
            if name in groups.get("first", {}):
                self.optimizer.state[each] = {
                    "step": torch.tensor(float(state.step)),
                    "exp_avg": groups["first"][name].to(each.device),
                    "exp_avg_sq": groups["second"][name].to(each.device),
                }
        if self.mean is not None:
            mean = groups.get("mean") or {name: each.data.clone() for name, each in self.parameters.items()}
            self.mean = {name: value.to(device) for name, value in mean.items()}
        best = groups.get("best")
        self.best = (
            None if state.best is None or best is None else (state.best, {n: v.to(device) for n, v in best.items()})
        )


def schedule(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at a step (1-based): up in a line, then down along a cosine to a tenth."""
    if step <= warmup:
        return step / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
