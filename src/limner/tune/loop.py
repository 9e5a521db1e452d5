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
from limner.tune.data import batch_at, held_batch
from limner.tune.journal import Journal
from limner.tune.layers import swapped
from limner.tune.networks import Networks
from limner.tune.places import STATE
from limner.tune.state import State

BETAS = (0.9, 0.99)
DECAY = 0.01
FLOOR = 0.1  # of the learning rate, at the end of the cosine


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
        if state is not None:
            self._restore(state)
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
        saved at a check, ``told`` after each step with its loss.

        Raises ``NonFinite`` for a loss or gradient that is not finite, ``OutOfMemory``, ``StorageError``; the last good
        state is kept, and the weights are still those of before the step.
        """
        settings = self.settings
        if self.step == 0:
            self._look()
        while self.step < settings.steps:
            loss = self._guarded()
            told(self.step, loss)
            if self.step % settings.check_every == 0 or self.step == settings.steps:
                self._look()
                self.save()
                looked(self.step)
                if self.tired:
                    return self._ended("early")
            if stop():
                self.save()
                return self._ended("stopped")
        return self._ended("done")

    def _ended(self, why: str) -> Ended:
        return Ended(why, self.step, self.step if self.best is None else self.best[0])

    def _guarded(self) -> float:
        try:
            return self._one()
        except NonFinite as error:
            self.optimizer.zero_grad(set_to_none=True)
            self.save()
            raise NonFinite(
                f"{error.message} at step {self.step + 1}; the weights of step {self.step} are kept",
                hint=f"go on with a smaller step: --resume --lr {self.settings.lr / 3:.1g}; "
                "it happens in bfloat16 and with a high rate",
            ) from None
        except (torch.OutOfMemoryError, MemoryError) as error:
            self.optimizer.zero_grad(set_to_none=True)
            self.save()
            raise OutOfMemory(
                f"training ran out of memory at step {self.step + 1}",
                hint="--resume with --checkpointing, or begin with a smaller --batch and --accumulate for the rest",
            ) from error

    @torch.enable_grad()
    def _one(self) -> float:
        """One optimizer step; its loss."""
        settings, started = self.settings, time.perf_counter()
        number, total = self.step + 1, 0.0
        for part in range(settings.accumulate):
            batch = batch_at(
                self.networks.data,
                number,
                part,
                size=settings.batch,
                parts=settings.accumulate,
                seed=settings.seed,
                timesteps=self.networks.noising.steps,
                drop=settings.drop_caption,
                prior_weight=settings.prior_weight,
            )
            loss = self.networks.loss(batch) / settings.accumulate
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

    @torch.no_grad()
    def _average(self) -> None:
        """The running mean, quicker at first: with a decay of (1 + n) / (10 + n) until that is above the one asked."""
        if self.mean is None:
            return
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for name, each in self.parameters.items():
            self.mean[name].lerp_(each.data, 1 - decay)

    @torch.no_grad()
    def _look(self) -> None:
        """The held-out pictures' loss; the best so far is kept."""
        networks = self.networks
        if not networks.data.held:
            return
        settings = self.settings
        batch = held_batch(networks.data, settings.seed, networks.noising.steps)
        with swapped(self.parameters, self.values):
            losses = [float(networks.loss(part)) for part in batch.parts(max(settings.batch, 4))]
        loss = sum(losses)
        if not math.isfinite(loss):
            return  # the next step says so
        if self.best is None or all(loss < other for _, other in self.held):
            self.best = (self.step, self._copied())
        self.held.append((self.step, loss))
        self.journal.write(step=self.step, held_out=loss)

    @property
    def tired(self) -> bool:
        """Whether the last looks brought nothing."""
        if not self.held:
            return False
        best = min(range(len(self.held)), key=lambda k: self.held[k][1])
        return len(self.held) - 1 - best >= self.settings.patience

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
        State(self.step, groups, self.facts, self.held, best, self.seconds).write(self.folder / STATE)
        self._saved = self.step
        self.journal.draw(f"{self.networks.base.name}: step {self.step} of {self.settings.steps}")

    def _restore(self, state: State) -> None:
        self.step, self.seconds, self.held = state.step, state.seconds, list(state.held)
        groups = state.groups
        for name, each in self.parameters.items():
            each.data.copy_(groups["now"][name])
            if name in groups.get("first", {}):
                self.optimizer.state[each] = {
                    "step": torch.tensor(float(state.step)),
                    "exp_avg": groups["first"][name].to(each.device),
                    "exp_avg_sq": groups["second"][name].to(each.device),
                }
        device = self.settings.device
        if self.mean is not None:
            self.mean = {name: value.to(device) for name, value in groups["mean"].items()}
        if state.best is not None:
            self.best = (state.best, {name: value.to(device) for name, value in groups["best"].items()})


def schedule(step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at a step (1-based): up in a line, then down along a cosine to a tenth."""
    if step <= warmup:
        return step / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
