"""Checks that need no model: is the thing of this colour, and how many are there? For pictures on a plain ground."""

import torch
import torch.nn.functional as F
from torch import Tensor

from training.world import COLOURS

_FAR = 0.16  # RGB distance (of at most 1.73) from which a pixel isn't ground
_SPECK = 0.004  # smallest component, as a share of the picture


def foreground(pictures: Tensor) -> Tensor:
    """Where pictures [B, 3, H, W] in [-1, 1] differ from the ground, read off their left and right rim: [B, H, W]."""
    rgb = (pictures + 1) / 2
    rim = torch.cat([rgb[..., :3], rgb[..., -3:]], -1).median(-1, keepdim=True).values  # one colour a row
    return (rgb - rim).square().sum(1).sqrt() > _FAR


def colour_of(pictures: Tensor) -> list[str | None]:
    """The named colour most foreground pixels are nearest to; None when nothing stands out of the ground."""
    names = list(COLOURS)
    table = torch.tensor([COLOURS[n] for n in names], device=pictures.device) / 255
    found: list[str | None] = []
    for picture, mask in zip(pictures, foreground(pictures), strict=True):
        pixels = ((picture + 1) / 2).permute(1, 2, 0)[mask]
        if len(pixels) < _SPECK * mask.numel():
            found.append(None)
            continue
        nearest = torch.cdist(pixels.float(), table).argmin(1)
        found.append(names[int(nearest.bincount(minlength=len(names)).argmax())])
    return found


def components(pictures: Tensor) -> list[int]:
    """How many connected pieces the foreground has, specks and hairline gaps ignored."""
    mask = foreground(pictures).float().unsqueeze(1)
    mask = F.avg_pool2d(mask, 4).gt(0.3).float()
    n, _, h, w = mask.shape
    label = torch.arange(1, h * w + 1, device=mask.device, dtype=torch.float32).view(1, 1, h, w) * mask
    while True:  # every cell takes the highest number among its neighbours until none changes
        spread = F.max_pool2d(label, 3, 1, 1) * mask
        if torch.equal(spread, label):
            break
        label = spread
    counts = []
    for row in label.view(n, -1):
        sizes = row[row > 0].unique(return_counts=True)[1]
        counts.append(int((sizes > _SPECK * h * w).sum()))
    return counts
