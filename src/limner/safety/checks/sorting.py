"""Two-class picture classifiers on a ViT: the probability of the one class, over all views of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.errors import CorruptFile
from limner.safety.checks.check import Finding
from limner.safety.checks.networked import Networked
from limner.types import Pixels

if TYPE_CHECKING:
    import torch

    from limner.models.nets.vit import Vit
    from limner.safety.checks.seeing import Eye

POSSIBLE, LIKELY = 0.3, 0.5
"""Probabilities. 0.5 is the larger of two classes, as the publishers read their networks; 0.3 is ours, unmeasured."""


@dataclass(frozen=True, slots=True)
class Sorter:
    """A loaded classifier. ``unsafe`` is the index of its class."""

    net: Vit
    eye: Eye
    unsafe: int
    device: torch.device


class Sorting(Networked[Sorter]):
    """Base of the checkers that sort pictures into safe and not safe for work."""

    def _findings(self, loaded: Sorter, pixels: Pixels) -> Sequence[Finding]:
        logits = loaded.net(loaded.eye.see(pixels).to(loaded.device))
        # Not max(): that one may pass over NaN. The largest of all views, or NaN where one is.
        score = float(logits.float().softmax(-1)[:, loaded.unsafe].amax())
        return [self.finding("sexual", score, possible=POSSIBLE, likely=LIKELY)]


def unsafe_index(labels: object, name: str) -> int:
    """Which class is ``nsfw``: a list of labels, or a mapping of indexes to them. Raises ``CorruptFile``."""
    pairs = labels.items() if isinstance(labels, dict) else enumerate(labels) if isinstance(labels, list) else ()
    found = [int(k) for k, label in pairs if str(label).lower() == "nsfw"]
    if len(found) != 1:
        raise CorruptFile(f"the config.json of {name} names no class NSFW", hint="fetch it again")
    return found[0]
