"""``kid``: the Kernel Inception Distance of two sets of pictures (Binkowski et al. 2018, arXiv:1801.01401).

Like FID on Inception's features, but unbiased, so that it may be used with hundreds of pictures too.
"""

from __future__ import annotations

from typing import ClassVar

from limner.evaluate.inception_features import FOLDER, InceptionFeatures
from limner.evaluate.kernel_distance import kid
from limner.evaluate.metric import MetricCard
from limner.evaluate.set_distance import Features, InceptionDistance


class Kid(InceptionDistance):
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

    enough: ClassVar[int] = 100

    def distance(self, ours: Features, theirs: Features) -> float:
        return kid(ours, theirs)
