"""The upscaling networks as torch modules, written from their papers (see ``upscale.py``)."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from limner.errors import MismatchedWeights
from limner.models.upscaling.recognise import Net, recognise

SLOPE, RESIDUAL = 0.2, 0.2


class Dense(nn.ModuleList):
    """Five convolutions, each seeing the answers of all before it; a part of the last is added to the input."""

    def __init__(self, width: int, growth: int) -> None:
        outputs = [growth] * 4 + [width]
        super().__init__(nn.Conv2d(width + k * growth, out, 3, padding=1) for k, out in enumerate(outputs))

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in list(self)[:-1]:
            seen = torch.cat((seen, F.leaky_relu(conv(seen), SLOPE)), dim=1)
        result: Tensor = x + RESIDUAL * self[4](seen)
        return result


class Block(nn.ModuleList):
    """Residual in residual: three dense blocks, a part of what they make added to the input."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__(Dense(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for dense in self:
            h = dense(h)
        return x + RESIDUAL * h


class Rrdb(nn.Module):
    """ESRGAN: pixels [N, 3, H, W] in 0..1 to [N, 3, s * H, s * W], not clipped."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        width = net.width
        self.conv_first = nn.Conv2d(3 * net.shuffle**2, width, 3, padding=1)
        self.body = nn.ModuleList(Block(width, net.growth) for _ in range(net.blocks))
        self.conv_body = nn.Conv2d(width, width, 3, padding=1)
        for k in range(net.doublings):
            setattr(self, f"conv_up{k + 1}", nn.Conv2d(width, width, 3, padding=1))
        self.conv_hr = nn.Conv2d(width, width, 3, padding=1)
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        fold = self.net.shuffle
        if fold > 1:
            x = F.pad(x, (0, -width % fold, 0, -height % fold), mode="replicate")
            x = F.pixel_unshuffle(x, fold)
        first: Tensor = self.conv_first(x)
        h = first
        for block in self.body:
            h = block(h)
        h = first + self.conv_body(h)
        for k in range(self.net.doublings):
            conv = self.get_submodule(f"conv_up{k + 1}")
            h = F.leaky_relu(conv(F.interpolate(h, scale_factor=2, mode="nearest")), SLOPE)
        h = self.conv_last(F.leaky_relu(self.conv_hr(h), SLOPE))
        grown: Tensor = h[..., : height * self.net.scale, : width * self.net.scale]
        return grown


class Compact(nn.Module):
    """Real-ESRGAN's small network: convolutions at the small size, their answer spread over the pixels of the enlarged
    picture and added to it."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net
        width, layers = net.width, list[nn.Module]()
        for k in range(net.blocks + 1):
            layers += [nn.Conv2d(3 if k == 0 else width, width, 3, padding=1), nn.PReLU(width)]
        self.body = nn.ModuleList([*layers, nn.Conv2d(width, 3 * net.scale**2, 3, padding=1)])

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for layer in self.body:
            h = layer(h)
        return F.pixel_shuffle(h, self.net.scale) + F.interpolate(x, scale_factor=self.net.scale, mode="nearest")


def load_upscaler(path: Path, dtype: torch.dtype, device: torch.device) -> nn.Module:
    """The network of a safetensors file. Raises ``ModelError``."""
    net = recognise(path)
    state = {net.names[stored]: tensor for stored, tensor in load_file(path).items()}
    with torch.device("meta"):
        module: nn.Module = Rrdb(net) if net.kind == "rrdb" else Compact(net)
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if wanted != given:
        wrong = sorted(name for name in {*wanted, *given} if wanted.get(name) != given.get(name))
        raise MismatchedWeights(
            f"{path.name} is an upscaler of a kind Limner does not know: {len(wrong)} of its tensors are not those of "
            f"{net.kind}, {', '.join(wrong[:3])} among them",
            hint="use another upscaler, or lanczos",
        )
    module.load_state_dict({name: tensor.to(device, dtype) for name, tensor in state.items()}, assign=True)
    return module.eval().requires_grad_(False)
