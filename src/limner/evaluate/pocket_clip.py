"""``pocket-clip``: how well a picture of the pocket models fits words, as the cosine of two embeddings.

A small CLIP (Radford et al. 2021, arXiv:2103.00020) that ships with Limner, trained on renders of the pocket world.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.canonical import tagged
from limner.evaluate.metric import Embedding, Embeddings, MetricCard
from limner.evaluate.pocket_files import WORLD, Folder, as_many, facts, shown
from limner.types import Pixels, Score

if TYPE_CHECKING:
    from torch import Tensor

    from limner.models.nets.clip_vision import Clip

NAME = "pocket-clip"
LENGTH = 32  # tokens, the two marks included
_HERE = facts(Folder.of(NAME, None).path)


class PocketClip:
    """The search scorer of pocket pictures. ``folder``: other weights than those that ship."""

    card: ClassVar[MetricCard] = MetricCard(
        name=NAME,
        title="Pocket CLIP",
        revision=_HERE.revision,
        takes="picture and text",
        scale="cosine, -1 to 1",
        source="Limner's own training on renders of the pocket world; after Radford et al. 2021, arXiv:2103.00020",
        backbone="pocket-clip's two transformers",
        training_data=("renders captioned by the caption grammar",),
        domain=WORLD,
        token_limit=LENGTH - 2,
        restrictions="pictures of the built-in models only; trained on the same renderer as pocket-judge",
        asset="pocket_clip",
        size_bytes=_HERE.size_bytes,
        memory_bytes=60 * 2**20,
        verified=_HERE.verified,
    )

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = Folder.of(NAME, folder)
        if folder is not None:  # other weights are another scorer, that no cache may confuse with this
            self.__dict__["card"] = type(self).card.model_copy(update=facts(folder)._asdict())

    def missing(self) -> str | None:
        """The command that makes its weights, where they are not there."""
        return self._folder.missing()

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> list[Score]:
        """The cosine of each picture with its text. Words beyond the 30th, and words it was never taught, are flagged.

        Raises ``InvalidRequest``, ``ModelNotFound``, ``CorruptFile``, ``MismatchedWeights``.
        """
        as_many(images, texts)
        seen = self.embed(images, cache)
        read = [self._read(text, cache) for text in texts]
        return [
            Score(
                scorer=NAME,
                revision=self.card.revision,
                value=float(a @ b),
                scale=self.card.scale,
                domain=WORLD,
                text=tagged(text.encode()),
                flags=flags,
            )
            for a, (b, flags), text in zip(seen, read, texts, strict=True)
        ]

    def embed(self, images: Sequence[Pixels], cache: Embeddings) -> list[Embedding]:
        """Unit vectors [128] of pictures, float32, each computed once a cache. Raises as ``score``."""
        import torch

        found: list[Embedding] = []
        for image in images:
            key = f"{NAME}/{self.card.revision}/{tagged(repr(image.shape).encode() + image.tobytes())}"
            known = cache.get(key)
            if known is None:
                # One by one: a picture's embedding does not depend on its neighbours, to the bit.
                with torch.inference_mode():
                    known = self._net.pictures(self._sized(shown([image])))[0].numpy()
                cache.put(key, known)
            found.append(known)
        return found

    def _sized(self, pictures: Tensor) -> Tensor:
        """Pictures averaged down to the side that the weights were taught at."""
        import torch.nn.functional as F

        by = pictures.shape[-1] // self._net.config.vision.image_size
        return F.avg_pool2d(pictures, by) if by > 1 else pictures

    def _read(self, text: str, cache: Embeddings) -> tuple[Embedding, tuple[str, ...]]:
        import torch

        tokens = self._folder.tokens(text, LENGTH)
        key = f"{NAME}/{self.card.revision}/text/{tagged(repr(tokens.ids).encode())}"
        known = cache.get(key)
        if known is None:
            with torch.inference_mode():
                known = self._net.texts(torch.tensor([tokens.ids]))[0].numpy()
            cache.put(key, known)
        return known, tokens.flags

    @cached_property
    def _net(self) -> Clip:
        import torch

        from limner.models.nets.clip_vision import Clip, ClipConfig
        from limner.models.weights import load_into

        config = ClipConfig.from_json(self._folder.config)
        return load_into(lambda: Clip(config), [self._folder.weights], NAME, torch.float32, torch.device("cpu"))
