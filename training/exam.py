"""Questions about held-out renders, put to a detector: its calibration, and its marks by kind of question."""

import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limner.evaluate.nets.detector import COLOURS, GROUNDS, PLACES, SIDE, TIMES, Detector, Seen
from limner.evaluate.pocket_sight import Fact, Line, Logits, Names, Sight, logit
from training import captions_judge
from training.data import held_out_scenes
from training.render import Renderer
from training.scene import Scene
from training.sprites import Atlas

NAMES = Names(COLOURS, PLACES, TIMES, GROUNDS)
ASKED = 6  # questions a picture
_MARKED, _CALIBRATED = 15, 25  # seeds of the held-out scenes


@dataclass(frozen=True)
class Said:
    """What was asked, what was seen, and the truth."""

    fact: Fact
    sight: Sight
    truth: bool


def sights(model: Detector, pictures: Tensor, calibration: Mapping[str, Line] | None = None) -> list[Sight]:
    """What a detector sees of pictures [B, 3, S, S]."""
    found: list[Sight] = []
    with torch.inference_mode():
        for part in pictures.split(64):
            seen: Seen = model(part)
            arrays = [t.float().cpu().numpy().astype(np.float64) for t in seen]
            found += [Sight(Logits(*(a[k] for a in arrays)), NAMES, calibration or {}) for k in range(len(part))]
    return found


class Marker:
    """``checked`` held-out scenes to be marked by, and as many others to calibrate by."""

    def __init__(self, atlas: Atlas, renderer: Renderer, checked: int) -> None:
        self._atlas = atlas
        self._scenes: list[list[Scene]] = []
        self._pictures: list[Tensor] = []
        for seed in (_MARKED, _CALIBRATED):
            scenes, layout = held_out_scenes(checked, seed, atlas.things)
            parts = [layout.part(slice(k, k + 64)) for k in range(0, checked, 64)]
            # What every detector does first to a picture is done once: a quarter of the memory.
            self._pictures.append(torch.cat([F.avg_pool2d(renderer(part), renderer.size // SIDE) for part in parts]))
            self._scenes.append(scenes)

    @property
    def held_out(self) -> tuple[Tensor, list[Scene]]:
        """The pictures [N, 3, 128, 128] to mark by and their scenes."""
        return self._pictures[0], self._scenes[0]

    def answers(self, model: Detector, which: int) -> list[Said]:
        """The answers about the scenes to mark by (0) or to calibrate by (1)."""
        rng = random.Random(which)
        seen = sights(model, self._pictures[which])
        pairs = zip(self._scenes[which], seen, strict=True)
        return [said for scene, sight in pairs for said in _put(scene, sight, self._atlas, rng)]

    def marks(self, model: Detector, calibration: dict[str, Line]) -> dict[str, float]:
        """Share of right answers by kind and over all, and the mean squared error of the probabilities (Brier)."""
        right: dict[str, list[bool]] = defaultdict(list)
        error = []
        for each in self.answers(model, 0):
            p = each.sight.through(calibration).yes(each.fact)
            error.append((p - each.truth) ** 2)
            for name in (each.fact.kind, "all"):
                right[name].append((p > 0.5) == each.truth)
        shares = {f"atom_{k}": sum(v) / len(v) for k, v in sorted(right.items())}
        return shares | {"brier": sum(error) / max(1, len(error))}


def _put(scene: Scene, sight: Sight, atlas: Atlas, rng: random.Random) -> list[Said]:
    asked = captions_judge.questions(scene, atlas.things, rng, ASKED)
    return [Said(Fact(q.kind, q.things, q.value), sight, q.truth) for q in asked]


def fitted(said: list[Said]) -> dict[str, Line]:
    """For each kind of question the line that makes its logits probabilities: logistic regression (Platt 1999)."""
    by_kind: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for each in said:
        by_kind[each.fact.kind].append((each.sight.raw(each.fact), each.truth))
    return {kind: line(answers) for kind, answers in sorted(by_kind.items())}


def line(answers: list[tuple[float, bool]], steps: int = 60, ridge: float = 1.0) -> Line:
    """The line through the logits of (chance, truth)s.

    Newton's method; the ridge pulls towards leaving the logits as they are, which decides where answers are few.
    """
    x = np.array([[logit(chance), 1.0] for chance, _ in answers])
    y = np.array([truth for _, truth in answers], np.float64)
    start = np.array([1.0, 0.0])
    w = start.copy()
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(x @ w).clip(-30, 30)))
        gradient = x.T @ (p - y) + ridge * (w - start)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        w = w - step / max(1.0, float(np.abs(step).max()))  # far from the answer Newton's own steps are too bold
    return max(float(w[0]), 0.05), float(w[1])
