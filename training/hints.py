"""What a scene is made of, by cell and by word: labels that teach the UNet and its text encoder where to look.

The velocity alone teaches places and colours first and tells things apart late: after 220,000 samples a CPU's UNet drew
right grounds and nameless blobs. Two small linear heads, used in training only, ask the UNet's inner cells which thing
lies there and in what colour (a cell of pure noise can only know from the words), and the encoder's nouns which thing,
colour and number they say. Aligning inner features with known ones shortens diffusion training (REPA, Yu et al. 2024);
here the known ones are exact.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from training import captions
from training.layout import Layout
from training.scene import Scene
from training.world import COLOURS, Thing

GRID = 8  # cells a side: the UNet's level with cross-attention
IGNORED = -100
OWN = len(COLOURS)  # the class of a thing in its own colours
REACH = 0.3  # a cell this near a thing's centre, as a share of its side, is the thing's
_COLOUR = {c: i for i, c in enumerate(COLOURS)}


def cells(layout: Layout) -> np.ndarray:
    """Thing and colour of each cell, [B, 2, GRID, GRID] int64, IGNORED off things; of two, the later drawn."""
    slots = layout.slots
    found = np.full((len(slots), 2, GRID, GRID), IGNORED, np.int64)
    centre = (np.arange(GRID) + 0.5) / GRID
    for k in range(slots.shape[1]):
        thing, x, y, side, colour = (slots[:, k, i][:, None, None] for i in (0, 1, 2, 3, 5))
        reach = np.maximum(REACH * side, 0.5 / GRID)
        mine = (thing >= 0) & (abs(centre[None, None] - x) <= reach) & (abs(centre[None, :, None] - y) <= reach)
        painted = np.where(colour >= 0, colour, OWN)
        found[:, 0] = np.where(mine, thing.astype(np.int64), found[:, 0])
        found[:, 1] = np.where(mine, painted.astype(np.int64), found[:, 1])
    return found


def emphasis(cells: Tensor, latent: int, more: float = 2.0) -> Tensor:
    """Weights [B, 1, latent, latent] of mean one: ``1 + more`` on things and just around them, one elsewhere."""
    there = (cells[:, :1] != IGNORED).float()
    spread = F.max_pool2d(F.interpolate(there, (latent, latent)), 5, 1, 2)
    weights = 1 + more * spread
    return weights / weights.mean()


class Nouns:
    """Finds things' names in token rows. ``known`` and ``vocab`` as the captions were written with."""

    def __init__(self, known: tuple[Thing, ...], vocab: dict[str, int]) -> None:
        self.spelled = [
            sorted(
                {tuple(vocab[w] for w in captions.words(n)) for pair in t.names for n in pair}, key=len, reverse=True
            )
            for t in known
        ]

    def __call__(self, tokens: list[int], scene: Scene) -> np.ndarray:
        """[L, 3] int16: thing, colour and number less one at each part's last word, IGNORED at all other words."""
        found = np.full((len(tokens), 3), IGNORED, np.int16)
        for part in scene.parts:
            end = self._end(tokens, part.thing, found[:, 0])
            if end is not None:
                found[end] = part.thing, _COLOUR[part.colour] if part.colour else OWN, part.count - 1
        return found

    def _end(self, tokens: list[int], thing: int, taken: np.ndarray) -> int | None:
        for name in self.spelled[thing]:
            for start in range(1, len(tokens) - len(name)):
                last = start + len(name) - 1
                if taken[last] == IGNORED and tuple(tokens[start : last + 1]) == name:
                    return last
        return None


@dataclass
class Marks:
    """The heads' losses in nats and how often the cells' thing is named right, all scalars."""

    cells: Tensor
    words: Tensor
    named: Tensor


def word_loss(said: Tensor, told: Tensor, things: int) -> Tensor:
    """Nats a noun, thing, colour and number: ``said`` [N, things + OWN + 1 + 5] logits, ``told`` [N, 3] labels."""
    colours = things + OWN + 1
    return (
        F.cross_entropy(said[:, :things], told[:, 0])
        + 0.5 * F.cross_entropy(said[:, things:colours], told[:, 1])
        + 0.5 * F.cross_entropy(said[:, colours:], told[:, 2])
    )


class Heads(nn.Module):
    """Linear readings of the UNet's cells and the encoder's words. ``attach`` before the first forward."""

    def __init__(self, things: int, width: int, hidden: int) -> None:
        super().__init__()
        self.things = things
        self.cell = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, things + OWN + 1))
        self.word = nn.Linear(hidden, things + OWN + 1 + 5)
        self._seen: Tensor | None = None

    def attach(self, unet: UNet2DConditionModel) -> None:
        """Read what the last attention at GRID x GRID gives."""

        def keep(_: nn.Module, __: object, out: tuple[Tensor] | Tensor) -> None:
            held = out if isinstance(out, Tensor) else getattr(out, "sample", out[0])
            assert isinstance(held, Tensor)
            self._seen = held

        unet.up_blocks[-2].attentions[-1].register_forward_hook(keep)

    def forward(self, states: Tensor, cells: Tensor, words: Tensor, silent: Tensor) -> Marks:
        """``states`` [B, L, H]; ``cells`` [B, 2, GRID, GRID]; ``words`` [B, L, 3]; ``silent`` [B]: no caption."""
        assert self._seen is not None
        n, (things, hues) = self.things, (cells[:, 0], cells[:, 1])
        said = self.cell(self._seen.permute(0, 2, 3, 1)).float()
        heard = (~silent).view(-1, 1, 1) & (things != IGNORED)
        here, thing, hue = said[heard], things[heard], hues[heard]
        spoken = (words[..., 0] != IGNORED) & ~silent[:, None]
        noun, label = self.word(states[spoken]).float(), words[spoken].long()
        self._seen = None
        return Marks(
            F.cross_entropy(here[:, :n], thing) + 0.5 * F.cross_entropy(here[:, n:], hue),
            word_loss(noun, label, n),
            (here[:, :n].argmax(1) == thing).float().mean().detach(),
        )


def empty(rows: int, ways: int, length: int, device: str) -> tuple[Tensor, Tensor]:
    """Room for the labels of ``rows`` scenes: cells [rows, 2, GRID, GRID] and words [rows, ways, length, 3]."""
    return (
        torch.full((rows, 2, GRID, GRID), IGNORED, dtype=torch.int16, device=device),
        torch.full((rows, ways, length, 3), IGNORED, dtype=torch.int16, device=device),
    )
