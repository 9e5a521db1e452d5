"""The sprite atlas: every thing of the world drawn once from the colour emoji font, with the names it goes by.

Building needs the font, Pillow with raqm, and CLDR; using the saved atlas needs only numpy, so a machine without them
(a bare GPU box) is handed the file.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from training.world import Thing, things

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
SIDE = 128  # pixels of one atlas cell
INNER = 120  # the thing's longer side inside it: a clear border keeps bilinear sampling clean
_STRIKE = 109  # the font's only bitmap size


@dataclass(frozen=True)
class Atlas:
    """``pixels``: [N, SIDE, SIDE, 4] uint8, straight alpha; ``gain``: [N] float32, evens their mean lightness."""

    things: tuple[Thing, ...]
    pixels: np.ndarray
    gain: np.ndarray

    def save(self, path: Path) -> None:
        """One PNG of all cells side by side, the names in its text chunk: small, and anything can look at it."""
        n, columns = len(self.things), 16
        rows = -(-n // columns)
        cells = np.zeros((rows * columns, SIDE, SIDE, 4), np.uint8)
        cells[:n] = self.pixels
        sheet = cells.reshape(rows, columns, SIDE, SIDE, 4).swapaxes(1, 2).reshape(rows * SIDE, columns * SIDE, 4)
        text = PngImagePlugin.PngInfo()
        text.add_text("things", json.dumps([asdict(t) for t in self.things], ensure_ascii=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(path, pnginfo=text, optimize=True)

    @classmethod
    def load(cls, path: Path) -> "Atlas":
        """Read what ``save`` wrote."""
        with Image.open(path) as image:
            rows = json.loads(image.info["things"])
            sheet = np.asarray(image.convert("RGBA"))
        cells = sheet.reshape(sheet.shape[0] // SIDE, SIDE, sheet.shape[1] // SIDE, SIDE, 4).swapaxes(1, 2)
        pixels = np.ascontiguousarray(cells.reshape(-1, SIDE, SIDE, 4)[: len(rows)])
        known = tuple(Thing(r["name"], tuple(map(tuple, r["names"])), r["emoji"], r["group"]) for r in rows)
        return cls(known, pixels, _gain(pixels))


def _draw(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    """The glyph cropped to its ink, scaled to INNER and centred in a cell; None when the font has none."""
    image = Image.new("RGBA", (5 * SIDE, 2 * SIDE), (0, 0, 0, 0))
    ImageDraw.Draw(image).text((SIDE // 2, SIDE // 4), emoji, font=font, embedded_color=True)
    box = image.getbbox()
    if box is None or box[2] - box[0] > 1.25 * SIDE:  # a sequence the font doesn't join prints several glyphs
        return None
    glyph = image.crop(box)
    scale = INNER / max(glyph.size)
    size = (max(1, round(glyph.width * scale)), max(1, round(glyph.height * scale)))
    # Premultiplied while resizing, so that clear pixels lend no colour to the edge.
    glyph = glyph.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    cell = Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0))
    cell.paste(glyph, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return cell


def _gain(pixels: np.ndarray) -> np.ndarray:
    """Factor that lifts or lowers a sprite's mean lightness to 0.62, so that a tint shows on dark things too."""
    alpha = pixels[..., 3] / 255.0
    light = (pixels[..., :3] @ np.array([0.30, 0.59, 0.11])) / 255.0
    mean = (light * alpha).sum((1, 2)) / np.maximum(alpha.sum((1, 2)), 1e-3)
    return np.clip(0.62 / np.maximum(mean, 1e-3), 0.75, 2.2).astype(np.float32)


def build(everything: bool = False, limit: int | None = None) -> Atlas:
    """Draw the atlas from the installed font. Things the font cannot draw are left out of ``everything``'s extras."""
    font = ImageFont.truetype(str(FONT), _STRIKE)
    kept, cells = [], []
    for thing in things(everything, limit):
        cell = _draw(thing.emoji, font)
        if cell is not None:
            kept.append(thing)
            cells.append(np.asarray(cell))
        elif thing.group != "others":
            raise KeyError(f"the font cannot draw {thing.name!r}")
    pixels = np.stack(cells)
    return Atlas(tuple(kept), pixels, _gain(pixels))


def atlas(path: Path, everything: bool = False, limit: int | None = None) -> Atlas:
    """The atlas at ``path``, built there first when missing."""
    if not path.exists():
        build(everything, limit).save(path)
    return Atlas.load(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--everything", action="store_true", help="all usable emoji, not only things.txt")
    options = parser.parse_args()
    made = build(options.everything)
    made.save(options.path)
    print(f"{len(made.things)} things, {options.path.stat().st_size / 2**20:.1f} MiB")
