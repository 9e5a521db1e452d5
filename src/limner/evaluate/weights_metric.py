"""What scorers with weights of their own have in common: where these lie, what was asked, and Scores of the answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from limner.canonical import file_hash, tagged
from limner.config import Settings
from limner.errors import InvalidRequest, LimnerError, NonFinite
from limner.evaluate.metric import MetricCard
from limner.models.packages import Package, here, opened
from limner.types import Dtype, Score

if TYPE_CHECKING:
    from limner.types import Pixels


class Weighted:
    """A scorer whose weights are fetched, or lie in a ``folder`` under the names its package reads.

    ``device`` left out is the best there is, ``dtype`` left out the card's. A folder's weights and another number
    format are another scorer: its ``card`` says so in its revision, so that no cache confuses the two.
    """

    card: ClassVar[MetricCard]
    package: ClassVar[Package]

    def __init__(self, folder: Path | None = None, *, device: str | None = None, dtype: Dtype | None = None) -> None:
        self.folder, self.device = folder, device
        self.dtype: Dtype = dtype or "float32"
        changed = self._changed()
        if changed:
            self.__dict__["card"] = type(self).card.model_copy(update=changed)  # of this instance alone

    def _changed(self) -> dict[str, object]:
        kind = "" if self.dtype == "float32" else f":{self.dtype}"
        if self.folder is None:
            return {"revision": f"{type(self).card.revision}{kind}"} if kind else {}
        version = type(self).card.revision.partition(":")[0]
        revision = f"{version}:folder-{_folder_hash(self.folder, self.package)}{kind}"
        return {"revision": revision, "repo": None, "commit": None, "verified": "weights of a folder"}

    def missing(self) -> str | None:
        """The command that fetches the weights; ``None`` where they are here. Reads no weights."""
        if self.folder is not None:
            return None
        return None if here(self.package, Settings.load()) is not None else self.package.command()

    def files(self) -> Mapping[str, Path]:
        """Names to checked paths. Raises ``ModelNotFound``, ``UnsafeFile``, ``CorruptFile``."""
        return opened(self.package, Settings.load(), self.folder)

    def scores(
        self, values: Sequence[float], texts: Sequence[str], flags: Sequence[Sequence[str]] | None = None
    ) -> list[Score]:
        """Values as Scores of these texts. Raises ``NonFinite`` for a value that is none."""
        made = []
        for k, value in enumerate(values):
            if not math.isfinite(value):
                raise NonFinite(f"{self.card.name} answered {value} for picture {k + 1}", hint="score it in float32")
            text = texts[k] if self.card.takes == "picture and text" else None
            made.append(
                Score(
                    scorer=self.card.name,
                    revision=self.card.revision,
                    value=float(value),
                    scale=self.card.scale,
                    domain=self.card.domain,
                    text=None if text is None else tagged(text.encode("utf-8", "surrogatepass")),
                    flags=tuple(flags[k]) if flags is not None else (),
                )
            )
        return made

    def asked(self, images: Sequence[Pixels], texts: Sequence[str]) -> None:
        """Raises ``InvalidRequest`` where texts and pictures are not as many, or a text has no words."""
        if len(images) != len(texts):
            raise InvalidRequest(f"{len(images)} pictures and {len(texts)} texts", hint="give one text a picture")
        if self.card.takes == "picture and text" and any(not text.strip() for text in texts):
            raise InvalidRequest(f"{self.card.name} needs a text for every picture", hint="say what it should show")


def cut(limit: int, tokens: int) -> tuple[str, ...]:
    """The flag of a text longer than a scorer reads: the score is of its beginning alone."""
    return (f"text cut: {limit} of {tokens} tokens read",) if tokens > limit else ()


def _folder_hash(folder: Path, package: Package) -> str:
    """Short hash of a folder's weights, or of its name where it lacks them: scoring will say so."""
    try:
        paths = opened(package, Settings.load(), folder)
        weights = sorted(file_hash(path) for name, path in paths.items() if name.endswith(".safetensors"))
    except (LimnerError, OSError):
        weights = [str(folder)]
    return tagged("".join(weights).encode())[7:19]
