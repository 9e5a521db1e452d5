"""A small convolutional detector: says, cell by cell, which thing stands there, and in what colour.

One look at a picture gives everything that can be asked about it: for each 8x8-pixel cell whether a thing's centre lies
in it, which thing and colour that is and where exactly the centre is, and for the whole picture where and when it plays
and what colour the ground has. After CenterNet (Zhou et al. 2019, arXiv:1904.07850); the network is our own.
Parameter names are those that its training exports, with batch norms folded into the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import CorruptFile
from limner.models.nets.fields import Fields

SIDE = 128  # pixels; larger pictures are averaged down to it
STRIDE = 8
GRID = SIDE // STRIDE
_POOLED = 4  # the whole picture is judged from so many by so many means of cells
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
PLACES = (
    *("snow", "beach", "grass", "desert", "forest", "city", "mountains", "water", "sky", "sea", "space"),
    *("open", "plain"),
)
TIMES = ("day", "night", "sunset")
GROUNDS = (*COLOURS, "none")
Unit = Callable[[int, int, int, int, int], nn.Module]
"""Makes a convolution of (channels in, channels out, kernel, stride, padding)."""


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """``things`` it tells apart, by name; ``widths`` of the three steps down and residual ``blocks`` after each.

    ``calibration``: of each kind of fact, slope and offset that make its logits probabilities.
    """

    things: tuple[str, ...]
    widths: tuple[int, int, int] = (32, 64, 160)
    blocks: tuple[int, int, int] = (0, 0, 2)
    hidden: int = 224
    calibration: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> DetectorConfig:
        """Read the exported ``config.json``. Raises ``CorruptFile``, ``MismatchedWeights``."""
        read, names = Fields(config, "pocket judge"), config.get("things")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise read.corrupt("things", "a list of names")
        if len(set(names)) < len(names):
            raise CorruptFile("the pocket judge config names a thing twice", hint="install Limner again")
        return cls(
            tuple(names),
            _three(read.per_block("widths", 64, 3, high=4096)),
            _three(read.per_block("blocks", 0, 3, low=0, high=32)),
            read.integer("hidden", 224, high=4096),
            _calibration(read, config.get("calibration", {})),
        )


class Seen(NamedTuple):
    """Logits about N pictures of G x G cells: ``there`` [N, G, G], ``things`` [N, G, G, T], ``colours`` [N, G, G, 11],
    ``places`` [N, 13], ``times`` [N, 3], ``grounds`` [N, 12]; and ``shifts`` [N, G, G, 2]: (x, y) of the thing's centre
    from the cell's, in cells."""

    there: Tensor
    things: Tensor
    colours: Tensor
    shifts: Tensor
    places: Tensor
    times: Tensor
    grounds: Tensor


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, width: int, unit: Unit) -> None:
        super().__init__()
        self.first = unit(width, width, 3, 1, 1)
        self.second = unit(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Detector(nn.Module):
    """Pictures ``[N, 3, S, S]`` in [-1, 1], S a multiple of 128, to ``Seen``. ``unit``: training puts norms in."""

    def __init__(self, config: DetectorConfig, unit: Unit = nn.Conv2d) -> None:
        super().__init__()
        self.config = config
        steps: list[nn.Module] = []
        before = 3
        for k, (width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            steps += [unit(before, width, 3 if k else 4, 2, 1), nn.ReLU()]
            steps += [Residual(width, unit) for _ in range(blocks)]
            before = width
        self.trunk = nn.Sequential(*steps)
        self.centre = nn.Linear(before, 3)  # is one there, and its shift
        self.colour = nn.Linear(before, len(COLOURS))
        self.thing = nn.Sequential(
            nn.Linear(before, config.hidden), nn.ReLU(), nn.Linear(config.hidden, len(config.things))
        )
        self.around = nn.Linear(_POOLED**2 * before, len(PLACES) + len(TIMES) + len(GROUNDS))

    def cells(self, pictures: Tensor) -> Tensor:
        """What each cell holds: ``[N, G, G, W]``."""
        if pictures.shape[-1] != SIDE:
            pictures = F.avg_pool2d(pictures, pictures.shape[-1] // SIDE)
        result: Tensor = self.trunk(pictures)
        return result.permute(0, 2, 3, 1)

    def surroundings(self, cells: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of places, times and grounds from ``cells``."""
        pooled = F.adaptive_avg_pool2d(cells.permute(0, 3, 1, 2), _POOLED).flatten(1)
        places, times, grounds = self.around(pooled).split([len(PLACES), len(TIMES), len(GROUNDS)], 1)
        return places, times, grounds

    def forward(self, pictures: Tensor) -> Seen:
        cells = self.cells(pictures)
        centre = self.centre(cells)
        return Seen(centre[..., 0], self.thing(cells), self.colour(cells), centre[..., 1:], *self.surroundings(cells))


def _calibration(read: Fields, told: object) -> dict[str, tuple[float, float]]:
    lines: dict[str, tuple[float, float]] = {}
    for kind, line in told.items() if isinstance(told, dict) else [("", None)]:
        if not isinstance(line, list) or len(line) != 2 or not all(isinstance(n, int | float) for n in line):
            raise read.corrupt("calibration", "a slope and an offset for each kind of fact")
        lines[str(kind)] = float(line[0]), float(line[1])
    return lines


def _three(values: tuple[int, ...]) -> tuple[int, int, int]:
    first, second, third = values
    return first, second, third
