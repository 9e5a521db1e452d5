"""All figures of the model card: ``python -m training.evaluate.measure PACK --run RUN --out DIR``.

PACK is a packed folder; RUN holds the atlas and the classifier. Writes ``figures.json``, ``figures.md`` and the contact
sheet of the first 64 held-out prompts at their first seed.
"""

import argparse
import json
import math
import random
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from limner.evaluate.nets.detector import Detector
from training import lora, pocket, train_classifier, train_turbo
from training.contact import sheet
from training.evaluate.prompts import held_out, spread
from training.layout import lay_out
from training.loop import pick_device
from training.render import SIZE, Renderer
from training.scene import Part, Scene
from training.sprites import Atlas
from training.train_autoencoder import psnr
from training.train_classifier import SETTINGS, Answer, accuracy, answers
from training.world import PLAIN


class Share(TypedDict):
    """How many of ``n`` pictures pass, with the 95 % interval."""

    share: float
    interval: tuple[float, float]
    n: int


class Figures(TypedDict):
    """What ``measure`` finds. ``psnr`` in dB, over loose layouts and over aligned ones (layout.py)."""

    drawn: dict[str, Share]
    classifier_on_renders: dict[str, float]
    psnr: float
    psnr_aligned: float
    kid: float
    kid_real: float
    how: str


def relation_holds(relation: str, first: tuple[float, float], second: tuple[float, float]) -> bool:
    """Whether two centres (x, y as shares, y down) stand as the relation says."""
    dx, dy = second[0] - first[0], second[1] - first[1]
    level = abs(dx) > abs(dy)
    return {
        "left": level and dx > 0,
        "right": level and dx < 0,
        "beside": level,
        "above": not level and dy > 0,
        "below": not level and dy < 0,
        "on": not level and 0 < dy < 0.45,
    }[relation]


def marks(row: dict[str, object], answer: Answer, names: list[str]) -> dict[str, bool]:
    """Which figures a picture of a prompt counts for, and whether it passes; a relation where both things are there."""
    things = [names.index(str(t)) for t in row["things"]]  # type: ignore[attr-defined]
    if row["kind"] == "relation":
        both = set(answer.things[:2]) == set(things)
        if not both:  # how two things stand can only be asked of those that are there
            return {"both": False}
        centres = [answer.centres[answer.things.index(t)] for t in things]
        return {"both": True, "relation": relation_holds(str(row["relation"]), centres[0], centres[1])}
    top = answer.things[0] == things[0]
    if row["kind"] == "count":
        return {"count": answer.count == row["counts"][0]}  # type: ignore[index]
    if row["kind"] == "colour":
        return {"single": top, "single in a named colour": top, "colour": answer.colours[0] == row["colours"][0]}  # type: ignore[index]
    place = f"{PLAIN}|{row['ground']}" if row["place"] == PLAIN else f"{row['place']}|{row['time']}"
    return {"single": top, "single in its own colours": top, "place": SETTINGS[answer.setting] == place}


def shown(row: dict[str, object], names: list[str]) -> Scene:
    """The scene that a line of the list asks for."""
    columns = zip(row["things"], row["colours"], row["sizes"], row["counts"], strict=True)  # type: ignore[call-overload]
    parts = tuple(Part(names.index(thing), colour, size, count) for thing, colour, size, count in columns)
    relation, ground = (None if row[key] is None else str(row[key]) for key in ("relation", "ground"))
    return Scene(parts, relation, str(row["place"]), str(row["time"]), ground)


def wilson(passed: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % Wilson interval of a share."""
    share = passed / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return middle - half, middle + half


def kid(a: Tensor, b: Tensor) -> float:
    """Unbiased squared MMD with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018), times 1000, on our own features.

    Each feature is taken from its mean and in units of its spread over both sets: a detector's are all positive, and
    a mean that all pictures share would count to the third power.
    """
    both = torch.cat([a, b])
    mean, spread = both.mean(0), both.std(0).clamp(min=1e-6)
    a, b = (a - mean) / spread, (b - mean) / spread
    d = a.shape[1]

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / d + 1) ** 3

    def within(x: Tensor) -> Tensor:
        k, n = kernel(x, x), len(x)
        return (k.sum() - k.diagonal().sum()) / (n * (n - 1))

    return float(1000 * (within(a) + within(b) - 2 * kernel(a, b).mean()))


Draw = Callable[[list[str], list[int]], Tensor]


def measure(
    drawn: pocket.Pocket,
    draw: Draw,
    judge: Detector,
    atlas: Atlas,
    rows: list[dict[str, object]],
    *,
    batch: int = 64,
    variants: int = 16,
    side: int = SIZE,
    centred: bool = False,
    how: str = "",
) -> Figures:
    """Every figure of the pictures that ``draw`` makes, of ``side`` pixels: shares, PSNR, KID, the classifier's own
    marks. ``centred``: what draws was shown things alone in the middle (layout.py)."""
    device = str(next(judge.parameters()).device)
    names = [t.name for t in atlas.things]
    tally: dict[str, list[bool]] = defaultdict(list)
    features = []
    for begin in range(0, len(rows), batch):
        part = rows[begin : begin + batch]
        seeds = list(range(begin, begin + len(part)))
        pictures = draw([str(r["prompt"]) for r in part], seeds)
        said, seen = answers(judge, pictures)
        features.append(seen)
        for row, answer in zip(part, said, strict=True):
            for name, passed in marks(row, answer, names).items():
                tally[name].append(passed)
    renderer = Renderer(atlas, variants, side).to(device)
    scenes = 2 * [shown(row, names) for row in rows]  # what was asked for, as the renderer draws it: KID compares like
    rngs = [random.Random(f"real:{k}") for k in range(len(scenes))]
    real = renderer(lay_out(scenes, rngs, aligned=True, centred=centred))
    loose = renderer(lay_out(scenes, [random.Random(f"real:{k}") for k in range(len(scenes))]))
    own = answers(judge, real)[1]
    every = slice(None, None, max(1, len(real) // 64))  # some of every kind
    half = len(rows)
    shares: dict[str, Share] = {
        name: {"share": sum(v) / len(v), "interval": wilson(sum(v), len(v)), "n": len(v)} for name, v in tally.items()
    }
    return {
        "drawn": shares,
        "classifier_on_renders": accuracy(judge, real, scenes),
        "psnr": psnr(drawn.vae.float(), loose[every][:64]),
        "psnr_aligned": psnr(drawn.vae.float(), real[every][:64]),
        "kid": kid(torch.cat(features), own[:half]),
        "kid_real": kid(own[half:], own[:half]),
        "how": how,
    }


def markdown(figures: Figures) -> str:
    """The figures as the card shows them."""
    lines = ["| figure | share | 95 % interval | n |", "| --- | --- | --- | --- |"]
    for name, row in sorted(figures["drawn"].items()):
        low, high = row["interval"]
        lines.append(f"| {name} | {row['share']:.1%} | {low:.1%} to {high:.1%} | {row['n']} |")
    own = ", ".join(f"{k} {v:.1%}" for k, v in figures["classifier_on_renders"].items())
    return "\n".join(
        [
            *lines,
            "",
            f"Held-out prompts, first seed, {figures['how']}; relations where both things were seen. Judged by a",
            f"classifier whose own marks on held-out renders are: {own}.",
            f"Autoencoder PSNR on held-out scenes {figures['psnr']:.1f} dB; {figures['psnr_aligned']:.1f} dB where",
            "they lie as the model draws them. KID (x1000, on the classifier's features, each standardised) against",
            f"renders of the same scenes {figures['kid']:.1f}; renders against renders {figures['kid_real']:.1f}.",
            "",
        ]
    )


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What every measuring of a packed model is told."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="the run's folder: atlas.png, classifier/")
    parser.add_argument("--atlas", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--things", type=int, help="only prompts about the first so many things")
    parser.add_argument("--limit", type=int, help="at most so many prompts, spread over the kinds")
    return parser


def write(figures: Figures, out: Path) -> None:
    """``figures.json`` and ``figures.md`` in ``out``; prints the latter."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    (out / "figures.md").write_text(markdown(figures))
    print(markdown(figures))


def show(draw: Draw, rows: list[dict[str, object]], out: Path) -> None:
    """The contact sheet of 64 of the prompts at their first seed, and which they are."""
    prompts = [str(row["prompt"]) for row in spread(rows, 64)]
    sheet(draw(prompts, list(range(len(prompts)))), out / "heldout-64.webp", columns=8)
    (out / "heldout-64.txt").write_text("".join(f"{prompt}\n" for prompt in prompts))


def main() -> None:
    """Measure a pack."""
    parser = arguments(__doc__)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turbo", type=Path, help="an LCM-LoRA: four steps, no guidance")
    given = parser.parse_args()
    device = pick_device(given.device)
    atlas = Atlas.load(given.atlas or given.run / "atlas.png")
    rows = held_out((t.name for t in atlas.things[: given.things]), given.limit)
    drawn = pocket.load_pack(given.pack, device)
    judge = train_classifier.load(given.run / "classifier", device, names=[t.name for t in atlas.things])
    draw: Draw = partial(drawn.draw, steps=given.steps, guidance=given.guidance)
    how = f"{given.steps} steps, guidance {given.guidance}"
    if given.turbo:
        adapters = lora.adapt(drawn.unet, train_turbo.RANK).to(device)
        lora.load(adapters, given.turbo)
        draw, how = partial(train_turbo.draw, drawn), "turbo, 4 steps"
    figures = measure(drawn, draw, judge, atlas, rows, how=how)
    write(figures, given.out)
    show(draw, rows, given.out)


if __name__ == "__main__":
    main()
