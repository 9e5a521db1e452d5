"""Published numbers that a scorer must reproduce, on its authors' own example pictures, which the user fetches.

Torch-free until one is run. What cannot be run is said, never passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from limner.config import Settings
from limner.errors import LimnerError, StorageError, UnreadablePicture
from limner.evaluate.metric import Metric, MetricCard
from limner.models.machine import choose_device, probe
from limner.models.packages import opened
from limner.types import now

if TYPE_CHECKING:
    from limner.types import Pixels

TOLERANCE = 0.01  # of the published number


@dataclass(frozen=True, slots=True)
class Anchor:
    """``pictures`` (paths in ``repo``) scored against ``texts`` gave ``published``: one number each, or their mean.

    ``doubt`` is what makes a difference there prove nothing.
    """

    metric: str
    repo: str
    pictures: tuple[str, ...]
    texts: tuple[str, ...]
    published: tuple[float, ...]
    doubt: str = ""


_CATS = ("example/images/image1.jpg", "example/images/image2.jpg")
_OCEAN = "a painting of an ocean with clouds and birds, day time, low depth field effect"
ANCHORS = (
    Anchor(
        "clip-b32",
        "jmhessel/clipscore",
        _CATS,
        (
            "an orange cat and a grey cat are lying together.",
            "a black dog wearing headphones looks at the camera as an orange cat walks in the background.",
        ),
        (0.8585,),  # on a CPU; 0.8584 on a GPU
    ),
    Anchor(
        "clip-b32",
        "jmhessel/clipscore",
        _CATS,
        (
            "a calico cat and a white cat are lying together.",
            "a black dog wearing a hat looks at the camera as a tabby walks in the background.",
        ),
        (0.7153,),
    ),
    Anchor(
        "hps",
        "tgxs002/HPSv2",
        ("hpsv2/assets/demo_image.jpg", "assets/demo_image.jpg"),
        ("A cat with two horns on its head",),
        (0.2876,),
        "reported by a user who did not say whether of version 2.0 or 2.1",
    ),
    Anchor(
        "imagereward",
        "THUDM/ImageReward",
        tuple(f"assets/images/{k}.webp" for k in range(1, 5)),
        (_OCEAN,) * 4,
        (0.5811622738838196, 0.2745276093482971, -1.4131819009780884, -2.029569625854492),
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``passed``, ``differs`` or ``not run``; ``said`` is the figure, or what was lacking. ``published`` is false for a
    test of the weights alone, which says nothing of a score."""

    metric: str
    status: Literal["passed", "differs", "not run"]
    said: str
    published: bool = False


def remember(metric: Metric, outcomes: Sequence[Outcome], settings: Settings) -> None:
    """Note that a metric at its revision gave the published numbers here, or forget it where one differs.

    Raises ``StorageError``.
    """
    told, name = _notes(settings), metric.card.name
    statuses = {outcome.status for outcome in outcomes if outcome.metric == name}
    if "differs" in statuses:
        told.pop(name, None)
    elif any(outcome.status == "passed" and outcome.published for outcome in outcomes if outcome.metric == name):
        machine = probe()
        gpu = machine.gpu(choose_device(None, machine))
        where = gpu.name if gpu is not None else machine.cpu or machine.arch
        told[name] = {"revision": metric.card.revision, "date": now()[:10], "machine": where}
    else:
        return
    path = _file(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told, indent=2), "utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}", hint="check the folder") from None


def verified(card: MetricCard, settings: Settings) -> str:
    """What is known of a metric's numbers: the card's word, or when and where its self-test passed at this revision."""
    note = _notes(settings).get(card.name, {})
    if note.get("revision") != card.revision:
        return card.verified
    return f"published numbers ({note.get('date')}, {note.get('machine')})"


def _file(settings: Settings) -> Path:
    return settings.data / "metrics" / "selftest.json"


def _notes(settings: Settings) -> dict[str, dict[str, str]]:
    try:
        told: object = json.loads(_file(settings).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    entries = told.items() if isinstance(told, dict) else ()
    return {str(name): note for name, note in entries if isinstance(note, dict)}


def run(metric: Metric, pictures: Path | None, settings: Settings) -> Iterator[Outcome]:
    """All self-tests of a metric. ``pictures`` is a folder with the example pictures: a copy of the authors'
    repository, or the bare files."""
    name = metric.card.name
    if (command := metric.missing()) is not None:
        yield Outcome(name, "not run", f"its weights are not here: {command}")
        return
    mine = [anchor for anchor in ANCHORS if anchor.metric == name]
    if name == "aesthetic":
        yield _collapse(settings)
    elif not mine:
        yield Outcome(name, "not run", "nothing was published that could be compared")
    for anchor in mine:
        yield _anchored(anchor, metric, pictures)


def _collapse(settings: Settings) -> Outcome:
    """The head's five layers against the one map that runs."""
    from limner.evaluate.aesthetic import TOLERANCE as NEAR
    from limner.evaluate.aesthetic import Aesthetic, Affine

    try:
        off = Affine.read(opened(Aesthetic.package, settings)["head.safetensors"]).difference()
    except LimnerError as error:
        return Outcome("aesthetic", "differs", error.message)
    return Outcome("aesthetic", "passed", f"five layers and one map differ by {off:.1e} at most, {NEAR:g} allowed")


def _anchored(anchor: Anchor, metric: Metric, folder: Path | None) -> Outcome:
    wanted = anchor.pictures[: len(anchor.texts)] if not anchor.doubt else anchor.pictures
    found = [] if folder is None else _found(wanted, folder, len(anchor.texts))
    if len(found) < len(anchor.texts):
        what = ", ".join(dict.fromkeys(Path(each).name for each in wanted))
        return Outcome(
            anchor.metric,
            "not run",
            f"its example pictures are not here ({what}): clone github.com/{anchor.repo} and give --pictures FOLDER",
        )
    from limner.evaluate.cache import ScoreCache

    try:
        scores = metric.score([_read(path) for path in found], anchor.texts, ScoreCache(None))
    except LimnerError as error:
        return Outcome(anchor.metric, "not run", error.message)
    values = np.array([score.value for score in scores])
    got = values if len(anchor.published) == len(values) else values.mean(keepdims=True)
    return _compared(anchor, got.tolist())


def _compared(anchor: Anchor, got: Sequence[float]) -> Outcome:
    shown = ", ".join(f"{a:.4f} (published {b:.4f})" for a, b in zip(got, anchor.published, strict=True))
    if all(abs(a - b) <= TOLERANCE * abs(b) for a, b in zip(got, anchor.published, strict=True)):
        return Outcome(anchor.metric, "passed", shown, published=True)
    if anchor.doubt:
        return Outcome(anchor.metric, "not run", f"{shown}: proves nothing, {anchor.doubt}")
    return Outcome(anchor.metric, "differs", shown)


def _found(names: Sequence[str], folder: Path, count: int) -> list[Path]:
    """The first ``count`` of the files that are there, below the folder or bare in it."""
    places = [next((p for p in (folder / name, folder / Path(name).name) if p.is_file()), None) for name in names]
    return list(dict.fromkeys(place for place in places if place is not None))[:count]


def _read(path: Path) -> Pixels:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise UnreadablePicture(
            f"{path.name} is not a picture, or is damaged", hint=f"fetch it again: {error}"
        ) from None
