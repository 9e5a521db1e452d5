"""CLIPScore (Hessel et al. 2021, arXiv:2104.08718): how near a picture is to its text for CLIP.

``2.5 * max(cos, 0)`` of the picture and of "A photo depicts " before the text, as published. torchmetrics' function of
the same name is another number: ``100 * max(cos, 0)``, without these words, and by default on L/14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.towers import ClipMetric
from limner.models.packages import CLIP_WORDS, File, Package

if TYPE_CHECKING:
    from limner.types import Pixels, Score

PREFIX = "A photo depicts "
WEIGHT = 2.5
B32 = ("openai/clip-vit-base-patch32", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")
L14 = ("openai/clip-vit-large-patch14", "32bd64288804d66eefd0ccbe215aa642df71cc41")
SCALE = "2.5 * max(cos, 0): 0 to 2.5, about 0.5 to 0.9 in use"
SOURCE = "Hessel et al. 2021, arXiv:2104.08718"
TRAINED = ("OpenAI's WIT, 400 million pairs",)
L14_FILES = (
    File(*L14, "model.safetensors", "model.safetensors"),
    File(*L14, "config.json", "config.json"),
    *CLIP_WORDS,
)


class ClipScore(ClipMetric):
    """The formula, on any CLIP."""

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``. A text over 77 tokens, prefix and marks included, is read up to there and flagged."""
        self.asked(images, texts)  # of the words alone, before the prefix makes something of nothing
        near, flags = self.compared(images, [PREFIX + text for text in texts], cache)
        return self.scores((WEIGHT * np.maximum(near, 0)).tolist(), texts, flags)


class ClipB32(ClipScore):
    """With ViT-B/32, as published."""

    package: ClassVar[Package] = Package(
        "clip-b32",
        (File(*B32, "pytorch_model.bin", "model.safetensors"), File(*B32, "config.json", "config.json"), *CLIP_WORDS),
    )
    card: ClassVar[MetricCard] = MetricCard(
        name="clip-b32",
        title="CLIPScore, ViT-B/32",
        revision=f"1:{B32[1][:10]}",
        takes="picture and text",
        scale=SCALE,
        source=SOURCE,
        backbone="CLIP ViT-B/32 (OpenAI)",
        training_data=TRAINED,
        token_limit=77,
        within_one_text=True,
        licence="MIT",
        repo=B32[0],
        commit=B32[1],
        size_bytes=607_000_000,
        memory_bytes=900_000_000,
    )


class ClipL14(ClipScore):
    """With ViT-L/14, shared with the aesthetic score."""

    package: ClassVar[Package] = Package("clip-l14", L14_FILES)
    card: ClassVar[MetricCard] = MetricCard(
        name="clip-l14",
        title="CLIPScore's formula on ViT-L/14",
        revision=f"1:{L14[1][:10]}",
        takes="picture and text",
        scale=SCALE,
        source=SOURCE,
        backbone="CLIP ViT-L/14 (OpenAI)",
        training_data=TRAINED,
        token_limit=77,
        within_one_text=True,
        licence="MIT",
        repo=L14[0],
        commit=L14[1],
        size_bytes=1_712_000_000,
        memory_bytes=2_300_000_000,
    )
