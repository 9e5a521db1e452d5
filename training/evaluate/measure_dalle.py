"""The figures of pocket-dalle: ``python -m training.evaluate.measure_dalle PACK --run RUN --out DIR``.

As ``measure.py``, by the same prompts, marks and classifier, on pictures that the packed model draws through Limner's
loader; the one that is asked of it is ``single``. PSNR is that of the ``vqgan`` stage, whose encoder isn't packed.
"""

import argparse
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from training import dalle, pack_dalle, pocket, train_classifier, train_vqgan
from training.evaluate import measure
from training.evaluate.prompts import LIST
from training.loop import pick_device
from training.sprites import Atlas
from training.vq_nets import PictureTokenizer

KINDS = ("place", "colour")  # whose prompts count for ``single``


@dataclass(frozen=True)
class Sample:
    """A reconstruction as an autoencoder of diffusers gives it."""

    sample: Tensor


class Reconstructing(nn.Module):
    """A tokenizer of pictures in an autoencoder's place: pictures in [-1, 1] through their codes."""

    def __init__(self, tokenizer: PictureTokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, pictures: Tensor) -> Sample:
        return Sample(train_vqgan.reconstructed(self.tokenizer, (pictures + 1) / 2) * 2 - 1)


@dataclass(frozen=True)
class Drawn:
    """What ``measure`` asks of a model beside its pictures."""

    vae: Reconstructing


def figures_of(
    pack: Path, run: Path, atlas: Atlas, rows: list[dict[str, object]], device: str, *, guidance: float, top_k: int,
    variants: int = 16,
) -> measure.Figures:  # fmt: skip
    """``measure``'s figures of a packed folder; ``run`` holds ``vqgan`` and ``classifier``."""
    drawn = pack_dalle.load_pack(pack, device)
    judge = train_classifier.load(run / "classifier", device, names=[t.name for t in atlas.things])
    beside = Drawn(Reconstructing(train_vqgan.load(run / "vqgan", device)))
    return measure.measure(
        cast(pocket.Pocket, beside),
        partial(drawn.draw, guidance=guidance, top_k=top_k),
        judge,
        atlas,
        rows,
        variants=variants,
        how=f"super conditioning {guidance}, top-k {top_k}",
    )


def main() -> None:
    """Measure a pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="the run's folder: atlas.png, classifier/, vqgan/")
    parser.add_argument("--atlas", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--things", type=int, help="only prompts about the first so many things")
    parser.add_argument("--limit", type=int, help="at most so many prompts, spread over the kinds")
    parser.add_argument("--all", action="store_true", help="prompts of every kind, not only those of single things")
    parser.add_argument("--guidance", type=float, default=dalle.GUIDANCE)
    parser.add_argument("--top-k", type=int, default=dalle.TOP_K)
    given = parser.parse_args()
    atlas = Atlas.load(given.atlas or given.run / "atlas.png")
    rows = [json.loads(line) for line in LIST.read_text().splitlines()]
    known = {t.name for t in atlas.things[: given.things]}
    rows = [r for r in rows if known.issuperset(r["things"]) and (given.all or r["kind"] in KINDS)]
    if given.limit:
        rows = rows[:: max(1, len(rows) // given.limit)][: given.limit]
    device = pick_device(given.device)
    figures = figures_of(given.pack, given.run, atlas, rows, device, guidance=given.guidance, top_k=given.top_k)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    (given.out / "figures.md").write_text(measure.markdown(figures))
    print(measure.markdown(figures))


if __name__ == "__main__":
    main()
