"""Pictures as published scorers see them: resized, cropped or padded, normalised, exactly as their authors did.

Resizing is Pillow's (bicubic, antialiased) on 8-bit pictures where the authors' was; that of HPSv2 works on floats and
is torch's own. A pixel's difference in the crop moves a score, so each way is spelled out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from limner.types import Pixels

MEAN = (0.48145466, 0.4578275, 0.40821073)  # of CLIP's training pictures (Radford et al. 2021), and those built on it
STD = (0.26862954, 0.26130258, 0.27577711)
LONGEST = 40  # times the short side: beyond, resizing the short side to 224 would make a picture of gigabytes

Floats: TypeAlias = "NDArray[np.float32]"
Prepare: TypeAlias = "Callable[[Pixels, int], Tensor]"
"""Pixels [H, W, 3] and the network's side S to a normalised float32 picture [3, S, S]."""


def checked(pixels: Pixels) -> Pixels:
    """The same pixels. Raises ``InvalidRequest`` where they are not 8-bit RGB [H, W, 3], or far too narrow."""
    shape: tuple[int, ...] = tuple(getattr(pixels, "shape", ()))
    kind = getattr(pixels, "dtype", None)
    if len(shape) != 3 or shape[2] != 3 or kind != np.uint8 or not min(shape):
        raise InvalidRequest(
            f"a picture is {kind} {list(shape)}", hint="scorers take 8-bit RGB: uint8 [height, width, 3]"
        )
    if max(shape[:2]) > LONGEST * min(shape[:2]):
        raise InvalidRequest(
            f"a picture of {shape[1]}x{shape[0]} is too narrow to be scored", hint="crop it to what matters"
        )
    return pixels


def torchvision_crop(pixels: Pixels, side: int) -> Tensor:
    """Short side to ``side``, centre crop that rounds halves to even: CLIP's own code, LAION's and ImageReward's."""
    return _cropped(pixels, side, lambda extra: round(extra / 2))


def processor_crop(pixels: Pixels, side: int) -> Tensor:
    """The same with a crop that rounds down: transformers' image processor, which PickScore is used with."""
    return _cropped(pixels, side, lambda extra: extra // 2)


def padded(pixels: Pixels, side: int) -> Tensor:
    """Longest side to ``side`` and black around, resized as floats: HPSv2 (Wu et al. 2023, arXiv:2306.09341)."""
    height, width = checked(pixels).shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    x = _channels_first(pixels)
    if scale != 1:
        x = F.interpolate(x[None], size, mode="bicubic", align_corners=False, antialias=True)[0]
    down, right = side - size[0], side - size[1]
    return _normalised(F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2)))


PREPARE: Mapping[str, Prepare] = {
    "torchvision-crop": torchvision_crop,
    "processor-crop": processor_crop,
    "longest-padded": padded,
}


def _cropped(pixels: Pixels, side: int, half: Callable[[int], int]) -> Tensor:
    height, width = checked(pixels).shape[:2]
    short = min(height, width)
    size = (int(side * width / short), int(side * height / short))
    picture = Image.fromarray(pixels)
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = half(size[0] - side), half(size[1] - side)
    return _normalised(_channels_first(np.asarray(picture.crop((left, top, left + side, top + side)))))


def _channels_first(pixels: Pixels) -> Tensor:
    floats: Floats = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    return torch.from_numpy(floats / np.float32(255))


def _normalised(x: Tensor) -> Tensor:
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
