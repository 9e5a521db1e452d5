"""What checkers with networks have in common: where weights lie, on which device they run, what they may answer."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from limner.config import Settings
from limner.errors import NonFinite, OutOfMemory
from limner.models.machine import choose_device, probe
from limner.models.packages import Package, here, opened
from limner.safety.checks.check import Category, CheckCard, Finding, Verdict
from limner.types import Pixels

if TYPE_CHECKING:
    import torch

LoadedT = TypeVar("LoadedT")


class Networked(Generic[LoadedT]):
    """A checker whose weights are fetched, or lie in a ``folder`` under the names its package reads.

    ``device`` left out is the best there is; where its memory does not suffice, the checker moves to the CPU: a
    picture is not left unchecked for want of room.
    """

    card: ClassVar[CheckCard]
    package: ClassVar[Package]

    def __init__(self, folder: Path | None = None, *, device: str | None = None) -> None:
        self._folder = folder
        self._device = device
        self._loaded: LoadedT | None = None

    def missing(self) -> str | None:
        """See ``Check.missing``."""
        if self._folder is not None or here(self.package, Settings.load()) is not None:
            return None
        return self.package.command()

    def check(self, pixels: Pixels) -> Sequence[Finding]:
        """See ``Check.check``."""
        import torch

        try:
            return self._checked(pixels)
        except torch.OutOfMemoryError:
            self._loaded = None
            if self._device == "cpu":
                raise OutOfMemory(
                    f"{self.card.name} does not fit into memory", hint="a smaller checker: limner safety list"
                ) from None
        self._device = "cpu"
        return self.check(pixels)

    def _checked(self, pixels: Pixels) -> Sequence[Finding]:
        import torch

        if self._loaded is None:
            self._device = self._device or choose_device(None, probe())
            self._loaded = self._load(self._files(), torch.device(self._device))
        with torch.inference_mode():
            return self._findings(self._loaded, pixels)

    def _files(self) -> Mapping[str, Path]:
        """Names to checked paths. Raises ``ModelNotFound``, ``UnsafeFile``, ``CorruptFile``."""
        return opened(self.package, Settings.load(), self._folder)

    @abstractmethod
    def _load(self, files: Mapping[str, Path], device: torch.device) -> LoadedT:
        """The network. Raises ``ModelError``."""

    @abstractmethod
    def _findings(self, loaded: LoadedT, pixels: Pixels) -> Sequence[Finding]: ...

    def finding(self, category: Category, score: float, *, possible: float, likely: float) -> Finding:
        """A score against two thresholds, both inclusive. Raises ``NonFinite``."""
        if not math.isfinite(score):
            raise NonFinite(
                f"the checker {self.card.name} answered {score}",
                hint=f"fetch its weights again: {self.package.command()}",
            )
        verdict: Verdict = "likely" if score >= likely else "possible" if score >= possible else "clear"
        return Finding(
            checker=self.card.name,
            revision=self.card.revision,
            category=category,
            verdict=verdict,
            score=round(score, 4),
        )
