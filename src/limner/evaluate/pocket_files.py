"""What the two pocket scorers share: their folders, their words, and how they are shown a picture.

A folder holds ``model.safetensors``, ``config.json``, and ``card.json`` with what changes when better weights replace
it: ``revision``, ``verified``, ``size_bytes``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from limner.errors import CorruptFile, InvalidRequest, ModelNotFound
from limner.evaluate.model_free import checked
from limner.evaluate.pocket_words import ASSETS

if TYPE_CHECKING:
    from torch import Tensor

    from limner.types import Pixels

WORLD = "emoji scenes"  # as the built-in models' cards call it
SIDE = 256  # pixels of the pictures both are shown
WEIGHTS = "model.safetensors"
PREPARED = "2"  # changes whenever a picture would be shown to them otherwise
_WORD = re.compile(r"[a-z0-9'\-]+")


class Facts(NamedTuple):
    """What a folder's card.json says."""

    revision: str
    verified: str
    size_bytes: int | None


class Tokens(NamedTuple):
    """A text as numbers, and what weakens a score of it: words cut off, words that the scorer was never taught."""

    ids: list[int]
    flags: tuple[str, ...]


def facts(folder: Path) -> Facts:
    """Of a folder's card.json; without one, the facts of a scorer that is not there."""
    try:
        told = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        return Facts(f"{told['revision']}-{PREPARED}", str(told["verified"]), int(told["size_bytes"]))
    except OSError:
        return Facts(f"none-{PREPARED}", "not trained yet", None)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(f"{folder / 'card.json'} is damaged", hint="install Limner again") from error


@dataclass(frozen=True)
class Folder:
    """Where a pocket scorer's files are, by default among Limner's own."""

    path: Path
    name: str

    @classmethod
    def of(cls, name: str, given: Path | None) -> Folder:
        return cls(ASSETS / name.replace("-", "_") if given is None else given, name)

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    def missing(self) -> str | None:
        """The command that makes the weights, where they are not there."""
        if self.weights.is_file():
            return None
        stage, run = self.name.removeprefix("pocket-"), "training/runs/pocket"
        return (
            f".venv/bin/python -m training.run --stage {stage} --out {run} --minutes 60 && "
            f".venv/bin/python -m training.pack_scorers {run} src/limner/assets"
        )

    @cached_property
    def config(self) -> Mapping[str, object]:
        """The config.json. Raises ``ModelNotFound``, ``CorruptFile``."""
        if (command := self.missing()) is not None:
            raise ModelNotFound(f"the weights of {self.name} are not at {self.path}", hint=f"make them: {command}")
        try:
            told = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorruptFile(f"{self.path / 'config.json'} cannot be read", hint="install Limner again") from error
        if not isinstance(told, dict):
            raise CorruptFile(f"{self.path / 'config.json'} holds no settings", hint="install Limner again")
        return told

    @cached_property
    def vocab(self) -> Mapping[str, int]:
        """The words it was taught, numbered. Raises ``ModelNotFound``, ``CorruptFile``."""
        words = self.config.get("vocab")
        if not isinstance(words, dict):
            raise CorruptFile(f"{self.path / 'config.json'} has no vocab", hint="install Limner again")
        return {str(word): int(number) for word, number in words.items()}

    def tokens(self, text: str, length: int) -> Tokens:
        """``<bos> words <eos>``, padded to ``length``. A longer text is cut, and flagged."""
        words = _WORD.findall(text.lower())
        kept = words[: length - 2]
        strange = list(dict.fromkeys(word for word in kept if word not in self.vocab))
        flags = [f"only {len(kept)} of {len(words)} words were read"] if len(kept) < len(words) else []
        flags += [f"words it was never taught: {' '.join(strange)}"] if strange else []
        unknown = self.vocab["<unk>"]
        ids = [self.vocab["<bos>"], *(self.vocab.get(word, unknown) for word in kept), self.vocab["<eos>"]]
        return Tokens(ids + [self.vocab["<pad>"]] * (length - len(ids)), tuple(flags))


def as_many(images: Sequence[Pixels], texts: Sequence[str]) -> None:
    """Raises ``InvalidRequest`` where pictures and texts are not as many."""
    if len(images) != len(texts):
        raise InvalidRequest(f"{len(images)} pictures and {len(texts)} texts", hint="give one text a picture")


def shown(images: Sequence[Pixels]) -> Tensor:
    """Pictures [H, W, 3] as the scorers see them: float32 [N, 3, 256, 256] in [-1, 1].

    The longer side becomes 256 pixels (bicubic); what is not square is widened by its own rim, since no render that
    they were trained on was cut or squeezed. Raises ``InvalidRequest`` for what is no picture.
    """
    import numpy as np
    import torch
    from PIL import Image

    rows = []
    for image in images:
        height, width = checked(image).shape[:2]
        scale = SIDE / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        gaps = [((SIDE - n) // 2, SIDE - n - (SIDE - n) // 2) for n in pixels.shape[:2]]
        rows.append(np.pad(pixels, [*gaps, (0, 0)], mode="edge"))
    return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
