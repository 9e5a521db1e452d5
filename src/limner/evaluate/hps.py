"""HPSv2.1 (Wu et al. 2023, arXiv:2306.09341): human preference between pictures of one prompt.

The cosine of a CLIP H/14 taught with HPDv2's choices; published tables give it times 100. It judges looks more than
agreement with the words: on EvalMuse and GenAI-Bench it follows people's judgement of alignment less than plain CLIP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.pick_score import BACKBONE
from limner.evaluate.towers import ClipMetric
from limner.models.packages import CLIP_WORDS, File, Package

if TYPE_CHECKING:
    from limner.types import Pixels, Score

HPS = ("xswu/HPSv2", "697403c78157020a1ae59d23f111aa58ced35b0a")
H14: Mapping[str, object] = {
    "projection_dim": 1024,
    "text_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "hidden_act": "gelu",
    },
    "vision_config": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
        "hidden_act": "gelu",
    },
}
"""ViT-H/14 of LAION, whose files in open_clip's layout bring no config."""


class Hps(ClipMetric):
    """The whole picture, shrunk to fit and padded with black, resized as floats: as published."""

    prepare: ClassVar[str] = "longest-padded"
    config: ClassVar[Mapping[str, object]] = H14
    package: ClassVar[Package] = Package(
        "hps", (File(*HPS, "HPS_v2.1_compressed.pt", "model.safetensors"), *CLIP_WORDS), optional=("config.json",)
    )
    card: ClassVar[MetricCard] = MetricCard(
        name="hps",
        title="Human Preference Score v2.1",
        revision=f"1:{HPS[1][:10]}",
        takes="picture and text",
        scale="cos, about 0.2 to 0.35; published tables give it times 100",
        source="Wu et al. 2023, arXiv:2306.09341",
        backbone=BACKBONE,
        training_data=("LAION-2B", "HPDv2"),
        token_limit=77,
        within_one_text=True,
        licence="Apache-2.0",
        repo=HPS[0],
        commit=HPS[1],
        size_bytes=1_974_000_000,
        memory_bytes=4_600_000_000,
    )

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``. A text over 77 tokens is read up to there, as published, and flagged."""
        near, flags = self.compared(images, texts, cache)
        return self.scores(near.tolist(), texts, flags)
