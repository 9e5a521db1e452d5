"""How the shipped scorers read renders: ``python -m training.evaluate.readers ATLAS``.

On held-out scenes, laid out loosely and as pocket draws them (layout.py), each picture's own caption is set against one
that is wrong in one fact: how often pocket-clip and pocket-judge, as Limner runs them, prefer the own one, and how
often they side alike.
"""

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limner.evaluate.cache import ScoreCache
from limner.evaluate.pocket_clip import PocketClip
from limner.evaluate.pocket_judge import PocketJudge
from training.captions import caption
from training.data import held_out_scenes
from training.layout import lay_out
from training.negatives import negatives
from training.render import Renderer
from training.sprites import Atlas

SEED = 31  # of the scenes: neither the training's checks' nor the calibration's


def pixels(picture: Tensor) -> np.ndarray:
    """A picture [3, H, W] in [-1, 1] as Limner's pixels [H, W, 3]."""
    return ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def shares(values: dict[str, list[bool]]) -> dict[str, float]:
    """Means, rounded to a tenth of a percent."""
    return {name: round(sum(v) / len(v), 3) for name, v in sorted(values.items())}


def sides(renderer: Renderer, atlas: Atlas, n: int, aligned: bool) -> dict[str, float]:
    """Shares over ``n`` scenes: each scorer over all and by the kind of the wrong fact, and both alike."""
    scenes, _ = held_out_scenes(n, SEED, atlas.things)
    layout = lay_out(scenes, [random.Random(f"readers:{k}") for k in range(n)], aligned)
    pictures = torch.cat([renderer(layout.part(slice(k, k + 32))) for k in range(0, n, 32)])
    clip, judge, cache = PocketClip(), PocketJudge(), ScoreCache(None)
    found: dict[str, list[bool]] = defaultdict(list)
    for k, scene in enumerate(scenes):
        rng = random.Random(f"near:{k}")
        [(kind, other)] = negatives(scene, rng, len(atlas.things), 1)
        texts = [caption(each, atlas.things, rng) for each in (scene, other)]
        image = pixels(pictures[k])
        prefers = []
        for name, scorer in (("clip", clip), ("judge", judge)):
            own, wrong = (score.value for score in scorer.score([image, image], texts, cache))
            prefers.append(own > wrong)
            found[name].append(own > wrong)
            found[f"{name} {kind}"].append(own > wrong)
        found["alike"].append(prefers[0] == prefers[1])
    return shares(found)


def main() -> None:
    """Print both layouts' shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--scenes", type=int, default=256)
    given = parser.parse_args()
    atlas = Atlas.load(given.atlas)
    renderer = Renderer(atlas)
    for name, aligned in (("loose", False), ("aligned", True)):
        print(json.dumps({name: sides(renderer, atlas, given.scenes, aligned)}, indent=1))


if __name__ == "__main__":
    main()
