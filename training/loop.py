"""The training loop that all stages share: budget, learning rate, moving average, checkpoints, log."""

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from training import ranks

Item = TypeVar("Item")


@dataclass(frozen=True)
class Options:
    """One stage's run. The schedule follows ``samples`` when set, else ``minutes`` of work over all resumptions."""

    out: Path
    device: str = "cpu"
    minutes: float = 10.0
    samples: int | None = None
    stop_after: float | None = None  # minutes of this call; checkpoint and return, resume later
    batch: int = 32
    rate: float = 1e-3
    floor: float = 0.02  # last learning rate as a share of the highest
    flat: float = 0.0  # share of the run at the full rate before the cosine falls
    warmup: int = 100
    average: float = 0.999
    decay: float = 1e-2
    clip: float = 1.0
    seed: int = 0
    workers: int = 0
    save_every: float = 4.0  # minutes
    resume: bool = True
    compile: bool = False
    rank: int = 0  # of how many processes that train together (ranks.py)
    ranks: int = 1


def pick_device(name: str) -> str:
    """``auto`` is the GPU when there is one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def autocast(device: str) -> torch.autocast:
    """bfloat16 where it pays, on either device."""
    return torch.autocast(device, dtype=torch.bfloat16)


class Trainer:
    """Weights under training: optimizers, moving average, counters. ``state.pt`` in ``out`` holds all of it.

    ``matrices``: those of the weights that Muon moves (Jordan et al. 2024; at the rate that moves them as far as AdamW
    would, Liu et al. 2025, arXiv 2502.16982); AdamW moves all others.
    """

    def __init__(self, modules: dict[str, nn.Module], options: Options, matrices: Sequence[nn.Parameter] = ()) -> None:
        self.modules, self.options = modules, options
        self.params = [p for m in modules.values() for p in m.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.params]
        turned = {id(p) for p in matrices}
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [p for p in self.params if id(p) not in turned],
                options.rate,
                betas=(0.9, 0.99),
                weight_decay=options.decay,
                fused=True,
            )
        ]
        if matrices:
            self.optimizers.append(
                torch.optim.Muon(matrices, options.rate, options.decay, adjust_lr_fn="match_rms_adamw")
            )
        self.step, self.elapsed = 0, 0.0  # steps and minutes over all calls
        self.path = options.out / "state.pt"
        options.out.mkdir(parents=True, exist_ok=True)
        if options.resume and self.path.exists():
            self._load()
        ranks.same([*self.params, *self.average])

    @property
    def seen(self) -> int:
        """Samples so far, of all processes."""
        return self.step * self.options.batch * self.options.ranks

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        o = self.options
        return min(1.0, self.seen / o.samples if o.samples else self.elapsed / o.minutes)

    def _rate(self) -> float:
        o = self.options
        fall = max(0.0, (self.progress - o.flat) / (1 - o.flat)) if o.flat < 1 else 0.0
        cosine = o.floor + (1 - o.floor) * 0.5 * (1 + math.cos(math.pi * fall))
        return o.rate * min(1.0, (self.step + 1) / o.warmup) * cosine

    def update(self, loss: Tensor) -> None:
        """One optimizer step on ``loss``, and the moving average after it."""
        torch.autograd.backward(loss)
        ranks.mean_gradients(self.params)
        nn.utils.clip_grad_norm_(self.params, self.options.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self._rate()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        keep = min(self.options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.params], 1 - keep)

    def swap(self) -> None:
        """Exchange live and averaged weights; call twice to look at the average and go on."""
        with torch.no_grad():
            for live, mean in zip(self.params, self.average, strict=True):
                held = live.detach().clone()
                live.copy_(mean)
                mean.copy_(held)

    def save(self) -> None:
        """Write ``state.pt`` whole or not at all."""
        state = {
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "average": self.average,
            "optimizers": [each.state_dict() for each in self.optimizers],
            "ranks": self.options.ranks,
            "step": self.step,
            "elapsed": self.elapsed,
        }
        partial = self.path.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self.path)

    def _load(self) -> None:
        state = torch.load(self.path, map_location=self.options.device, weights_only=True)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for mine, saved in zip(self.average, state["average"], strict=True):
            mine.copy_(saved)
        held = state.get("optimizers") or [state["optimizer"]]  # one, before there was Muon
        if len(held) != len(self.optimizers) or state.get("ranks", 1) != self.options.ranks:
            raise ValueError(
                f"{self.path} is of {len(held)} optimizers in {state.get('ranks', 1)} processes, this run of "
                f"{len(self.optimizers)} in {self.options.ranks}: go on as it was begun, or begin in another folder"
            )
        for optimizer, saved in zip(self.optimizers, held, strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.elapsed = state["step"], state["elapsed"]


def fit(
    trainer: Trainer,
    items: Iterable[Item],
    loss: Callable[[Item, int], tuple[Tensor, dict[str, Tensor]]],
    check: Callable[[], dict[str, float]],
    export: Callable[[], None],
) -> None:
    """Train until the budget is spent: ``loss`` per item, ``check`` and ``export`` on averaged weights at each save.

    Of several processes the first decides when, and keeps ``state.pt``; ``export`` is called in all of them.
    """
    o, begun = trainer.options, time.monotonic()
    saved, first, already = begun, trainer.seen, trainer.elapsed
    sums: dict[str, Tensor] = {}
    for item in items:
        now = time.monotonic()
        spent, since = ranks.agreed(now - begun, now - saved)
        trainer.elapsed = already + spent / 60
        done = trainer.progress >= 1 or (o.stop_after is not None and spent >= o.stop_after * 60)
        if done or since >= o.save_every * 60:
            rate = (trainer.seen - first) / max(now - begun, 1e-6)
            means = {k: v.item() / max(1, int(sums["_n"])) for k, v in sums.items() if k != "_n"}
            if o.rank == 0:
                trainer.save()
            trainer.swap()
            facts = {"step": trainer.step, "seen": trainer.seen, "minutes": trainer.elapsed, "per_second": rate}
            facts |= means | check()
            export()
            trainer.swap()
            if o.rank == 0:
                _log(o.out, facts | ({"ranks": o.ranks} if o.ranks > 1 else {}))
            sums, saved = {}, time.monotonic()
        if done:
            return
        # A step's noise depends on its number alone, and on whose it is.
        torch.manual_seed((o.seed + 101 * o.rank) * 1_000_003 + trainer.step)
        value, terms = loss(item, trainer.step)
        trainer.update(value)
        for name, term in (terms | {"_n": torch.ones(())}).items():
            sums[name] = sums[name] + term.detach() if name in sums else term.detach().clone()


def _log(out: Path, facts: dict[str, float]) -> None:
    line = {k: round(v, 4) if isinstance(v, float) else v for k, v in facts.items()}
    print("  ".join(f"{k} {v}" for k, v in line.items()), flush=True)
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
