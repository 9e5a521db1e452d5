"""LAION's aesthetic score (Schuhmann 2022, improved-aesthetic-predictor, "sac+logos+ava1-l14-linearMSE").

Five linear layers with nothing between them over CLIP L/14's unit embedding: one affine map, which is what runs here.
That it is the same as the five is checked whenever the weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from limner.errors import CorruptFile, MismatchedWeights
from limner.evaluate.clip_score import L14, L14_FILES, TRAINED
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.towers import ClipMetric
from limner.models.inspect import read_header
from limner.models.packages import File, Package

if TYPE_CHECKING:
    from limner.types import Pixels, Score

# The author publishes the head as a pickle in a git repository; a copy on the hub is pinned by the original's hash.
HEAD = "21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0"
LAYERS = (0, 2, 4, 6, 7)
TOLERANCE = 1e-3  # of a score of 1 to 10, between the map and the layers in float32

Doubles = NDArray[np.float64]


class Affine:
    """``x @ weight + bias``: the head's layers in one. ``x`` are unit embeddings [N, D], the answer is [N]."""

    def __init__(self, layers: Sequence[tuple[Doubles, Doubles]]) -> None:
        self.layers = layers
        weight, bias = layers[0]
        for w, b in layers[1:]:
            weight, bias = w @ weight, w @ bias + b
        self.weight, self.bias = weight[0], float(bias[0])

    @classmethod
    def read(cls, path: Path) -> Affine:
        """Raises ``CorruptFile``, ``MismatchedWeights``."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        read_header(path)
        try:
            tensors: Mapping[str, NDArray[np.float32]] = load_file(path)
            pairs = [(tensors[f"layers.{k}.weight"], tensors[f"layers.{k}.bias"]) for k in LAYERS]
            made = cls([(w.astype(np.float64), b.astype(np.float64)) for w, b in pairs])
            off = made.difference()
        except (SafetensorError, OSError) as error:
            raise CorruptFile(f"{path} cannot be read: {error}", hint="delete it and fetch it again") from error
        except (KeyError, ValueError) as error:
            raise MismatchedWeights(f"{path.name} is not LAION's head: {error}", hint="fetch it again") from error
        if not off <= TOLERANCE:
            raise CorruptFile(f"{path.name}: its layers and their one map differ by {off:.2g}", hint="fetch it again")
        return made

    def __call__(self, x: NDArray[np.float32]) -> Doubles:
        found: Doubles = x.astype(np.float64) @ self.weight + self.bias
        return found

    def published(self, x: NDArray[np.float32]) -> Doubles:
        """The layers one after the other in float32, as published."""
        for w, b in self.layers:
            x = x @ w.T.astype(np.float32) + b.astype(np.float32)
        found: Doubles = x[:, 0].astype(np.float64)
        return found

    def difference(self) -> float:
        """How far map and layers are apart at most, over 64 random unit embeddings."""
        x = np.random.default_rng(0).standard_normal((64, len(self.weight))).astype(np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return float(np.abs(self(x) - self.published(x)).max())


class Aesthetic(ClipMetric):
    """How much people would like a picture's looks, whatever it shows."""

    package: ClassVar[Package] = Package(
        "aesthetic",
        (
            *L14_FILES,
            File(
                "birder-project/aesthetic-predictor",
                "main",
                "openai-clip_aesthetic-predictor.pt",
                "head.safetensors",
                HEAD,
            ),
        ),
    )
    card: ClassVar[MetricCard] = MetricCard(
        name="aesthetic",
        title="LAION's aesthetic score v2",
        revision=f"1:{L14[1][:10]}+{HEAD[:10]}",
        takes="picture",
        scale="1 to 10, about 4.5 to 7 in use",
        source="Schuhmann 2022, improved-aesthetic-predictor; Schuhmann et al. 2022, arXiv:2210.08402",
        backbone="CLIP ViT-L/14 (OpenAI)",
        training_data=(*TRAINED, "AVA", "LAION-Logos", "Simulacra Aesthetic Captions"),
        licence="Apache-2.0",
        repo=L14[0],
        commit=L14[1],
        size_bytes=1_716_000_000,
        memory_bytes=2_300_000_000,
    )
    _head: Affine | None = None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``; texts do not matter."""
        if self._head is None:
            self._head = Affine.read(self.files()["head.safetensors"])
        values = self._head(self.tower().images(images, cache, self.prepare))
        return self.scores(values.tolist(), texts)
