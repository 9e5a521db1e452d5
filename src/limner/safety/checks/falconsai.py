"""Falconsai's NSFW classifier: a ViT-base of transformers' at 224 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.models.inspect import read_json
from limner.models.packages import File, Package
from limner.safety.checks.check import CheckCard
from limner.safety.checks.sorting import Sorter, Sorting, unsafe_index

if TYPE_CHECKING:
    import torch

REPO, COMMIT = "Falconsai/nsfw_image_detection", "96cb0d0342c7afb80cab76ecc58b265fa44da256"
HALF = (0.5, 0.5, 0.5)


class Falconsai(Sorting):
    """See its card."""

    package: ClassVar[Package] = Package(
        "falconsai",
        (
            File(REPO, COMMIT, "config.json", "config.json"),
            File(REPO, COMMIT, "model.safetensors", "model.safetensors"),
        ),
        kind="safety",
    )
    card: ClassVar[CheckCard] = CheckCard(
        name="falconsai",
        title="Falconsai nsfw_image_detection",
        revision=f"1:{COMMIT[:10]}",
        categories=("sexual",),
        scale="probability, 0 to 1",
        source="huggingface.co/Falconsai/nsfw_image_detection",
        domain="photographs; trained on 80,000 pictures that are not published",
        reported="98.04 % accuracy on the publisher's own pictures, which are not published",
        limits="sexual content alone: no violence, no gore; knows nothing of age",
        licence="Apache-2.0",
        repo=REPO,
        commit=COMMIT,
        size_bytes=343_000_000,
        memory_bytes=480_000_000,
    )

    def _load(self, files: Mapping[str, Path], device: torch.device) -> Sorter:
        from PIL.Image import Resampling

        from limner.models.nets.vit import Vit, VitConfig, from_transformers
        from limner.models.whole import read_into
        from limner.safety.checks.seeing import Eye

        config = read_json(files["config.json"])
        shape = VitConfig.from_json(config)
        net = read_into(lambda: Vit(shape), files["model.safetensors"], from_transformers, device)
        eye = Eye(shape.image_size, HALF, HALF, Resampling.BILINEAR, squashed=True)
        return Sorter(net, eye, unsafe_index(config.get("id2label"), "falconsai"), device)
