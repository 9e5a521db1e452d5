"""The figures of pocket-dalle: ``python -m training.evaluate.measure_dalle PACK --run RUN --out DIR``.

As ``measure.py``, by the same prompts, marks and classifier, on pictures that the packed model draws through Limner's
loader; the one that is asked of it is ``single``. PSNR is that of RUN's ``vqgan`` stage, whose encoder isn't packed.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from torch import Tensor, nn

from training import dalle, pack_dalle, pocket, train_classifier, train_vqgan
from training.evaluate import measure
from training.evaluate.prompts import held_out
from training.loop import pick_device
from training.sprites import Atlas
from training.vq_nets import PictureTokenizer


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
    drawn: dalle.Dalle, run: Path, atlas: Atlas, rows: list[dict[str, object]], device: str, *, guidance: float,
    top_k: int, variants: int = 16,
) -> measure.Figures:  # fmt: skip
    """``measure``'s figures of a packed model; ``run`` holds ``vqgan`` and ``classifier``."""
    judge = train_classifier.load(run / "classifier", device, names=[t.name for t in atlas.things])
    beside = Drawn(Reconstructing(train_vqgan.load(run / "vqgan", device)))
    return measure.measure(
        cast(pocket.Pocket, beside),
        partial(drawn.draw, guidance=guidance, top_k=top_k),
        judge,
        atlas,
        rows,
        variants=variants,
        side=drawn.vqgan.config.resolution,
        centred=True,
        how=f"super conditioning {guidance}, top-k {top_k}",
    )


def main() -> None:
    """Measure a pack."""
    parser = measure.arguments(__doc__)
    parser.add_argument("--guidance", type=float, default=dalle.GUIDANCE)
    parser.add_argument("--top-k", type=int, default=dalle.TOP_K)
    given = parser.parse_args()
    atlas = Atlas.load(given.atlas or given.run / "atlas.png")
    known = (t.name for t in atlas.things[: given.things])
    rows = held_out(known, given.limit)
    device = pick_device(given.device)
    drawn, how = pack_dalle.load_pack(given.pack, device), {"guidance": given.guidance, "top_k": given.top_k}
    measure.write(figures_of(drawn, given.run, atlas, rows, device, **how), given.out)
    measure.show(partial(drawn.draw, **how), rows, given.out)


if __name__ == "__main__":
    main()
