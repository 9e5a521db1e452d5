"""ImageReward (Xu et al. 2023, arXiv:2304.05977): how well people would rate a picture for its prompt.

BLIP reads the text while it looks at the picture; a head makes a number of it, which is shifted and scaled to mean 0
and deviation 1 over its training pictures. It reads 35 tokens, marks included: of a longer text it judges the
beginning, and the score is flagged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tokenizers import Tokenizer

from limner.errors import CorruptFile
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.towers import AT_ONCE, fitting
from limner.evaluate.weights_metric import Weighted, cut
from limner.models.inspect import read_json
from limner.models.machine import choose_device, probe
from limner.models.packages import File, Package

if TYPE_CHECKING:
    from limner.evaluate.towers_blip import Reward
    from limner.types import Pixels, Score

REWARD = ("THUDM/ImageReward", "5736be03b2652728fb87788c9797b0570450ab72")
BERT = ("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594")
LIMIT = 35
MEAN, DEVIATION = 0.16717362830052426, 1.0333394966054072


class ImageReward(Weighted):
    """A text is encoded with the picture, so that nothing of it is shared or cached but within one call."""

    package: ClassVar[Package] = Package(
        "imagereward",
        (
            File(*REWARD, "ImageReward.pt", "model.safetensors"),
            File(*REWARD, "med_config.json", "med_config.json"),
            File(*BERT, "tokenizer.json", "tokenizer.json"),
        ),
    )
    card: ClassVar[MetricCard] = MetricCard(
        name="imagereward",
        title="ImageReward v1.0",
        revision=f"1:{REWARD[1][:10]}",
        takes="picture and text",
        scale="standard deviations of its training pictures, about -2.3 to 2",
        source="Xu et al. 2023, arXiv:2304.05977",
        backbone="BLIP-L",
        training_data=("BLIP's 129 million pairs", "ImageRewardDB"),
        token_limit=LIMIT,
        within_one_text=True,
        licence="Apache-2.0",
        repo=REWARD[0],
        commit=REWARD[1],
        size_bytes=1_787_400_000,
        memory_bytes=2_400_000_000,
    )
    _loaded: tuple[Reward, Tokenizer, str] | None = None

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``."""
        import torch

        from limner.evaluate.towers_pixels import torchvision_crop

        self.asked(images, texts)
        net, tokenizer, device = self._load()
        whole = [_ids(tokenizer, text) for text in texts]
        rewards: list[float] = []
        at_once = AT_ONCE[device.partition(":")[0]]
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            rows = [_kept(ids) for ids in whole[part]]
            longest = max(map(len, rows))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows], device=device)
            mask = torch.tensor([[k < len(row) for k in range(longest)] for row in rows], device=device)
            pictures = [torchvision_crop(pixels, net.config.image_size) for pixels in images[part]]
            with fitting(device), torch.inference_mode():
                batch = torch.stack(pictures).to(device, getattr(torch, self.dtype))
                rewards += net(batch, ids, mask).double().cpu().tolist()
        flags = [cut(LIMIT, len(ids)) for ids in whole]
        return self.scores([(reward - MEAN) / DEVIATION for reward in rewards], texts, flags)

    def _load(self) -> tuple[Reward, Tokenizer, str]:
        if self._loaded is None:
            import torch

            from limner.evaluate.towers_blip import BlipConfig, Reward, names
            from limner.models.whole import read_into

            files = self.files()
            config = BlipConfig.from_json(read_json(files["med_config.json"]))
            device, dtype = choose_device(self.device, probe()), getattr(torch, self.dtype)
            net = read_into(lambda: Reward(config), files["model.safetensors"], names, torch.device(device), dtype)
            self._loaded = net, _tokenizer(files), device
        return self._loaded


def _tokenizer(files: Mapping[str, Path]) -> Tokenizer:
    try:
        tokenizer: Tokenizer = Tokenizer.from_file(str(files["tokenizer.json"]))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CorruptFile(f"BERT's tokenizer cannot be read: {error}", hint="fetch it again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """All ids of a text, [CLS] and [SEP] around it."""
    ids: list[int] = tokenizer.encode(text).ids
    return ids


def _kept(ids: list[int]) -> list[int]:
    """What is read of them: the first and the closing mark."""
    return ids if len(ids) <= LIMIT else [*ids[: LIMIT - 1], ids[-1]]
