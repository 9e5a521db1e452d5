"""Marqo's small NSFW classifier: a ViT-tiny of timm's at 384 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.errors import CorruptFile
from limner.models.inspect import read_header, read_json
from limner.models.packages import File, Package
from limner.safety.checks.check import CheckCard
from limner.safety.checks.sorting import Sorter, Sorting, unsafe_index

if TYPE_CHECKING:
    import torch

REPO, COMMIT = "Marqo/nsfw-image-detection-384", "0c26ec22111b83f106d72a55f611ec35962bcb65"


class Marqo(Sorting):
    """See its card."""

    package: ClassVar[Package] = Package(
        "marqo",
        (
            File(REPO, COMMIT, "config.json", "config.json"),
            File(REPO, COMMIT, "model.safetensors", "model.safetensors"),
        ),
        kind="safety",
    )
    card: ClassVar[CheckCard] = CheckCard(
        name="marqo",
        title="Marqo nsfw-image-detection-384",
        revision=f"1:{COMMIT[:10]}",
        categories=("sexual",),
        scale="probability, 0 to 1",
        source="huggingface.co/Marqo/nsfw-image-detection-384",
        domain="photographs, drawings and generated pictures, says its publisher",
        reported="98.56 % accuracy on the publisher's own 20,000 pictures, which are not published",
        limits="sexual content alone: no violence, no gore; knows nothing of age",
        licence="Apache-2.0",
        repo=REPO,
        commit=COMMIT,
        size_bytes=22_400_000,
        memory_bytes=120_000_000,
    )

    def _load(self, files: Mapping[str, Path], device: torch.device) -> Sorter:
        from limner.models.nets.vit import Vit, VitConfig
        from limner.models.whole import read_into
        from limner.safety.checks.seeing import Eye

        config, path = read_json(files["config.json"]), files["model.safetensors"]
        shape = VitConfig.of_shapes({name: each.shape for name, each in read_header(path).tensors.items()})
        seen = config.get("pretrained_cfg")
        if not isinstance(seen, Mapping):
            raise CorruptFile("the config.json of marqo does not say how it sees pictures", hint="fetch it again")
        mean, std = (_three(seen.get(key)) for key in ("mean", "std"))
        net = read_into(lambda: Vit(shape), path, dict, device)
        labels = config.get("label_names", seen.get("label_names"))
        return Sorter(net, Eye(shape.image_size, mean, std), unsafe_index(labels, "marqo"), device)


def _three(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(each, int | float) for each in value):
        raise CorruptFile("the config.json of marqo has no mean and std of three colours", hint="fetch it again")
    return tuple(float(each) for each in value)
