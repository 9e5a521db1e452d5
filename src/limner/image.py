"""A finished picture with its Record, as the library's users hold it."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from limner.types import Picture

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

    from limner.marking import Marking


@dataclass(frozen=True, slots=True, eq=False)
class Image(Picture):
    """Pixels (height x width x 3, uint8), the birth Record, and where it is kept (``id``, ``path``), if it is.

    The pixels are as they were drawn. Files carry the marks that the Record names: ``marking`` makes them (default:
    with the user's settings), ``parent`` is the file it was drawn over, and ``kept`` the tagged hash of the library's
    file. Notebooks show a picture as the picture it is.
    """

    marking: Marking | None = field(default=None, repr=False)
    parent: Path | None = field(default=None, repr=False)
    kept: str | None = field(default=None, repr=False)

    @property
    def pil(self) -> PilImage:
        """A Pillow image of its own: the pixels as they were drawn, without marks or Record."""
        from PIL import Image as PillowImage

        return PillowImage.fromarray(self.pixels)

    def save(self, path: str | Path) -> Path:
        """Write PNG, JPEG or WebP by the name's ending, with the Record and its marks. Raises ``StorageError``."""
        from limner.disk import write_atomic

        target = Path(path)
        write_atomic(target, self.encode(target.suffix.lower()))
        return target

    def encode(self, suffix: str = ".png") -> bytes:
        """The file's bytes: in the format of the library's own file those, else marked anew from the pixels as drawn.

        What could not be marked is warned of (``UserWarning``), and said in the Record inside. Raises
        ``InvalidRequest``."""
        from limner.library.files import format_of

        format = format_of(Path(f"picture{suffix}"))
        if (data := self._library_file(suffix)) is not None:
            return data
        from limner.marking import TOLD, Marking

        if (marking := self.marking) is None:
            from limner.config import Settings

            marking = Marking.of(Settings.load())
        file = marking.file(self.pixels, self.record, format, parent=self.parent)
        for notice in file.record.notices:
            if notice.code in TOLD and notice not in self.record.notices:
                warnings.warn(notice.message, stacklevel=3)
        return file.data

    def _library_file(self, suffix: str) -> bytes | None:
        """The library's own file, where it is of this format and still as it was written."""
        if self.path is None or self.kept is None or Path(self.path).suffix.lower() != suffix:
            return None
        from limner.canonical import tagged

        try:
            data = Path(self.path).read_bytes()
        except OSError:
            return None
        return data if tagged(data) == self.kept else None

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.pil.save(buffer, "png")
        return buffer.getvalue()

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<limner.Image {width}x{height} {self.record.prompt[:40]!r} seed {self.record.seed.text()}>"
