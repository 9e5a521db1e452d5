"""``lpips``: a learnt distance of pictures (Zhang et al. 2018, arXiv:1801.03924), as the diversity of a set.

Without a reference it is the mean over all pairs of the set: the more, the more the pictures differ. With one it is the
mean distance of each picture to its own of the reference: 0 where they are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.errors import InvalidRequest
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.model_free import checked
from limner.evaluate.weights_given import Given, Published
from limner.types import Pixels, Score

if TYPE_CHECKING:
    from torch import Tensor

    from limner.evaluate.nets.lpips import AlexFeatures, Channels

MOST = 64  # pictures; their features stay in memory together, some 10 MB each at 512x512
ALEX = Published(
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", "alexnet.safetensors", begins="7be5be79"
)
CHANNELS = Published(
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/alex.pth",
    "channels.safetensors",
)


class Lpips:
    """LPIPS v0.1 on AlexNet. ``folder``: other weights than those the user fetched."""

    card: ClassVar[MetricCard] = MetricCard(
        name="lpips",
        title="LPIPS (AlexNet, v0.1)",
        revision="1",
        takes="set",
        scale="mean distance of pictures, 0 to infinity; about 0.3 to 0.8 between unlike ones",
        source="Zhang et al. 2018, arXiv:1801.03924; weights of torchvision and of the authors' package",
        backbone="AlexNet (torchvision)",
        training_data=("ImageNet", "BAPPS"),
        licence="BSD-2-Clause, BSD-3-Clause",
        restrictions="pictures of one size, 32x32 or more",
        asset="lpips",
        size_bytes=244_400_000,
        memory_bytes=20 * 2**20,
    )

    def __init__(self, folder: Path | None = None) -> None:
        self._files = Given("lpips", (ALEX, CHANNELS), folder)

    def missing(self) -> str | None:
        """What fetches and converts the weights, where they are not there."""
        return self._files.missing()

    def measure(self, images: Sequence[Pixels], reference: Sequence[Pixels], cache: Embeddings) -> Score:
        """The mean distance within ``images``, or of each to the one of ``reference`` at its place.

        Raises ``InvalidRequest`` for sizes that differ, too few or too many pictures, or a reference that is not as
        long; ``ModelNotFound``, ``CorruptFile``, ``UnsafeFile``, ``MismatchedWeights``.
        """
        _check(images, reference)
        ours = [self._seen(image) for image in images]
        theirs = [self._seen(image) for image in reference]
        pairs = list(zip(ours, theirs, strict=True)) if theirs else list(combinations(ours, 2))
        from limner.evaluate.nets.lpips import distance

        weights, card = self._channels.weights(), self.card
        value = sum(float(distance(a, b, weights)) for a, b in pairs) / len(pairs)
        return Score(scorer=card.name, revision=card.revision, value=value, scale=card.scale, domain=card.domain)

    def _seen(self, pixels: Pixels) -> list[Tensor]:
        import torch

        from limner.evaluate.nets.lpips import directions, shown

        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            return directions(self._net(shown(x)))

    @cached_property
    def _net(self) -> AlexFeatures:
        import torch

        from limner.evaluate.nets.lpips import AlexFeatures, alex_names
        from limner.models.whole import read_into

        return read_into(AlexFeatures, self._files.path(ALEX.saved), alex_names, torch.device("cpu"))

    @cached_property
    def _channels(self) -> Channels:
        import torch

        from limner.evaluate.nets.lpips import Channels
        from limner.models.whole import read_into

        return read_into(Channels, self._files.path(CHANNELS.saved), lambda found: found, torch.device("cpu"))


def _check(images: Sequence[Pixels], reference: Sequence[Pixels]) -> None:
    if reference and len(reference) != len(images):
        raise InvalidRequest(f"{len(images)} pictures against {len(reference)}", hint="give as many of the reference")
    if len(images) < (1 if reference else 2) or len(images) > MOST:
        raise InvalidRequest(f"lpips of {len(images)} pictures", hint=f"give 2 to {MOST}; for larger sets use vendi")
    sizes = {checked(image).shape[:2] for image in (*images, *reference)}
    if len(sizes) > 1:
        raise InvalidRequest("lpips compares pictures of one size only", hint="scale them alike first")
    if min(min(sizes)) < 32:
        raise InvalidRequest("lpips needs pictures of 32x32 or more", hint="enlarge them first")
