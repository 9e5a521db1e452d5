"""VQAScore (Lin et al. 2024, arXiv:2404.01291): the chance that a model which sees the picture answers "Yes".

The published formula, P("Yes" | 'Does this figure show "{}"? Please answer yes or no.'), on a model that transformers
runs as it is. The paper's own CLIP-FlanT5 is not among them: values are not comparable with the paper's tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakValueDictionary

from limner.errors import MissingExtra
from limner.evaluate.metric import Embeddings, MetricCard
from limner.evaluate.weights_metric import Weighted
from limner.models.machine import choose_device, choose_dtype, probe
from limner.models.packages import File, Package
from limner.types import Dtype

if TYPE_CHECKING:
    from limner.evaluate.vqa_score_model import Seer
    from limner.types import Pixels, Score

MODEL = ("Qwen/Qwen3-VL-2B-Instruct", "89644892e4d85e24eaac8bacfd4f463576704203")
QUESTION = 'Does this figure show "{}"? Please answer yes or no.'
BACKBONE = "Qwen3-VL-2B-Instruct"
TRAINED = ("Qwen3-VL's own",)
NAMES = ("model.safetensors", "config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
FILES = tuple(File(*MODEL, name, name) for name in NAMES)
OPTIONAL = ("chat_template.jinja", "chat_template.json", "special_tokens_map.json", "generation_config.json")
SIZE, MEMORY = 4_270_000_000, 5_600_000_000

_LOADED: WeakValueDictionary[tuple[object, ...], Seer] = WeakValueDictionary()


class Asking(Weighted):
    """A metric that puts questions to a model which sees. On a device with fast half precision it runs in that, and its
    revision says so: values differ a little between formats."""

    _seer: Seer | None = None

    def __init__(self, folder: Path | None = None, *, device: str | None = None, dtype: Dtype | None = None) -> None:
        machine = probe()
        self.placed = choose_device(device, machine)
        super().__init__(folder, device=device, dtype=dtype or choose_dtype(None, self.placed, machine).dtype)
        half = self.card.memory_bytes
        if self.dtype == "float32" and half is not None:  # the card's figure is that of half precision
            self.__dict__["card"] = self.card.model_copy(update={"memory_bytes": half + SIZE})

    def seer(self) -> Seer:
        """The model, loaded at the first call, once for all metrics that ask it. Raises ``ModelError``."""
        if self._seer is None:
            require()
            from limner.evaluate.vqa_score_model import Seer

            path = self.files()["config.json"]
            key = (path.resolve(), self.placed, self.dtype)
            found = _LOADED.get(key)
            if found is None:
                found = _LOADED[key] = Seer(path.parent, self.placed, self.dtype)
            self._seer = found
        return self._seer


class VqaScore(Asking):
    """One question a picture: does it show the text."""

    package: ClassVar[Package] = Package("vqascore", FILES, OPTIONAL)
    card: ClassVar[MetricCard] = MetricCard(
        name="vqascore",
        title="VQAScore's formula on Qwen3-VL-2B",
        revision=f"1:{MODEL[1][:10]}",
        takes="picture and text",
        scale="P(Yes), 0 to 1; not comparable with the paper's, whose model is another",
        source="Lin et al. 2024, arXiv:2404.01291",
        backbone=BACKBONE,
        training_data=TRAINED,
        licence="Apache-2.0",
        repo=MODEL[0],
        commit=MODEL[1],
        size_bytes=SIZE,
        memory_bytes=MEMORY,
    )

    def score(self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings) -> Sequence[Score]:
        """See ``Metric.score``. One picture at a time: answers do not depend on what else is asked."""
        self.asked(images, texts)
        seer = self.seer()
        values = [seer.yes(pixels, QUESTION.format(text)) for pixels, text in zip(images, texts, strict=True)]
        return self.scores(values, texts)


def require() -> None:
    """Raises ``MissingExtra`` where transformers is not installed."""
    if find_spec("transformers") is None:
        raise MissingExtra("models", ["transformers"])
