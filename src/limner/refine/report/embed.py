"""Pictures as data URIs, within a budget of bytes that is said on the page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image as PillowImage

from limner.errors import LibraryError
from limner.library.files import decode
from limner.refine.arms import Scored
from limner.session import Session
from limner.types import Pixels

BUDGET = 6_000_000
"""Bytes of all pictures of a report, before base64 makes a third more of them: a mail still carries it."""
SIDES = (768, 512, 384, 256, 160, 96)
QUALITY = 85

Fetch = Callable[[], "Pixels | None"]
"""A picture's pixels when they are wanted; ``None`` where it is no longer to be had."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture on the page. ``uri`` is empty where the picture is no longer in the library."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Album:
    """The pictures of a report by name, and what they weigh. ``side`` is the longest they may have."""

    shown: Mapping[str, Shown]
    bytes: int
    side: int


def album(pictures: Mapping[str, Fetch], budget: int = BUDGET) -> Album:
    """All pictures at the largest of ``SIDES`` at which they fit ``budget``; at the smallest they may exceed it.

    The Records inside the files stay behind; the page says where the pictures come from.
    """
    found = {name: pixels for name, fetch in pictures.items() if (pixels := fetch()) is not None}
    for side in SIDES:
        made = _encoded(found, side, budget if side != SIDES[-1] else None)
        if made is not None:
            break
    else:  # pragma: no cover  # the last side has no budget
        raise AssertionError
    shown = {name: _shown(found[name], made[name], side) if name in found else Shown("", 1, 1) for name in pictures}
    return Album(shown, sum(map(len, made.values())), side)


def fetch_from(scored: Scored, session: Session) -> Fetch:
    """The picture of a trial: in memory, else the library's."""

    def fetch() -> Pixels | None:
        if scored.image is not None:
            return scored.image.pixels
        try:
            return None if scored.picture is None else decode(session.library.get(scored.picture).path)
        except LibraryError:
            return None

    return fetch


def _encoded(found: Mapping[str, Pixels], side: int, budget: int | None) -> dict[str, bytes] | None:
    """The files by name; ``None`` as soon as they are more than ``budget`` bytes."""
    made: dict[str, bytes] = {}
    for name, pixels in found.items():
        made[name] = _webp(pixels, side)
        if budget is not None and sum(map(len, made.values())) > budget:
            return None
    return made


def _webp(pixels: Pixels, side: int) -> bytes:
    picture = PillowImage.fromarray(pixels)
    picture.thumbnail((side, side), PillowImage.Resampling.LANCZOS)
    out = BytesIO()
    picture.save(out, "WEBP", quality=QUALITY)
    return out.getvalue()


def _shown(pixels: Pixels, file: bytes, side: int) -> Shown:
    height, width = pixels.shape[:2]
    scale = min(1.0, side / max(width, height))
    uri = f"data:image/webp;base64,{base64.b64encode(file).decode()}"
    return Shown(uri, max(1, round(width * scale)), max(1, round(height * scale)))


def total(sizes: Sequence[int]) -> str:
    """``1.2 MB``, ``340 kB``."""
    number = sum(sizes)
    return f"{number / 1e6:.1f} MB" if number >= 1e6 else f"{number / 1e3:.0f} kB"
