"""One CLIP in memory for all metrics that stand on it, one pass a picture: embeddings go through the shared cache."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from limner.canonical import tagged
from limner.errors import OutOfMemory
from limner.evaluate.metric import Embeddings
from limner.evaluate.weights_metric import Weighted, cut
from limner.models.family import Files
from limner.models.inspect import read_json
from limner.models.machine import choose_device, probe
from limner.models.tokenizer import Text, read
from limner.types import Dtype

if TYPE_CHECKING:
    from torch import Tensor

    from limner.models.nets.clip_vision import Clip
    from limner.types import Pixels

Rows = NDArray[np.float32]
AT_ONCE = {"cpu": 8, "cuda": 32, "mps": 8}  # pictures a pass

_LOADED: WeakValueDictionary[tuple[object, ...], ClipTower] = WeakValueDictionary()


class ClipTower:
    """A CLIP on a device. Metrics hold it; when the last lets go of it, its memory is free."""

    def __init__(self, files: Mapping[str, Path], config: Mapping[str, object], device: str, dtype: Dtype) -> None:
        import torch

        from limner.evaluate.towers_clip import names
        from limner.models.nets.clip_vision import Clip, ClipConfig
        from limner.models.whole import read_into

        shape = ClipConfig.from_json(read_json(files["config.json"]) if "config.json" in files else config)
        path = files["model.safetensors"]
        self.device, self.dtype = device, dtype
        self.net: Clip = read_into(lambda: Clip(shape), path, names, torch.device(device), getattr(torch, dtype))
        self.words = _words(files)
        self.limit = shape.text.max_position_embeddings
        stat = path.stat()
        self.key = (
            f"clip/{tagged(f'{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}'.encode())[7:23]}/{device}/{dtype}"
        )

    @property
    def scale(self) -> float:
        """What cosines are multiplied by in training: exp(logit_scale)."""
        return float(self.net.logit_scale.double().exp())

    def images(self, images: Sequence[Pixels], cache: Embeddings, prepare: str) -> Rows:
        """Unit embeddings [N, P]; ``prepare`` names the way of :mod:`limner.evaluate.towers_pixels`.

        Raises ``InvalidRequest`` for what is no picture, ``OutOfMemory``.
        """
        from limner.evaluate.towers_pixels import PREPARE, checked

        keys = [f"{self.key}/{prepare}/{pixels_key(checked(pixels))}" for pixels in images]
        side = self.net.config.vision.image_size
        found = self._through(
            keys,
            cache,
            lambda k: PREPARE[prepare](images[k], side),
            self.net.pictures,
            AT_ONCE[self.device.partition(":")[0]],
        )
        return unit(found)

    def texts(self, texts: Sequence[str], cache: Embeddings, *, mend: bool) -> Rows:
        """Unit embeddings [N, P]; what is beyond the limit is not read (see ``tokens``). ``mend`` as in ``tokens``."""
        import torch

        keys = [f"{self.key}/text/{tagged(f'{mend}{text}'.encode('utf-8', 'surrogatepass'))}" for text in texts]
        rows = self._through(keys, cache, lambda k: torch.tensor(self._ids(texts[k], mend)), self.net.texts, 1)
        return unit(rows)

    def tokens(self, text: str, *, mend: bool) -> int:
        """Tokens of a text, two marks included. ``mend`` unescapes and repairs it first, as CLIP's own code does."""
        return self.words.count(mended(text) if mend else text) + 2

    def _ids(self, text: str, mend: bool) -> list[int]:
        ids = self.words.encode(mended(text) if mend else text)[: self.limit - 2]
        return [self.words.bos, *ids, self.words.eos]

    def _through(
        self,
        keys: Sequence[str],
        cache: Embeddings,
        make: Callable[[int], Tensor],
        encode: Callable[[Tensor], Tensor],
        at_once: int,
    ) -> Rows:
        """Rows for keys: from the cache, and the others encoded, a few at a time, and kept there."""
        rows = {key: row for key in dict.fromkeys(keys) if (row := cache.get(key)) is not None}
        new = [key for key in dict.fromkeys(keys) if key not in rows]
        for start in range(0, len(new), at_once):
            part = new[start : start + at_once]
            made = self._encoded([make(keys.index(key)) for key in part], encode)
            for key, row in zip(part, made, strict=True):
                cache.put(key, row)
                rows[key] = row
        return (
            np.stack([rows[key] for key in keys]) if keys else np.zeros((0, self.net.config.projection_dim), np.float32)
        )

    def _encoded(self, inputs: Sequence[Tensor], encode: Callable[[Tensor], Tensor]) -> Rows:
        import torch

        x = torch.stack(list(inputs)).to(self.device)
        with fitting(self.device), torch.inference_mode():
            found = encode(x.to(getattr(torch, self.dtype)) if x.is_floating_point() else x)
        rows: Rows = found.float().cpu().numpy()
        return rows


class fitting:  # noqa: N801  # a context manager reads as a word
    """Turns a device's full memory into ``OutOfMemory``."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            raise OutOfMemory(
                f"the scorer does not fit into the memory of {self.device}",
                hint="score when nothing is being drawn, or with a smaller scorer: limner metrics list",
            ) from error


class ClipMetric(Weighted):
    """A metric on a CLIP. ``prepare`` is how it sees pictures, ``mend`` whether texts are repaired as by CLIP's own
    code, ``config`` the network's where its files bring none."""

    prepare: ClassVar[str] = "torchvision-crop"
    mend: ClassVar[bool] = True
    config: ClassVar[Mapping[str, object]] = {}
    _tower: ClipTower | None = None

    def tower(self) -> ClipTower:
        """The network, loaded at the first call. Raises ``ModelError``."""
        if self._tower is None:
            files = self.files()
            device = choose_device(self.device, probe())
            path = files["model.safetensors"].resolve()
            key = (path, path.stat().st_mtime_ns, device, self.dtype)
            found = _LOADED.get(key)
            if found is None:
                found = _LOADED[key] = ClipTower(files, self.config, device, self.dtype)
            self._tower = found
        return self._tower

    def compared(
        self, images: Sequence[Pixels], texts: Sequence[str], cache: Embeddings
    ) -> tuple[NDArray[np.float64], list[tuple[str, ...]]]:
        """Cosine of each picture with its text, and what is to be flagged of the text: one longer than the network
        reads is read up to there, as published. Raises ``InvalidRequest``, ``ModelError``."""
        self.asked(images, texts)
        tower = self.tower()
        flags = [cut(tower.limit, tower.tokens(text, mend=self.mend)) for text in texts]
        return cosines(tower.images(images, cache, self.prepare), tower.texts(texts, cache, mend=self.mend)), flags


def cosines(pictures: Rows, words: Rows) -> NDArray[np.float64]:
    """Row by row; of unit rows."""
    found: NDArray[np.float64] = (pictures.astype(np.float64) * words.astype(np.float64)).sum(axis=1)
    return found


def unit(rows: Rows) -> Rows:
    """Rows divided by their length."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.where(lengths == 0, 1, lengths)).astype(np.float32)


def pixels_key(pixels: Pixels) -> str:
    """A picture's content as a key."""
    return tagged(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())


def mended(text: str) -> str:
    """What CLIP's own code does to a text before its tokenizer: mis-decoded letters, entities, spaces."""
    import ftfy

    return re.sub(r"\s+", " ", html.unescape(html.unescape(ftfy.fix_text(text)))).strip()


def _words(files: Mapping[str, Path]) -> Text:
    named = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json")
    found = {f"tokenizer/{name}": files[name] for name in named if name in files}
    return read(Files(files["model.safetensors"].parent, found))
