"""The grid picture: arms below each other, seeds or prompts beside each other, with labels; no best ones alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from limner.library.embed import DIGITAL_SOURCE
from limner.refine.compare_study import Study
from limner.refine.pairs import Paired
from limner.types import Pixels

SIDE = 192
GAP, LABEL, TEXT = 6, 150, 13
LINES = 3
INK, PAPER, FAINT = (32, 32, 32), (255, 255, 255), (225, 225, 225)
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE}"/></rdf:RDF></x:xmpmeta>'
)

Tile: TypeAlias = Image.Image


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the grid: the case it shows, as (text, place), and what is written above it."""

    text: int
    place: int
    label: str


def tile(pixels: Pixels) -> Tile:
    """A picture for the grid: made smaller than 192 pixels a side, or a whole number of times larger."""
    shown = Image.fromarray(pixels)
    if (times := SIDE // max(shown.size)) > 1:
        return shown.resize((shown.width * times, shown.height * times), Image.Resampling.NEAREST)
    shown.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return shown


def columns_of(study: Study, paired: Paired, each: int = 2) -> list[Column]:
    """Which cases are shown. Of two arms: B's worst, median and best cases beside A, by the first judge.
    Of more arms, or where nothing is scored: the first ones, which nobody chose."""
    values = paired.values.get(study.scorers.judges[0])
    if len(study.arms) > 2 or values is None or not paired.units:
        return [_column(study, k, _case(study, _name(study, k))) for k in range(min(3 * each, paired.planned))]
    gains = values.scorer.sign * (np.asarray(values.b) - np.asarray(values.a))
    order = [int(k) for k in np.argsort(gains, kind="stable")]
    middle = max(0, (len(order) - each) // 2)
    parts = {"worst": order[:each], "median": order[middle : middle + each], "best": order[::-1][:each]}
    shown: dict[int, str] = {}
    for what, cases in parts.items():
        for k in cases:
            shown.setdefault(k, what)
    by_name = {_name(study, k): k for k in range(paired.planned)}
    return [
        _column(study, by_name[paired.units[k]], f"{what} {gains[k]:+.3g}: {_case(study, paired.units[k])}")
        for k, what in shown.items()
    ]


def _name(study: Study, k: int) -> str:
    return str(study.seed + k) if study.unit == "seed" else study.texts[k].words


def _case(study: Study, unit: str) -> str:
    return f"seed {unit}" if study.unit == "seed" else unit


def _column(study: Study, k: int, label: str) -> Column:
    return Column(0, k, label) if study.unit == "seed" else Column(k, 0, label)


def grid(
    rows: Sequence[str], columns: Sequence[Column], tiles: Mapping[tuple[int, int, int], Tile], title: str
) -> bytes:
    """PNG bytes: ``rows`` name the arms, ``tiles`` are by (arm, text, place), what is missing stays grey."""
    font = ImageFont.load_default(TEXT)
    across = max((shown.width for shown in tiles.values()), default=SIDE)
    down = max((shown.height for shown in tiles.values()), default=SIDE)
    head = _wrapped(title, LABEL + len(columns) * (across + GAP), 12)
    line = TEXT + 4
    top = GAP + (len(head) + LINES) * line + GAP
    size = (LABEL + len(columns) * (across + GAP) + GAP, top + len(rows) * (down + GAP))
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (GAP, GAP), head, font)
    for c, column in enumerate(columns):
        x = LABEL + c * (across + GAP)
        _write(pen, (x, GAP + len(head) * line), _wrapped(column.label, across, LINES), font)
        for r in range(len(rows)):
            y = top + r * (down + GAP)
            shown = tiles.get((r, column.text, column.place))
            if shown is None:
                pen.rectangle((x, y, x + across, y + down), fill=FAINT)
            else:
                sheet.paste(shown, (x + (across - shown.width) // 2, y + (down - shown.height) // 2))
    for r, name in enumerate(rows):
        _write(pen, (GAP, top + r * (down + GAP)), _wrapped(name, LABEL - GAP, down // line), font)
    chunks = PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", XMP)
    out = BytesIO()
    sheet.save(out, "PNG", pnginfo=chunks)
    return out.getvalue()


def _wrapped(text: str, width: int, lines: int) -> list[str]:
    """Lines that fit ``width`` pixels, by the mean width of a letter; the rest is cut with an ellipsis."""
    fit = max(8, int(width / (TEXT * 0.56)))
    return textwrap.wrap(text, fit, max_lines=lines, placeholder=" …") or [""]


def _write(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    lines: Sequence[str],
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    for k, text in enumerate(lines):
        pen.text((at[0], at[1] + k * (TEXT + 4)), text, fill=INK, font=font)
