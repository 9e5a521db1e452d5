"""LPIPS on AlexNet's features (Zhang et al. 2018, arXiv:1801.03924): a learnt distance of two pictures.

AlexNet's parameters are under torchvision's names, the weights of its channels under those of the authors' package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of the authors' package, for pictures in [-1, 1]
CHANNELS = (64, 192, 384, 256, 256)
LEAST = 31  # pixels a side, below which nothing is left for the last layers
_TINY = 1e-10


class AlexFeatures(nn.Module):
    """Pictures ``[N, 3, H, W]``, normalised, to what AlexNet's five convolutions make of them, after each ReLU."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *CHANNELS)
        shapes = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
        at = ("0", "3", "6", "8", "10")  # ReLUs and pooling, which hold no parameters, are counted too
        self.features = nn.ModuleDict(
            {name: nn.Conv2d(widths[k], widths[k + 1], *shapes[k]) for k, name in enumerate(at)}
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        found = []
        for k, convolution in enumerate(self.features.values()):
            if k in (1, 2):
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            found.append(x)
        return found


class Channels(nn.Module):
    """How much each channel of the five layers counts."""

    def __init__(self) -> None:
        super().__init__()
        for k, width in enumerate(CHANNELS):
            holder = nn.Module()
            holder.model = nn.ModuleDict({"1": nn.Conv2d(width, 1, 1, bias=False)})
            self.add_module(f"lin{k}", holder)

    def weights(self) -> list[Tensor]:
        """One ``[C]`` a layer."""
        return [parameter.flatten() for parameter in self.parameters()]


def shown(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as the network takes them."""
    shift, scale = (torch.tensor(each)[:, None, None] for each in (SHIFT, SCALE))
    return (pictures - shift) / scale


def directions(features: Sequence[Tensor]) -> list[Tensor]:
    """Features, at each place divided by their length over the channels."""
    return [f / (f.square().sum(1, keepdim=True).sqrt() + _TINY) for f in features]


def distance(a: Sequence[Tensor], b: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """LPIPS ``[N]`` of pictures by their ``directions``: weighted squared differences, averaged over places, summed."""
    layers = [((x - y).square() * w[:, None, None]).sum(1).mean((1, 2)) for x, y, w in zip(a, b, weights, strict=True)]
    return torch.stack(layers).sum(0)


def alex_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """AlexNet's tensors without its classifier."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
