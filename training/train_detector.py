"""A detector of the pocket world: the network of pocket-judge, taught by what the renderer knows of every picture.

Every cell near a thing's centre is told which thing it is, its colour and where its centre lies; every cell whether a
centre lies in it; the whole picture its place, time and ground. All labels of all things teach at once, which a yes or
no a picture cannot: after 54,000 pictures a network that was taught by questions still guessed what it saw.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limner.evaluate.nets.detector import (
    COLOURS,
    SIDE,
    Detector,
    DetectorConfig,
    Residual,
)
from limner.evaluate.pocket_sight import Line
from training.data import Onward
from training.exam import Marker, fitted
from training.lessons import CURRICULUM, IGNORED, Lesson, Lessons, Taught, own_colours, taught
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.scene import Scene
from training.sprites import Atlas


class Normed(nn.Module):
    """A convolution with a batch norm; ``folded`` gives the convolution that does the same."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.conv(x))
        return result

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return self.conv.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale


def folded(model: nn.Module) -> dict[str, Tensor]:
    """A trained detector's weights under the names of one without norms."""
    weights = {k: v for k, v in model.state_dict().items() if ".conv." not in k and ".norm." not in k}
    for name, module in model.named_modules():
        if isinstance(module, Normed):
            weights[f"{name}.weight"], weights[f"{name}.bias"] = module.folded()
    return {k: v.detach() for k, v in weights.items()}


def worn(pictures: Tensor) -> Tensor:
    """Pictures blurred, noised and lit a little otherwise, as drawn ones are."""
    n, side = len(pictures), pictures.shape[-1]
    dice = torch.rand(5, n, 1, 1, 1, device=pictures.device)
    by = 4 if bool(torch.rand(()) < 0.25) else 2
    soft = F.interpolate(F.avg_pool2d(pictures, by), size=(side, side), mode="bilinear", align_corners=False)
    blurred = torch.lerp(pictures, soft, dice[0])
    lit = blurred * (0.88 + 0.24 * dice[1]) + 0.12 * (dice[2] - 0.5)
    noise = torch.randn_like(pictures) * 0.12 * dice[3] * dice[4]
    return lit + noise


class Teacher:
    """The loss of a batch: draws it, looks at it, compares."""

    def __init__(self, model: Detector, renderer: Renderer, atlas: Atlas, compiled: bool) -> None:
        self.model, self.renderer = model, renderer
        self.device = str(renderer.axis.device)
        self.own = torch.from_numpy(own_colours(atlas)).to(self.device)
        self.look: Callable[[Tensor], Tensor] = torch.compile(model.cells) if compiled else model.cells

    def __call__(self, lesson: Lesson, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        pictures = worn(self.renderer(lesson.layout)).to(memory_format=torch.channels_last)
        with autocast(self.device):
            cells = self.look(pictures).float()
        terms = self._of_cells(cells, taught(lesson.layout)) | self._around(cells, lesson)
        right = terms.pop("right")
        return torch.stack(list(terms.values())).sum(), terms | {"right": right}

    def _of_cells(self, cells: Tensor, t: Taught) -> dict[str, Tensor]:
        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(self.device)

        centre = self.model.centre(cells)
        n = len(cells)
        there = F.binary_cross_entropy_with_logits(centre[..., 0], put(t.there), reduction="sum") / n
        at = put(t.picture), put(t.row), put(t.column)
        near, weight, thing, colour = cells[at], put(t.weight), put(t.thing), put(t.colour)
        share = weight / weight.sum()
        with autocast(self.device):
            named, hue = self.model.thing(near).float(), self.model.colour(near).float()
        each = F.cross_entropy(named, thing, reduction="none")
        painted = F.one_hot(colour.clamp(min=0), len(COLOURS)).float()
        wanted = torch.where((colour >= 0).unsqueeze(1), painted, self.own[thing])
        coloured = F.cross_entropy(hue, wanted, reduction="none")
        off = F.smooth_l1_loss(centre[at][:, 1:], put(t.shift), reduction="none", beta=0.2).sum(1)
        return {
            "there": 0.25 * there,
            "thing": (share * each).sum(),
            "colour": 0.4 * (share * coloured).sum(),
            "shift": 0.5 * (share * off).sum(),
            "right": (share * (named.argmax(1) == thing)).sum().detach(),
        }

    def _around(self, cells: Tensor, lesson: Lesson) -> dict[str, Tensor]:
        names, wanted = ("place", "time", "ground"), (lesson.places, lesson.times, lesson.grounds)
        said = self.model.surroundings(cells)
        return {
            name: 0.3 * F.cross_entropy(logits, torch.from_numpy(label).to(self.device), ignore_index=IGNORED)
            for name, logits, label in zip(names, said, wanted, strict=True)
        }


def settle(model: nn.Module, pictures: Tensor) -> None:
    """Measure the norms' means and variances anew, for weights that are an average and never saw a batch."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over all batches
    model.train()
    with torch.no_grad():
        for part in pictures.split(64):
            model.cells(part.to(memory_format=torch.channels_last))  # type: ignore[operator]
    for norm in norms:
        norm.momentum = 0.1


def unfolded(model: nn.Module, weights: dict[str, Tensor], pictures: Tensor) -> None:
    """Make ``model``, with norms, do what ``weights``, without, do: to ``pictures`` [B, 3, SIDE, SIDE] exactly.

    Each norm's scale and shift become those of what reaches it, so that it changes nothing when training begins.
    """
    bare = {k: v for k, v in weights.items() if k in model.state_dict()}
    model.load_state_dict(bare, strict=False)
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, Normed):
            module.conv.weight.data.copy_(weights[f"{name}.weight"])

            def follow(norm: nn.Module, given: tuple[Tensor, ...], bias: Tensor = weights[f"{name}.bias"]) -> None:
                assert isinstance(norm, nn.BatchNorm2d)
                variance, mean = torch.var_mean(given[0].float(), (0, 2, 3), correction=0)
                norm.weight.data.copy_((variance + norm.eps).sqrt())
                norm.bias.data.copy_(bias + mean)

            hooks.append(module.norm.register_forward_pre_hook(follow))
    model.train()
    with torch.no_grad():
        model.cells(pictures)  # type: ignore[operator]
    for hook in hooks:
        hook.remove()


def build(config: DetectorConfig) -> Detector:
    """A detector to be trained: few cells hold a centre, which its first guess should know."""
    model = Detector(config, Normed)
    with torch.no_grad():
        model.centre.bias[0] = -5.0
        for module in model.modules():
            if isinstance(module, Residual):
                nn.init.zeros_(module.second.norm.weight)  # each block starts as the identity
    return model


def export(model: Detector, out: Path, calibration: dict[str, Line]) -> None:
    """Write ``model.safetensors`` (float16, norms folded in) and ``config.json``."""
    save_file({k: v.half().contiguous() for k, v in folded(model).items()}, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps({**asdict(model.config), "calibration": calibration}))


def numbered(folder: Path, names: Sequence[str]) -> dict[str, Tensor]:
    """An exported detector's weights, its things numbered as in ``names``.

    Raises KeyError for a name that it was not taught.
    """
    config = DetectorConfig.from_json(json.loads((folder / "config.json").read_text()))
    weights = load_file(folder / "model.safetensors")
    number = {name: k for k, name in enumerate(config.things)}
    rows = torch.tensor([number[name] for name in names])
    return weights | {key: weights[key][rows] for key in ("thing.2.weight", "thing.2.bias")}


def train(
    atlas: Atlas,
    options: Options,
    variants: int = 16,
    config: DetectorConfig | None = None,
    checked: int = 512,
    favoured: int | None = None,
    *,
    seed: int = 0,
    begin: Path | None = None,
    more: Callable[[Detector, Tensor, list[Scene]], dict[str, float]] | None = None,
) -> Trainer:
    """Train into ``options.out``: ``model.safetensors`` (float16) and ``config.json`` with the calibration.

    ``config``: the shape; its things are the atlas's. ``seed`` is added to the run's. ``begin``: an exported detector
    of that shape to go on from. ``more``: further marks, of the model on the held-out scenes' pictures.
    """
    torch.manual_seed(options.seed + seed + 77)
    device = options.device
    shape = replace(config or DetectorConfig(()), things=tuple(t.name for t in atlas.things))
    renderer = Renderer(atlas, variants, SIDE).to(device)
    model = build(shape).to(device)
    model.trunk.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    usual = Lessons(options.seed + seed + 8_000, min(1024, 2 * checked), atlas.things)[CURRICULUM]
    if begin:
        taken = {k: v.float().to(device) for k, v in numbered(begin, shape.things).items()}
        unfolded(model, taken, worn(renderer(usual.layout)))
    trainer = Trainer({"detector": model}, options)
    lessons = Lessons(options.seed + seed + 9_000, options.batch, atlas.things, favoured, 0 if begin else CURRICULUM)
    loader = torch.utils.data.DataLoader(
        lessons, batch_size=None, sampler=Onward(trainer.step), num_workers=options.workers
    )
    marker = Marker(atlas, Renderer(atlas, variants).to(device), checked)
    calibration: dict[str, tuple[float, float]] = {}

    def check() -> dict[str, float]:
        settle(model, worn(renderer(usual.layout)))
        model.eval()
        calibration.update(fitted(marker.answers(model, 1)))
        return marker.marks(model, calibration) | (more(model, *marker.held_out) if more else {})

    def put_out() -> None:
        export(model, options.out, calibration)
        model.train()

    model.train()
    fit(trainer, loader, Teacher(model, renderer, atlas, options.compile), check, put_out)
    return trainer
