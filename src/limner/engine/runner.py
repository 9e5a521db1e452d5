"""The runner: tensors, no policy. Rows of one bucket in, one answer a row out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.nn import Module

from limner.engine.allocation import own_pages
from limner.engine.memory import Residency
from limner.engine.meter import Meter
from limner.engine.threads import own, using
from limner.errors import LimnerError, NonFinite, OutOfMemory
from limner.models.adapters.worn import SCALES
from limner.models.family import Family, Files, Placement
from limner.sampling.course import Row, Weights


@dataclass(frozen=True, slots=True)
class Registered:
    family: Family
    files: Files
    device: torch.device


class TorchRunner:
    """Owns the modules. ``budget`` is bytes for weights and work, of every device or by its name; ``on_load`` is told
    before a part's weights are read."""

    def __init__(
        self,
        budget: int | Callable[[str], int],
        on_load: Callable[[str, str], None] = lambda checkpoint, part: None,
    ) -> None:
        self._registered: dict[str, Registered] = {}
        self._on_load = on_load
        self._notes: list[tuple[str, str]] = []
        self._loading = 0.0
        self._known: WeakValueDictionary[Weights, Module] = WeakValueDictionary()
        self._meter = Meter()
        self._fresh: set[Weights] = set()
        self._peak: int | None = None
        self.residency = Residency(
            self._load, budget if callable(budget) else lambda device: budget, on_leave=self._note_leaving
        )

    def register(self, checkpoint: str, family: Family, files: Files, device: torch.device) -> None:
        """Make a checkpoint known under the name its rows will use. Its files may come with other extras each time."""
        held = self._registered.get(checkpoint)
        known = {} if held is None else held.files.extras
        self._registered[checkpoint] = Registered(
            family if held is None else held.family, replace(files, extras={**known, **files.extras}), device
        )

    def module(self, weights: Weights) -> Module:
        return self.residency.get(weights)

    def forward(self, rows: Sequence[Row], *, split: bool = True) -> list[Tensor | LimnerError]:
        """Answers in the rows' order. A row whose answer is not finite gets ``NonFinite``, its neighbours their own
        answers. With ``split`` a batch that is known not to fit is taken in pieces. Out of memory splits the batch in
        halves, noted; one row that does not fit gets ``OutOfMemory``."""
        weights = rows[0].weights
        most = self.residency.most_rows(weights) if split else None
        if most is not None and len(rows) > most:
            return [answer for i in range(0, len(rows), most) for answer in self.forward(rows[i : i + most])]
        try:
            module = self.residency.get(weights, len(rows))
            with self.measured(weights):
                return _finite(self._call(module, weights, rows))
        except LimnerError as error:
            return [error] * len(rows)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block: the traceback would keep the tensors of the failed call alive.
        return self._smaller(rows)

    def take_notes(self) -> list[tuple[str, str]]:
        """What happened since last asked, as (code, message)."""
        notes, self._notes = self._notes, []
        return notes

    def take_loading(self) -> float:
        """Seconds spent reading weights since last asked."""
        seconds, self._loading = self._loading, 0.0
        return seconds

    @contextmanager
    def measured(self, weights: Weights) -> Iterator[None]:
        """The most memory in use inside counts for ``take_peak``."""
        first = weights in self._fresh or self.residency.peek(weights) is None
        self._fresh.discard(weights)
        self._meter.begin(self._registered[weights.checkpoint].device, first=first)
        try:
            yield
        finally:
            if (peak := self._meter.end()) is not None:
                self._peak = max(self._peak or 0, peak)

    def take_peak(self) -> int | None:
        """The most memory in use during calls since last asked, in bytes; ``None`` where that cannot be told."""
        peak, self._peak = self._peak, None
        return peak

    def _call(self, module: Module, weights: Weights, rows: Sequence[Row]) -> Tensor:
        home = self._registered[weights.checkpoint]
        batch = {
            name: torch.stack([row.inputs[name] for row in rows]).to(home.device, non_blocking=True)
            for name in rows[0].inputs
        }
        if not weights.adapters:
            return home.family.forward(module, weights.part, batch)
        from limner.models.adapters.side import scaled

        with scaled(module, batch.pop(SCALES, None)):
            return home.family.forward(module, weights.part, batch)

    def _smaller(self, rows: Sequence[Row]) -> list[Tensor | LimnerError]:
        weights = rows[0].weights
        freed = self.residency.drop(keep=weights)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(rows) == 1 and not freed:
            return [
                OutOfMemory(
                    f"{weights.part} of {weights.checkpoint} does not fit into memory, even for one picture",
                    hint="try a smaller --size, another --dtype, or a smaller model (limner models list --fits)",
                )
            ]
        half = max(1, len(rows) // 2)
        self._notes.append(
            ("out-of-memory", f"memory ran out at {len(rows)} rows of {weights.part}; went on with {half}")
        )
        parts = [rows[:half], rows[half:]] if len(rows) > 1 else [rows]
        return [answer for part in parts for answer in self.forward(part)]

    def _note_leaving(self, left: Weights, comes: Weights) -> None:
        """Another model that leaves concerns nobody who is drawing."""
        if left.checkpoint == comes.checkpoint:
            message = f"{left.part} left memory to make room for {comes.part}; the picture is the same, it takes longer"
            self._notes.append(("offloaded", message))

    def _load(self, weights: Weights) -> Module:
        home = self._registered[weights.checkpoint]
        self._on_load(weights.checkpoint, weights.part)
        self._fresh.add(weights)
        began = time.perf_counter()
        try:
            # Weights may be packed for a number of threads; jobs of several numbers use them, and in any order.
            with own_pages(), using(own()):
                if not weights.adapters:
                    return self._plain(weights)
                from limner.models.adapters.load import dressed

                return dressed(weights, home.files, Placement(home.device, weights.dtype), self._plain)
        finally:
            self._loading += time.perf_counter() - began

    def _plain(self, weights: Weights) -> Module:
        """A network without adapters: the one that is in memory, under adapters or not, else read now."""
        module = self._known.get(weights)
        if module is None:
            home = self._registered[weights.checkpoint]
            module = home.family.load(weights, home.files, Placement(home.device, weights.dtype))
            self._known[weights] = module
        return module


def _finite(out: Tensor) -> list[Tensor | LimnerError]:
    good = torch.isfinite(out).flatten(1).all(dim=1).tolist()
    return [
        row
        if ok
        else NonFinite(
            "the network answered with NaN or infinity",
            hint="try --dtype float32; if that does not help, the weights are damaged or were never trained",
        )
        for row, ok in zip(out.unbind(0), good, strict=True)
    ]


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA's own class, and the CPU allocator's message, which has none."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
