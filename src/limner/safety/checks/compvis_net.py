"""The network of the CompVis safety checker, under its published names, and its arithmetic of thresholds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.clip_vision import ClipVision, ClipVisionConfig

CONCEPTS, SPECIAL = 17, 3
STRICTER = 0.01  # what thresholds are lowered by once a concept of special care is met
PLACES = 3


class Margins(NamedTuple):
    """The largest cosine above its threshold among the concepts of special care, and among the others of one view;
    NaN where the network answered that."""

    special: float
    concept: float


class SafetyChecker(nn.Module):
    """Pictures ``[N, 3, S, S]``, normalised as CLIP's, to the margins of each."""

    def __init__(self, vision: ClipVisionConfig, projection: int) -> None:
        super().__init__()
        self.vision_model = ClipVision(vision)
        self.visual_projection = nn.Linear(vision.hidden_size, projection, bias=False)
        self.concept_embeds = nn.Parameter(torch.empty(CONCEPTS, projection))
        self.special_care_embeds = nn.Parameter(torch.empty(SPECIAL, projection))
        self.concept_embeds_weights = nn.Parameter(torch.empty(CONCEPTS))
        self.special_care_embeds_weights = nn.Parameter(torch.empty(SPECIAL))

    def margins(self, pictures: Tensor) -> list[Margins]:
        """One for each picture. As published: special care is counted one after the other, and each that is met makes
        the rest stricter, too."""
        seen = F.normalize(self.visual_projection(self.vision_model(pictures)))
        special = _above(seen, self.special_care_embeds, self.special_care_embeds_weights)
        concept = _above(seen, self.concept_embeds, self.concept_embeds_weights)
        return [_of_view(cares, others) for cares, others in zip(special, concept, strict=True)]


def _of_view(special: Sequence[float], concepts: Sequence[float]) -> Margins:
    stricter, cares = 0.0, list[float]()
    for value in special:
        cares.append(round(value + stricter, PLACES))
        stricter = STRICTER if cares[-1] > 0 else stricter
    return Margins(worst(cares), worst(round(value + stricter, PLACES) for value in concepts))


def worst(values: Iterable[float]) -> float:
    """The largest; NaN where one is NaN, which ``max`` may pass over; -1, the lowest there is, of none."""
    listed = list(values)
    return math.nan if any(math.isnan(each) for each in listed) else max(listed, default=-1.0)


def _above(seen: Tensor, embeds: Tensor, thresholds: Tensor) -> list[list[float]]:
    """Cosines minus thresholds [N, K]."""
    found: list[list[float]] = (seen @ F.normalize(embeds).T - thresholds).float().cpu().double().tolist()
    return found


def names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors under the module's names: published ones say ``vision_model`` twice."""
    kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(".position_ids")}
    return {re.sub(r"^vision_model\.vision_model\.", "vision_model.", name): tensor for name, tensor in kept.items()}
