"""``kid``: the Kernel Inception Distance of two sets of pictures (Binkowski et al. 2018, arXiv:1801.01401).

Like FID on Inception's features, but unbiased, so that it may be used with hundreds of pictures too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from limner.evaluate.frechet import few, two_sets
from limner.evaluate.inception_features import FOLDER, InceptionFeatures
from limner.evaluate.kernel_distance import kid
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.vendi import Embedder
from limner.types import Pixels, Score

FEW = 100


class Kid:
    """The Kernel Inception Distance to a reference set. ``embedder`` or ``folder``: other features or weights."""

    card: ClassVar[MetricCard] = MetricCard(
        name="kid",
        title="Kernel Inception Distance",
        revision=f"1-{InceptionFeatures.name}",
        takes="set",
        scale="squared discrepancy without bias, -infinity to infinity; about 0 for sets that do not differ",
        better="lower",
        source="Binkowski et al. 2018, arXiv:1801.01401; weights pt_inception-2015-12-05 of pytorch-fid",
        backbone="Inception v3 (2015-12-05)",
        training_data=("ImageNet",),
        restrictions="model-level: hundreds of pictures a side",
        asset=FOLDER,
        size_bytes=95_628_359,
        memory_bytes=250 * 2**20,
    )

    def __init__(self, folder: Path | None = None, *, embedder: Embedder | None = None) -> None:
        self._embedder = embedder or InceptionFeatures(folder)

    def missing(self) -> str | None:
        """The command that fetches what the features lack."""
        return self._embedder.missing()

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """The distance of ``images`` to ``reference``. Fewer than 100 a side are flagged.

        Raises ``InvalidRequest`` for fewer than two on either side, and as its features do.
        """
        ours, theirs = two_sets(self._embedder, images, reference, cache)
        card = self.card
        return Score(
            scorer=card.name,
            revision=f"1-{self._embedder.name}",
            value=kid(ours, theirs),
            scale=card.scale,
            domain=card.domain,
            flags=few(len(images), len(reference), FEW),
        )
