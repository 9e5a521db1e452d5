"""Contact sheets: many pictures in one file, to look at."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

LOOK = (
    "a red fox in the snow",
    "a cat to the left of a dog",
    "three blue fish underwater",
    "an astronaut riding a horse",
    "a tiny house on a beach at sunset",
    "a green dragon above a castle, night",
    "a penguin",
    "a yellow owl in the forest",
    "a lion in the desert",
    "two pink butterflies",
    "a frog on a purple background",
    "a robot in space",
)
"""What every model that draws is looked at with while it learns."""


def sheet(pictures: Tensor, path: Path, columns: int = 6) -> None:
    """``pictures`` [N, 3, H, W] in [-1, 1], row by row; the rest of the last row is white."""
    n, _, h, w = pictures.shape
    page = torch.ones(3, -(-n // columns) * h, columns * w)
    for k, picture in enumerate(pictures.cpu()):
        r, c = divmod(k, columns)
        page[:, r * h : (r + 1) * h, c * w : (c + 1) * w] = picture
    array = ((page + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path)
