"""``cmmd``: the distance of two sets of pictures in CLIP's embeddings (Jayasumana et al. 2024, arXiv:2401.09603)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from limner.canonical import tagged
from limner.errors import InvalidRequest
from limner.evaluate.kernel_distance import cmmd
from limner.evaluate.metric import Embedding, Embeddings, MetricCard
from limner.evaluate.model_free import checked
from limner.evaluate.set_distance import few
from limner.evaluate.towers import ClipMetric
from limner.models.packages import CLIP_WORDS, File, Package
from limner.types import Pixels, Score

if TYPE_CHECKING:
    from torch import Tensor

L336 = ("openai/clip-vit-large-patch14-336", "ce19dc912ca5cd21c8a653c79e251e808ccabcd1")
PREPARED = "squeezed-bicubic"
FEW = 1000


class Cmmd(ClipMetric):
    """CLIP's maximum mean discrepancy to a reference set, on ViT-L/14 at 336 pixels."""

    package: ClassVar[Package] = Package(
        "cmmd",
        (File(*L336, "pytorch_model.bin", "model.safetensors"), File(*L336, "config.json", "config.json"), *CLIP_WORDS),
    )
    card: ClassVar[MetricCard] = MetricCard(
        name="cmmd",
        title="CLIP maximum mean discrepancy",
        revision=f"1:{L336[1][:10]}",
        takes="set",
        scale="1,000 times the squared discrepancy, 0 to 40",
        better="lower",
        source="Jayasumana et al. 2024, arXiv:2401.09603; preprocessing of cmmd-pytorch",
        backbone="CLIP ViT-L/14-336 (OpenAI)",
        training_data=("OpenAI's WIT, 400 million pairs",),
        licence="MIT",
        restrictions="model-level: a thousand pictures a side or more",
        repo=L336[0],
        commit=L336[1],
        size_bytes=1_711_974_081,
        memory_bytes=2_000_000_000,
    )

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """The distance of ``images`` to ``reference``. Fewer than 1,000 a side are flagged.

        Raises ``InvalidRequest`` for fewer than two on either side, ``ModelNotFound``, ``CorruptFile``.
        """
        if len(images) < 2 or len(reference) < 2:
            raise InvalidRequest(
                f"{len(images)} pictures against {len(reference)} of a reference give no distance",
                hint="give two or more of each; a thousand for figures that can be compared",
            )
        value = cmmd(self.embed(images, cache), self.embed(reference, cache))
        return self.scores([value], [""], [few(len(images), len(reference), FEW)])[0]

    def embed(self, images: Sequence[Pixels], cache: Embeddings) -> list[Embedding]:
        """Unit vectors [768] of pictures, each computed once a cache. Raises as ``measure``."""
        import torch

        tower = self.tower()
        side, found = tower.net.config.vision.image_size, list[Embedding]()
        for image in images:
            key = f"{tower.key}/{PREPARED}/{tagged(repr(checked(image).shape).encode() + image.tobytes())}"
            known = cache.get(key)
            if known is None:
                with torch.inference_mode():
                    x = shown(image, side).to(tower.device, getattr(torch, tower.dtype))
                    known = tower.net.pictures(x)[0].float().cpu().numpy()
                cache.put(key, known)
            found.append(known)
        return found


def shown(pixels: Pixels, side: int) -> Tensor:
    """A picture as [1, 3, side, side], squeezed to a square as floats (bicubic, not antialiased), then normalised."""
    import torch
    import torch.nn.functional as F

    from limner.evaluate.towers_pixels import MEAN, STD

    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    x = F.interpolate(x, (side, side), mode="bicubic", align_corners=False)
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    return (x - mean) / std
