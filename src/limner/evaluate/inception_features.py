"""Pictures as vectors of Inception v3, which FID and KID are defined on, shown to it as TensorFlow 1 showed them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from limner.canonical import tagged
from limner.evaluate.metric import Embedding, Embeddings
from limner.evaluate.model_free import checked
from limner.evaluate.weights_given import Given, Published
from limner.types import Pixels

if TYPE_CHECKING:
    from torch import Tensor

    from limner.evaluate.nets.inception import Inception

FOLDER = "inception"
WEIGHTS = Published(
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "inception.safetensors",
    "6726825d",
)


class InceptionFeatures:
    """Vectors [2048] after the last pooling. ``folder``: other weights than those the user fetched."""

    name = "inception-2015-12-05"

    def __init__(self, folder: Path | None = None) -> None:
        self._files = Given(FOLDER, (WEIGHTS,), folder)

    def missing(self) -> str | None:
        """What fetches and converts the weights, where they are not there."""
        return self._files.missing()

    def embed(self, images: Sequence[Pixels], cache: Embeddings) -> list[Embedding]:
        """One a picture, computed once a cache. Raises ``InvalidRequest``, ``ModelNotFound``, ``CorruptFile``,
        ``UnsafeFile``, ``MismatchedWeights``."""
        import torch

        found: list[Embedding] = []
        for image in images:
            key = f"{self._key}/{tagged(repr(checked(image).shape).encode() + image.tobytes())}"
            known = cache.get(key)
            if known is None:
                with torch.inference_mode():
                    known = self._net(shown(image))[0].numpy()
                cache.put(key, known)
            found.append(known)
        return found

    @cached_property
    def _key(self) -> str:
        path = self._files.path(WEIGHTS.saved)
        stat = path.stat()
        return f"{self.name}/{tagged(f'{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}'.encode())[7:23]}"

    @cached_property
    def _net(self) -> Inception:
        import torch

        from limner.evaluate.nets.inception import Inception, names
        from limner.models.whole import read_into

        return read_into(Inception, self._files.path(WEIGHTS.saved), names, torch.device("cpu"))


def shown(pixels: Pixels) -> Tensor:
    """A picture [H, W, 3] as [1, 3, 299, 299] in [-1, 1): interpolated between the four nearest pixels, whose corners
    and not centres are aligned, as TensorFlow 1 resized; then (x - 128) / 128."""
    import torch

    from limner.evaluate.nets.inception import SIDE

    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()
    for axis in (1, 2):
        length = x.shape[axis]
        at = torch.arange(SIDE, dtype=torch.float32) * (length / SIDE)
        low = at.floor().long().clamp(max=length - 1)
        share = (at - low).view(-1, *[1] * (2 - axis))
        x = x.index_select(axis, low).lerp(x.index_select(axis, (low + 1).clamp(max=length - 1)), share)
    return ((x - 128) / 128).unsqueeze(0)
