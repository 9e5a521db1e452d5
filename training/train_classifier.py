"""Stage 3: the evaluation's eye, which says what a drawn picture shows. Not shipped, and no one's judge but ours.

A detector like pocket-judge's, of another shape and taught with other seeds, on renders with blur and noise and never
on drawn pictures; it is itself measured on held-out renders.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from limner.evaluate.nets.detector import COLOURS, GROUNDS, PLACES, TIMES, Detector, DetectorConfig
from limner.evaluate.pocket_sight import Fact, Sight
from training import backgrounds, train_detector
from training.exam import sights
from training.loop import Options, Trainer
from training.scene import Scene
from training.sprites import Atlas
from training.world import PLAIN

SHAPE = DetectorConfig((), widths=(24, 64, 144), blocks=(0, 0, 3), hidden=288)  # sees the largest things whole
SEED = 400  # far from the judge's
SETTINGS: tuple[str, ...] = (
    *(f"{place}|{time}" for place, time in backgrounds.kinds()),
    *(f"{PLAIN}|{colour}" for colour in [*COLOURS, None]),
)


def setting(scene: Scene) -> int:
    """Index in SETTINGS of where a scene plays."""
    name = f"{PLAIN}|{scene.ground}" if scene.place == PLAIN else f"{scene.place}|{scene.time}"
    return SETTINGS.index(name)


@dataclass(frozen=True)
class Answer:
    """What the classifier says of one picture: things from likeliest down with their centres and colours."""

    things: tuple[int, ...]
    centres: tuple[tuple[float, float], ...]
    colours: tuple[str, ...]
    setting: int
    count: int


@torch.no_grad()
def answers(model: Detector, pictures: Tensor, top: int = 2) -> tuple[list[Answer], Tensor]:
    """An Answer per picture [B, 3, S, S], and features [B, D] for KID."""
    features = [model.cells(part).mean((1, 2)).float() for part in pictures.split(64)]
    return [_answer(sight, top) for sight in sights(model, pictures)], torch.cat(features)


def _answer(sight: Sight, top: int) -> Answer:
    if not sight.sightings:
        return Answer((-1,) * top, ((0.5, 0.5),) * top, (COLOURS[0],) * top, _setting(sight), 0)
    chances = torch.stack([torch.from_numpy(each.chance * each.things) for each in sight.sightings])
    surest, where = chances.max(0)
    things = surest.topk(min(top, len(surest))).indices.tolist()
    shown = [sight.sightings[int(where[thing])] for thing in things]
    return Answer(
        tuple(things),
        tuple((each.x, each.y) for each in shown),
        tuple(COLOURS[int(each.colours.argmax())] for each in shown),
        _setting(sight),
        sum(each.chance > 0.5 for each in sight.sightings),
    )


def _setting(sight: Sight) -> int:
    def likeliest(kind: str, names: tuple[str, ...]) -> str:
        return max(names, key=lambda name: sight.raw(Fact(kind, (), name)))

    place = likeliest("place", PLACES)
    if place == PLAIN:
        ground = likeliest("ground", GROUNDS)
        return SETTINGS.index(f"{PLAIN}|{None if ground == 'none' else ground}")
    times = tuple(time for time in TIMES if f"{place}|{time}" in SETTINGS)
    return SETTINGS.index(f"{place}|{likeliest('time', times)}")


def accuracy(model: Detector, pictures: Tensor, scenes: list[Scene]) -> dict[str, float]:
    """The classifier's own marks on renders: all things right, colours of tinted things, setting, count."""
    said, _ = answers(model, pictures)
    marks: dict[str, list[bool]] = {"thing": [], "pair": [], "colour": [], "setting": [], "count": []}
    for answer, scene in zip(said, scenes, strict=True):
        true = [p.thing for p in scene.parts]
        marks["thing" if len(true) == 1 else "pair"].append(set(answer.things[: len(true)]) == set(true))
        if len(true) == 1 and scene.parts[0].colour:
            marks["colour"].append(answer.colours[0] == scene.parts[0].colour)
        marks["setting"].append(answer.setting == setting(scene))
        marks["count"].append(answer.count == sum(p.count for p in scene.parts))
    return {k: sum(v) / max(1, len(v)) for k, v in marks.items()}


def train(
    atlas: Atlas,
    options: Options,
    variants: int = 16,
    shape: DetectorConfig = SHAPE,
    checked: int = 512,
    favoured: int | None = None,
) -> Trainer:
    """Train into ``options.out`` as ``train_detector.train`` does, with ``accuracy`` in the log as well."""

    def more(model: Detector, pictures: Tensor, scenes: list[Scene]) -> dict[str, float]:
        return {f"right_{name}": share for name, share in accuracy(model, pictures, scenes).items()}

    return train_detector.train(atlas, options, variants, shape, checked, favoured, seed=SEED, more=more)


def load(folder: Path, device: str, names: list[str] | None = None) -> Detector:
    """The exported classifier, ready to answer; its things are numbered as in ``names`` when these are given.

    Raises KeyError for a name that it was not taught.
    """
    config = DetectorConfig.from_json(json.loads((folder / "config.json").read_text()))
    config = replace(config, things=tuple(names or config.things))
    model = Detector(config)
    model.load_state_dict({k: v.float() for k, v in train_detector.numbered(folder, config.things).items()})
    return model.to(device).eval()
