"""A picture in the terminal: real pixels where it can show them (Sixel, Kitty), two pixels a character elsewhere."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from limner.types import Pixels

ROWS = 16  # lines of a picture shown after drawing: all of it visible beside the text around it
PREVIEW_ROWS = 12


def can_show() -> bool:
    """Whether stdout is a terminal a picture makes sense on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") != "dumb"


def show(picture: Path | Pixels, *, rows: int = ROWS) -> None:
    """Print a picture to stdout, ``rows`` lines high. The caller asks ``can_show`` first. Never raises for a terminal
    that cannot do it; raises ``UnreadablePicture`` and its kin for a file that is no picture."""
    from limner.cli.console import console

    console().print(rendered(_pil(picture), rows=rows))


def rendered(image: PilImage, *, rows: int = ROWS) -> RenderableType:
    """The best rendering this terminal takes. Asking the terminal reads its answer from stdin, so both must be one."""
    if not (sys.stdin.isatty() and can_show()):
        return HalfBlocks(image, rows)
    try:
        from textual_image.renderable import HalfcellImage, Image, UnicodeImage
    except ImportError:
        return HalfBlocks(image, rows)
    if Image in (HalfcellImage, UnicodeImage):
        return HalfBlocks(image, rows)
    return cast("RenderableType", Image(image, width="auto", height=rows))


@dataclass(frozen=True, slots=True)
class HalfBlocks:
    """A picture of ``rows`` lines in upper half blocks: the foreground is the upper pixel, the background the lower."""

    image: PilImage
    rows: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.color import Color
        from rich.segment import Segment
        from rich.style import Style

        height = min(self.rows, max(1, options.max_height - 2)) * 2
        width = max(1, round(self.image.width * height / self.image.height))
        if width > options.max_width:
            width, height = options.max_width, max(2, round(height * options.max_width / width) // 2 * 2)
        pixels = self.image.convert("RGB").resize((width, height)).load()
        assert pixels is not None
        for y in range(0, height, 2):
            for x in range(width):
                over, under = (cast("tuple[int, int, int]", pixels[x, y + k]) for k in (0, 1))
                yield Segment("▀", Style(color=Color.from_rgb(*over), bgcolor=Color.from_rgb(*under)))
            yield Segment.line()


def _pil(picture: Path | Pixels) -> PilImage:
    from PIL import Image

    if isinstance(picture, Path):
        from limner.library.files import decode

        picture = decode(picture)
    return Image.fromarray(picture)
