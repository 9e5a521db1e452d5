"""What the frozen parts make of the data, once: latents of the pictures, states of the words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from limner.errors import NonFinite
from limner.models.nets.autoencoder import Autoencoder
from limner.models.nets.clip import ClipText
from limner.tune.base import TEXT_2, VAE, Base

AT_ONCE = 4 * 256 * 256
"""Pixels that the autoencoder encodes at a time, one picture at least: beyond that it grows no quicker, and its work
would take more memory than training itself."""
LOST = 0.35
"""A share of a picture beyond which cutting it to a square is said."""


@dataclass(frozen=True)
class Latents:
    """``mean`` and ``spread`` [N, C, h, w], scaled, float32 on the CPU; ``numbers`` [N, 6]: XL's original size, crop
    and target size, in pixels as (height, width), (top, left), (height, width)."""

    mean: Tensor
    spread: Tensor
    numbers: Tensor
    notices: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.mean)

    def sample(self, rows: Tensor, noise: Tensor) -> Tensor:
        """The encoder's own spread drawn anew: [len(rows), C, h, w]."""
        return self.mean[rows] + self.spread[rows] * noise


def read_square(path: Path, side: int) -> tuple[Tensor, tuple[float, ...], float]:
    """A picture's middle [3, side, side] in -1..1, XL's numbers of it, and the share that was cut away. See-through
    parts lie on white."""
    with Image.open(path) as opened:
        turned = ImageOps.exif_transpose(opened)
        if turned.mode.startswith("I"):  # 16 bits of grey, which PIL would cut off at 255
            turned = Image.fromarray(
                (np.asarray(turned).astype(np.float32) / 257).round().clip(0, 255).astype(np.uint8)
            )
        if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
            turned = turned.convert("RGBA")
            ground = Image.new("RGBA", turned.size, (255, 255, 255, 255))
            turned = Image.alpha_composite(ground, turned)
        picture = turned.convert("RGB")
    width, height = picture.size
    scale = side / min(width, height)
    grown = (max(side, round(width * scale)), max(side, round(height * scale)))
    left, top = (grown[0] - side) // 2, (grown[1] - side) // 2
    cut = picture.resize(grown, Image.Resampling.LANCZOS).crop((left, top, left + side, top + side))
    pixels = torch.from_numpy(np.asarray(cut, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
    numbers = (float(height), float(width), float(top), float(left), float(side), float(side))
    return pixels, numbers, 1 - side * side / (grown[0] * grown[1])


@torch.no_grad()
def latents_of(paths: Sequence[Path], base: Base, side: int, *, device: str, flip: bool = False) -> Latents:
    """Encode every picture in float32 (with ``flip`` each one's mirror image after all of them). Raises ``NonFinite``,
    ``ModelError``."""
    vae = base.load(VAE, device, "float32")
    assert isinstance(vae, Autoencoder)
    config = vae.config
    squares = [read_square(path, side) for path in paths]
    pixels = [each[0] for each in squares]
    numbers = [each[1] for each in squares]
    if flip:
        pixels, numbers = [*pixels, *(each.flip(-1) for each in pixels)], [*numbers, *numbers]
    means, spreads = [], []
    together = max(1, AT_ONCE // side**2)
    for start in range(0, len(pixels), together):
        mean, logvar = vae.encode(torch.stack(pixels[start : start + together]).to(device))
        means.append(((mean - config.shift_factor) * config.scaling_factor).cpu())
        spreads.append(((0.5 * logvar).exp() * config.scaling_factor).cpu())
    made = Latents(torch.cat(means), torch.cat(spreads), torch.tensor(numbers), tuple(_cut(paths, squares, side)))
    if not bool(made.mean.isfinite().all()):
        raise NonFinite(
            "the autoencoder answered NaN for a picture", hint="limner models check says whether it is whole"
        )
    return made


def _cut(paths: Sequence[Path], squares: Sequence[tuple[Tensor, tuple[float, ...], float]], side: int) -> Iterable[str]:
    far = [path.name for path, (_, _, share) in zip(paths, squares, strict=True) if share > LOST]
    if far:
        lose = "picture loses over a third of itself" if len(far) == 1 else "pictures lose over a third of themselves"
        yield f"{len(far)} {lose} to the square that is cut out, such as {far[0]}"
    small = [path.name for path, (_, n, _) in zip(paths, squares, strict=True) if min(n[0], n[1]) < side]
    if small:
        are = (
            "picture is smaller than {0} pixels and is"
            if len(small) == 1
            else "pictures are smaller than {0} pixels and are"
        )
        yield f"{len(small)} {are.format(side)} enlarged, such as {small[0]}"


@dataclass(frozen=True)
class Said:
    """Words as the network reads them: states [N, L, D] and for XL the pooled text [N, P]."""

    states: Tensor
    pooled: Tensor | None = None

    def rows(self, rows: Tensor) -> Said:
        return Said(self.states[rows], None if self.pooled is None else self.pooled[rows])


@dataclass(frozen=True)
class Tokens:
    """Ids [N, L] for each encoder; ``cut`` texts were longer than it reads."""

    by_part: dict[str, Tensor]
    cut: int

    @classmethod
    def of(cls, texts: Sequence[str], base: Base) -> Tokens:
        found = {part: base.ids(texts, part) for part in base.encoders}
        return cls({part: torch.tensor(ids) for part, (ids, _) in found.items()}, max(cut for _, cut in found.values()))

    def rows(self, rows: Tensor) -> dict[str, Tensor]:
        return {part: ids[rows] for part, ids in self.by_part.items()}


def read_words(ids: dict[str, Tensor], encoders: dict[str, ClipText], base: Base) -> Said:
    """Through the encoders, as drawing reads them: SD after the last layer and its norm, XL after the last but one."""
    states, pooled = [], None
    for part, encoder in encoders.items():
        device = encoder.embeddings.token_embedding.weight.device
        if part == TEXT_2:
            one, pooled = encoder.both(ids[part].to(device), base.skip, norm=not base.xl)
        else:
            one = encoder(ids[part].to(device), base.skip, norm=not base.xl)
        states.append(one)
    return Said(torch.cat(states, dim=-1), pooled)
