"""Stage 3: the evaluation's eye. A small convolutional net that says for each 16x16-pixel cell which thing is there and
in which colour, and for the whole picture where it plays and how many things it shows.

It is trained on renders with blur and noise, never on drawn pictures, and is itself measured on held-out renders.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training import backgrounds
from training.data import Batch, Batches, Stream, held_out_scenes, stream
from training.layout import SLOTS, Layout
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.scene import Scene
from training.sprites import Atlas
from training.world import COLOURS, PLAIN

GRID = 16
SETTINGS: tuple[str, ...] = (
    *(f"{place}|{time}" for place, time in backgrounds.kinds()),
    *(f"{PLAIN}|{colour}" for colour in [*COLOURS, None]),
)
_COLOUR_NAMES = (None, *COLOURS)


def setting(scene: Scene) -> int:
    """Index in SETTINGS of where a scene plays."""
    name = f"{PLAIN}|{scene.ground}" if scene.place == PLAIN else f"{scene.place}|{scene.time}"
    return SETTINGS.index(name)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


@dataclass(frozen=True)
class Seen:
    """Logits: things [B, N + 1, GRID, GRID] (0 is nothing), colours [B, 12, GRID, GRID] (0 is its own), settings
    [B, len(SETTINGS)], counts [B, SLOTS] (one to five); ``features`` [B, D] for KID."""

    things: Tensor
    colours: Tensor
    settings: Tensor
    counts: Tensor
    features: Tensor


class Classifier(nn.Module):
    """Pictures [B, 3, 256, 256] in [-1, 1] to Seen."""

    def __init__(self, things: int, widths: tuple[int, ...] = (32, 64, 128, 256), blocks: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            layers += [_Block(width) for _ in range(blocks)]
            before = width
        self.trunk = nn.Sequential(*layers)
        self.things = nn.Conv2d(before, things + 1, 1)
        self.colours = nn.Conv2d(before, len(_COLOUR_NAMES), 1)
        self.settings = nn.Linear(before, len(SETTINGS))
        self.counts = nn.Linear(before, SLOTS)
        self.shape = {"things": things, "widths": list(widths), "blocks": blocks}

    def forward(self, pictures: Tensor) -> Seen:
        cells = self.trunk(pictures)
        pooled = cells.mean((2, 3))
        return Seen(self.things(cells), self.colours(cells), self.settings(pooled), self.counts(pooled), pooled)


def cell_labels(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Thing + 1 and colour + 1 of each cell [B, GRID, GRID] int64: 0 outside things, -100 on their blurry rim."""
    centre = (np.arange(GRID) + 0.5) / GRID
    things = np.zeros((len(layout.slots), GRID, GRID), np.int64)
    colours = np.full_like(things, -100)
    for k in range(layout.slots.shape[1]):
        sprite, x, y, side, _, colour, _ = (layout.slots[:, k, f][:, None, None] for f in range(7))
        away = np.maximum(abs(centre[None, None, :] - x), abs(centre[None, :, None] - y)) / side
        there = sprite >= 0
        near, inside = there & (away < 0.60), there & (away < 0.30)
        things = np.where(inside, sprite.astype(np.int64) + 1, np.where(near & (things == 0), -100, things))
        colours = np.where(inside, colour.astype(np.int64) + 1, colours)
    return things, colours


def worn(pictures: Tensor) -> Tensor:
    """Pictures a little blurred and noised, as drawn ones are."""
    n = len(pictures)
    small = F.interpolate(pictures, scale_factor=0.5, mode="area")
    soft = F.interpolate(small, size=pictures.shape[-2:], mode="bilinear", align_corners=False)
    share = torch.rand(n, 1, 1, 1, device=pictures.device)
    noise = 0.08 * torch.rand(n, 1, 1, 1, device=pictures.device) * torch.randn_like(pictures)
    return torch.lerp(pictures, soft, share) + noise


def losses(seen: Seen, batch: Batch, device: str) -> dict[str, Tensor]:
    """Cross-entropies of the four answers."""
    things, colours = (torch.from_numpy(a).to(device) for a in cell_labels(batch.layout))
    places = torch.tensor([setting(s) for s in batch.scenes], device=device)
    counts = torch.from_numpy((batch.layout.slots[:, :, 0] >= 0).sum(1) - 1).to(device)
    # Cells of things are few: weigh them as much as all the rest.
    each = F.cross_entropy(seen.things.float(), things, reduction="none", ignore_index=-100)
    some, none = things > 0, things == 0
    thing = (each * some).sum() / some.sum().clamp(min=1) + (each * none).sum() / none.sum().clamp(min=1)
    return {
        "things": thing,
        "colours": 0.5 * F.cross_entropy(seen.colours.float(), colours, ignore_index=-100),
        "settings": 0.3 * F.cross_entropy(seen.settings.float(), places),
        "counts": 0.3 * F.cross_entropy(seen.counts.float(), counts),
    }


@dataclass(frozen=True)
class Answer:
    """What the classifier says of one picture: things from likeliest down with their centres and colours."""

    things: tuple[int, ...]
    centres: tuple[tuple[float, float], ...]
    colours: tuple[str | None, ...]
    setting: int
    count: int


@torch.no_grad()
def answers(model: Classifier, pictures: Tensor, top: int = 2) -> tuple[list[Answer], Tensor]:
    """An Answer per picture, and the features [B, D]."""
    found: list[Answer] = []
    features = []
    axis = (torch.arange(GRID, device=pictures.device) + 0.5) / GRID
    for part in torch.split(pictures, 64):
        seen = model(part)
        p = seen.things.float().softmax(1)[:, 1:]
        mass = p.sum((2, 3))
        best = mass.topk(top, 1).indices
        for row in range(len(part)):
            maps = p[row, best[row]]
            total = maps.sum((1, 2)).clamp(min=1e-6)
            x = ((maps * axis).sum((1, 2)) / total).tolist()
            y = ((maps * axis[:, None]).sum((1, 2)) / total).tolist()
            hue = torch.einsum("khw,chw->kc", maps, seen.colours[row].float().softmax(0)).argmax(1).tolist()
            found.append(
                Answer(
                    tuple(best[row].tolist()),
                    tuple(zip(x, y, strict=True)),
                    tuple(_COLOUR_NAMES[h] for h in hue),
                    int(seen.settings[row].argmax()),
                    int(seen.counts[row].argmax()) + 1,
                )
            )
        features.append(seen.features.float())
    return found, torch.cat(features)


def accuracy(model: Classifier, pictures: Tensor, scenes: list[Scene]) -> dict[str, float]:
    """The classifier's own marks on renders: all things right, their colours, setting, count."""
    said, _ = answers(model, pictures)
    marks: dict[str, list[bool]] = {"thing": [], "pair": [], "colour": [], "setting": [], "count": []}
    for answer, scene in zip(said, scenes, strict=True):
        true = [p.thing for p in scene.parts]
        marks["thing" if len(true) == 1 else "pair"].append(set(answer.things[: len(true)]) == set(true))
        if len(true) == 1:
            marks["colour"].append(answer.colours[0] == scene.parts[0].colour)
        marks["setting"].append(answer.setting == setting(scene))
        marks["count"].append(answer.count == sum(p.count for p in scene.parts))
    return {k: sum(v) / max(1, len(v)) for k, v in marks.items()}


def train(
    atlas: Atlas, options: Options, variants: int = 16, widths: tuple[int, ...] = (32, 64, 128, 256), checked: int = 512
) -> Trainer:
    """Train into ``options.out``: ``classifier.pt`` and its marks on held-out renders in the log."""
    torch.manual_seed(options.seed)
    device = options.device
    renderer = Renderer(atlas, variants).to(device)
    model = Classifier(len(atlas.things), widths).to(device)
    model.trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer({"classifier": model}, options)
    body: Callable[[Tensor], Seen] = torch.compile(model) if options.compile else model
    batches = Batches(Stream(options.seed + 2, options.batch), atlas.things, {})
    scenes, layout = held_out_scenes(checked, 2, atlas.things)
    unseen = renderer(layout)

    def loss(batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        pictures = worn(renderer(batch.layout)).to(memory_format=torch.channels_last)
        with autocast(device):
            seen = body(pictures)
        terms = losses(seen, batch, device)
        return torch.stack(list(terms.values())).sum(), terms

    def check() -> dict[str, float]:
        model.eval()
        marks = accuracy(model, unseen, scenes)
        model.train()
        return marks

    def export() -> None:
        torch.save({"shape": model.shape, "weights": model.state_dict()}, options.out / "classifier.pt")
        (options.out / "things.json").write_text(json.dumps([t.name for t in atlas.things]))

    model.train()
    fit(trainer, stream(batches, trainer.step, options.workers), loss, check, export)
    return trainer


def load(folder: Path, device: str) -> Classifier:
    """The exported classifier, ready to answer."""
    saved = torch.load(folder / "classifier.pt", map_location=device, weights_only=True)
    shape = saved["shape"]
    model = Classifier(shape["things"], tuple(shape["widths"]), shape["blocks"])
    model.load_state_dict(saved["weights"])
    return model.to(device).eval()
