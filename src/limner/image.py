"""A finished picture with its Record, as the library's users hold it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limner.types import Picture

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage


@dataclass(frozen=True, slots=True, eq=False)
class Image(Picture):
    """Pixels (height x width x 3, uint8), the birth Record, and where it is kept (``id``, ``path``), if it is.

    Notebooks show it as the picture it is.
    """

    @property
    def pil(self) -> PilImage:
        """A Pillow image of its own."""
        from PIL import Image as PillowImage

        return PillowImage.fromarray(self.pixels)

    def save(self, path: str | Path) -> Path:
        """Write PNG, JPEG or WebP by the name's ending, with the Record inside. Raises ``StorageError``."""
        from limner.disk import write_atomic

        target = Path(path)
        write_atomic(target, self.encode(target.suffix.lower()))
        return target

    def encode(self, suffix: str = ".png") -> bytes:
        """The file's bytes, Record and A1111 text included."""
        from limner.library.files import encode, format_of
        from limner.sampling.catalog import A1111_NAMES

        return encode(self.pixels, self.record, format_of(Path(f"picture{suffix}")), sampler_names=A1111_NAMES)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.pil.save(buffer, "png")
        return buffer.getvalue()

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<limner.Image {width}x{height} {self.record.prompt[:40]!r} seed {self.record.seed.text()}>"
