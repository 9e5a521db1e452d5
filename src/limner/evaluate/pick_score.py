"""PickScore (Kirstain et al. 2023, arXiv:2305.01569): which of several pictures of one prompt people would pick.

``exp(logit_scale) * cos`` on a CLIP H/14 taught with Pick-a-Pic's choices. The softmax over pictures of one prompt is
the probability of being picked; a value alone means little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.towers import ClipMetric
from limner.models.packages import CLIP_WORDS, File, Package

if TYPE_CHECKING:
    from limner.types import Pixels, Score

PICKSCORE = ("yuvalkirstain/PickScore_v1", "a4e4367c6dfa7288a00c550414478f865b875800")
BACKBONE = "CLIP ViT-H/14 (LAION-2B)"


class PickScore(ClipMetric):
    """As its authors use it: through transformers' processor of CLIP, whose crop rounds down."""

    prepare: ClassVar[str] = "processor-crop"
    mend: ClassVar[bool] = False
    package: ClassVar[Package] = Package(
        "pickscore",
        (
            File(*PICKSCORE, "model.safetensors", "model.safetensors"),
            File(*PICKSCORE, "config.json", "config.json"),
            *CLIP_WORDS,
        ),
    )
    card: ClassVar[MetricCard] = MetricCard(
        name="pickscore",
        title="PickScore v1",
        revision=f"1:{PICKSCORE[1][:10]}",
        takes="picture and text",
        scale="exp(logit_scale) * cos, about 18 to 24; differences within one text matter",
        source="Kirstain et al. 2023, arXiv:2305.01569",
        backbone=BACKBONE,
        training_data=("LAION-2B", "Pick-a-Pic v1"),
        token_limit=77,
        within_one_text=True,
        licence="MIT",
        repo=PICKSCORE[0],
        commit=PICKSCORE[1],
        size_bytes=3_946_000_000,
        memory_bytes=4_600_000_000,
    )

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``. A text over 77 tokens is read up to there, as published, and flagged."""
        near, flags = self.compared(images, texts, cache)
        return self.scores((self.tower().scale * near).tolist(), texts, flags)
