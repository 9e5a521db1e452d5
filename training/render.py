"""The renderer: batches of scenes to pictures in torch, on whatever device the atlas lies."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import backgrounds
from training.layout import Layout
from training.sprites import Atlas
from training.world import COLOURS

SIZE = 256  # pixels a side
AT_ONCE = 256  # pictures, so that a thousand fit in memory


class Renderer(nn.Module):
    """Draws Layouts. Holds the sprites at two sizes and the painted backgrounds, all uint8, on its device."""

    sprites: Tensor
    small: Tensor
    gain: Tensor
    colours: Tensor
    painted: Tensor
    axis: Tensor

    def __init__(self, atlas: Atlas, variants: int = 16, size: int = SIZE) -> None:
        """``size``: pixels a side, SIZE or a half or quarter of it, from sprites and grounds as much reduced."""
        super().__init__()
        self.size = size
        pixels = torch.from_numpy(atlas.pixels).permute(0, 3, 1, 2)
        alpha = pixels[:, 3:].float() / 255
        sprites = torch.cat([(pixels[:, :3] * alpha).round().byte(), pixels[:, 3:]], 1)  # premultiplied
        sprites = _reduced(sprites, SIZE // size)
        self.register_buffer("sprites", sprites)
        self.register_buffer("small", _reduced(sprites, 2))  # for small sizes: no aliasing
        self.register_buffer("gain", torch.from_numpy(atlas.gain))
        self.register_buffer("colours", torch.tensor(list(COLOURS.values())) / 255)
        painted = torch.from_numpy(backgrounds.gallery(variants)).permute(0, 1, 4, 2, 3).contiguous()
        painted = _reduced(painted.flatten(0, 1), SIZE // size).unflatten(0, painted.shape[:2])
        self.register_buffer("painted", painted)
        axis = (torch.arange(size) + 0.5) / size
        self.register_buffer("axis", axis)

    @torch.no_grad()
    def forward(self, layout: Layout) -> Tensor:
        """Pictures [B, 3, size, size] float32 in [-1, 1], drawn AT_ONCE at a time."""
        if len(layout.slots) <= AT_ONCE:
            return self._draw(layout)
        cuts = range(0, len(layout.slots), AT_ONCE)
        return torch.cat([self._draw(layout.part(slice(k, k + AT_ONCE))) for k in cuts])

    def _draw(self, layout: Layout) -> Tensor:
        device = self.axis.device
        slots = torch.from_numpy(layout.slots).to(device)
        image = self._grounds(layout, device)
        for k in range(slots.shape[1]):
            # Which rows have a k-th thing is known on the host: no waiting for the device.
            rows = torch.from_numpy(np.flatnonzero(layout.slots[:, k, 0] >= 0)).to(device)
            if len(rows):
                image = self._put(image, rows, slots[rows, k], layout.slots[:, k])
        return image.mul_(2).sub_(1).clamp_(-1, 1)

    def _grounds(self, layout: Layout, device: torch.device) -> Tensor:
        wash = torch.from_numpy(layout.wash).to(device)
        down = self.axis.view(1, 1, self.size, 1)
        image = (wash[:, 0, :, None, None] * (1 - down) + wash[:, 1, :, None, None] * down).repeat(1, 1, 1, self.size)
        spare = self.painted.shape[-1] - self.size
        for row, (kind, variant, mirrored, x, y, bright) in enumerate(layout.ground.tolist()):
            if kind < 0:
                continue
            left, top = int(x * (spare + 1)), int(y * (spare + 1))
            view = self.painted[int(kind), int(variant * self.painted.shape[1])]
            crop = view[:, top : top + self.size, left : left + self.size]
            image[row] = (crop.flip(-1) if mirrored else crop).float().mul_(bright / 255)
        return image

    def _put(self, image: Tensor, rows: Tensor, slot: Tensor, host: np.ndarray) -> Tensor:
        """Shadow, then sprite, over the rows that have one."""
        sprite, x, y, side, tilt, colour, shadow = slot.unbind(1)
        part = image[rows]
        dx = self.axis.view(1, 1, self.size) - x.view(-1, 1, 1)
        dy = self.axis.view(1, self.size, 1) - y.view(-1, 1, 1)
        if (host[:, 6] > 0).any():
            part = part * (1 - _shadow(dx, dy, side, shadow).unsqueeze(1))
        cos, sin = (torch.cos(tilt) / side).view(-1, 1, 1), (torch.sin(tilt) / side).view(-1, 1, 1)
        grid = torch.stack([2 * (cos * dx + sin * dy), 2 * (cos * dy - sin * dx)], -1)
        index = sprite.long()
        little = side * self.size < self.sprites.shape[-1] * 0.62
        full = F.grid_sample(self.sprites[index].float(), grid, align_corners=False)
        if bool((host[host[:, 0] >= 0, 3] * self.size < self.sprites.shape[-1] * 0.62).any()):
            half = F.grid_sample(self.small[index].float(), grid, align_corners=False)
            full = torch.where(little.view(-1, 1, 1, 1), half, full)
        colours, alpha = full[:, :3] / 255, full[:, 3:] / 255
        if (host[:, 5] >= 0).any():
            tinted = self._tint(colours, alpha, index, colour)
            colours = torch.where((colour >= 0).view(-1, 1, 1, 1), tinted, colours)
        image[rows] = part * (1 - alpha) + colours
        return image

    def _tint(self, premultiplied: Tensor, alpha: Tensor, index: Tensor, colour: Tensor) -> Tensor:
        """The sprite's light and dark in one colour: dark towards black, highlights towards white."""
        weights = premultiplied.new_tensor([0.30, 0.59, 0.11]).view(1, 3, 1, 1)
        light = (premultiplied * weights).sum(1, keepdim=True) / alpha.clamp(min=1e-3)
        light = (light * self.gain[index].view(-1, 1, 1, 1)).clamp(0, 1)
        hue = self.colours[colour.long().clamp(min=0)].view(-1, 3, 1, 1)
        dark = hue * (0.25 + 0.75 * (light / 0.6).clamp(max=1))
        bright = hue + (1 - hue) * ((light - 0.6) / 0.4).clamp(min=0) * 0.7
        return torch.where(light < 0.6, dark, bright) * alpha


def _reduced(pixels: Tensor, by: int) -> Tensor:
    """Images [N, C, H, W] uint8 averaged down ``by`` times."""
    return pixels if by == 1 else F.avg_pool2d(pixels.float(), by).round().byte()


def _shadow(dx: Tensor, dy: Tensor, side: Tensor, strength: Tensor) -> Tensor:
    """A soft ellipse under the thing's foot: [B, H, W] opacity."""
    side = side.view(-1, 1, 1)
    distance = (dx / (0.40 * side)) ** 2 + ((dy - 0.46 * side) / (0.075 * side)) ** 2
    return strength.view(-1, 1, 1) * torch.exp(-distance * math.log(2) * 1.5)
