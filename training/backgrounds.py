"""Painted places: a few hundred backgrounds drawn once with Pillow, then cropped, mirrored and recoloured per scene."""

import random
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.world import OPEN, PLACES, TIMELESS

SIDE = 288  # painted size; a scene shows a 256-pixel window of it
_OVER = 2  # painted larger and reduced: smooth edges
_S = SIDE * _OVER
Rgb = tuple[int, int, int]
_SKY: dict[str, tuple[Rgb, Rgb]] = {
    "day": ((112, 190, 242), (206, 234, 250)),
    "night": ((10, 14, 48), (48, 54, 112)),
    "sunset": ((84, 60, 134), (252, 160, 92)),
}
_SHADE: dict[str, tuple[float, Rgb]] = {
    "day": (0.0, (0, 0, 0)),
    "night": (0.62, (14, 20, 58)),
    "sunset": (0.34, (120, 50, 70)),
}


def kinds() -> list[tuple[str, str]]:
    """Every (place, time) that is painted."""
    found = [(p, t) for p in PLACES for t in ("day", "night", "sunset") if t == "day" or p not in TIMELESS]
    return [*found, (OPEN, "night"), (OPEN, "sunset")]


def _jitter(colour: Rgb, rng: random.Random, k: int = 12) -> Rgb:
    r, g, b = (max(0, min(255, c + rng.randint(-k, k))) for c in colour)
    return r, g, b


def _lit(colour: Rgb, time: str, rng: random.Random) -> Rgb:
    """A daylight colour as it looks at this time."""
    share, tone = _SHADE[time]
    r, g, b = (int(c * (1 - share) + t * share) for c, t in zip(_jitter(colour, rng, 8), tone, strict=True))
    return r, g, b


def _gradient(top: Rgb, bottom: Rgb) -> Image.Image:
    t = np.linspace(0, 1, _S)[:, None, None]
    rows = np.array(top)[None, None] * (1 - t) + np.array(bottom)[None, None] * t
    return Image.fromarray(np.broadcast_to(rows, (_S, _S, 3)).astype(np.uint8))


class _Canvas:
    """An image under way; all lengths are shares of its side."""

    def __init__(self, top: Rgb, bottom: Rgb, rng: random.Random) -> None:
        self.image, self.rng = _gradient(top, bottom), rng
        self.pen = ImageDraw.Draw(self.image)

    def disc(self, x: float, y: float, rx: float, colour: Rgb, ry: float | None = None) -> None:
        ry = rx if ry is None else ry
        self.pen.ellipse([_S * v for v in (x - rx, y - ry, x + rx, y + ry)], fill=colour)

    def dots(self, n: int, sizes: tuple[float, ...], colours: tuple[Rgb, ...], bottom: float = 1.0) -> None:
        for _ in range(n):
            self.disc(self.rng.random(), self.rng.random() * bottom, self.rng.choice(sizes), self.rng.choice(colours))

    def ground(self, y: float, colour: Rgb, wave: float = 0.0) -> None:
        """Fill below a gently waving line."""
        a, b = self.rng.uniform(0, 6.3), self.rng.uniform(0.6, 1.5)
        line = [(x * _S / 24, _S * (y + wave * np.sin(a + b * x / 4))) for x in range(25)]
        self.pen.polygon([*line, (_S, _S), (0, _S)], fill=colour)

    def triangle(self, x: float, base: float, width: float, height: float, colour: Rgb) -> None:
        points = [(x - width / 2, base), (x, base - height), (x + width / 2, base)]
        self.pen.polygon([(_S * px, _S * py) for px, py in points], fill=colour)

    def cloud(self, x: float, y: float, r: float, colour: Rgb) -> None:
        for dx, dy, k in ((-1.1, 0.25, 0.6), (0, 0, 1), (1.0, 0.2, 0.7), (0.4, 0.35, 0.8), (-0.5, 0.35, 0.8)):
            self.disc(x + dx * r, y + dy * r, k * r, colour, k * r * 0.75)


def _sky(time: str, rng: random.Random, horizon: float) -> _Canvas:
    """The sky of a time: sun, moon and stars included."""
    top, bottom = (_jitter(c, rng) for c in _SKY[time])
    canvas = _Canvas(top, bottom, rng)
    if time == "night":
        canvas.dots(45, (0.002, 0.003, 0.004), ((255, 250, 225), (215, 225, 255)), horizon)
        if rng.random() < 0.6:
            canvas.disc(rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.2), 0.05, (250, 244, 215))
    elif time == "sunset":
        x = rng.uniform(0.2, 0.8)
        canvas.disc(x, horizon - 0.01, 0.16, (253, 190, 106))
        canvas.disc(x, horizon - 0.01, 0.12, (255, 226, 142))
    else:
        for _ in range(rng.randint(0, 2)):
            canvas.cloud(rng.random(), rng.uniform(0.06, 0.24), rng.uniform(0.05, 0.09), (246, 250, 254))
    return canvas


def _snow(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.56, 0.68)
    canvas = _sky(time, rng, y)
    for _ in range(rng.randint(0, 3)):
        canvas.triangle(rng.random(), y + 0.03, 0.12, rng.uniform(0.14, 0.22), _lit((96, 140, 128), time, rng))
    canvas.ground(y, _lit((246, 249, 253), time, rng), 0.015)
    canvas.dots(70, (0.003, 0.005, 0.007), ((255, 255, 255),))
    return canvas


def _beach(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.42, 0.52)
    canvas = _sky(time, rng, y)
    canvas.ground(y, _lit((42, 146, 204), time, rng))
    canvas.ground(y + 0.15, _lit((238, 246, 246), time, rng), 0.008)
    canvas.ground(y + 0.175, _lit((240, 216, 160), time, rng), 0.008)
    return canvas


def _grass(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.52, 0.66)
    canvas = _sky(time, rng, y)
    canvas.ground(y - 0.04, _lit((126, 194, 100), time, rng), 0.03)
    canvas.ground(y + 0.03, _lit((100, 180, 78), time, rng), 0.015)
    flowers = tuple(_lit(c, time, rng) for c in ((250, 250, 245), (252, 222, 90), (240, 140, 170)))
    for _ in range(rng.randint(0, 14)):
        canvas.disc(rng.random(), rng.uniform(y + 0.1, 1), 0.007, rng.choice(flowers))
    return canvas


def _desert(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.5, 0.64)
    canvas = _sky(time, rng, y)
    canvas.ground(y - 0.03, _lit((222, 178, 104), time, rng), 0.05)
    canvas.ground(y + 0.06, _lit((234, 194, 120), time, rng), 0.035)
    return canvas


def _forest(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.56, 0.66)
    canvas = _sky(time, rng, y)
    for row, tone in ((0.0, (74, 134, 96)), (0.03, (44, 108, 66))):
        x = rng.uniform(-0.08, 0.02)
        while x < 1.05:
            canvas.triangle(x, y + row + 0.02, 0.15, rng.uniform(0.26, 0.42) - 2 * row, _lit(tone, time, rng))
            x += rng.uniform(0.07, 0.12)
    canvas.ground(y + 0.03, _lit((84, 140, 70), time, rng), 0.01)
    return canvas


def _city(time: str, rng: random.Random) -> _Canvas:
    y, x = rng.uniform(0.62, 0.7), -0.02
    canvas = _sky(time, rng, y)
    window = (255, 226, 130) if time != "day" else (214, 230, 240)
    while x < 1:
        w, h = rng.uniform(0.1, 0.17), rng.uniform(0.2, 0.46)
        tone = _lit(rng.choice(((150, 160, 178), (178, 166, 160), (134, 148, 162))), time, rng)
        canvas.pen.rectangle([_S * v for v in (x, y - h, x + w, y)], fill=tone)
        for row in range(int(h / 0.06)):
            for column in range(int(w / 0.045)):
                if rng.random() < 0.7:
                    left, top = x + 0.015 + column * 0.045, y - h + 0.02 + row * 0.06
                    canvas.pen.rectangle([_S * v for v in (left, top, left + 0.02, top + 0.028)], fill=window)
        x += w + rng.uniform(0, 0.02)
    canvas.ground(y, _lit((120, 122, 128), time, rng))
    canvas.ground(y + 0.04, _lit((92, 94, 100), time, rng))
    return canvas


def _mountains(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.6, 0.7)
    canvas = _sky(time, rng, y)
    for k in range(4):
        x, w, h = (k + rng.uniform(0, 0.8)) / 4, rng.uniform(0.4, 0.6), rng.uniform(0.26, 0.44)
        canvas.triangle(x, y + 0.02, w, h, _lit((124, 138, 162), time, rng))
        canvas.triangle(x, y + 0.02 - 0.68 * h, w * 0.32, h * 0.32, _lit((244, 247, 252), time, rng))
    canvas.ground(y, _lit((112, 172, 96), time, rng), 0.012)
    return canvas


def _water(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.46, 0.56)
    canvas = _sky(time, rng, y)
    canvas.ground(y - 0.03, _lit((110, 160, 110), time, rng), 0.02)
    canvas.ground(y, _lit((58, 142, 204), time, rng))
    for _ in range(22):
        x, dy = rng.random(), rng.uniform(y + 0.03, 0.98)
        canvas.disc(x, dy, rng.uniform(0.03, 0.08), _lit((92, 170, 222), time, rng), 0.004)
    return canvas


def _clouds(time: str, rng: random.Random) -> _Canvas:
    canvas = _sky(time, rng, 1.2 if time == "sunset" else 1.0)
    for _ in range(rng.randint(5, 8)):
        canvas.cloud(rng.random(), rng.random(), rng.uniform(0.06, 0.13), _lit((248, 250, 254), time, rng))
    return canvas


def _sea(time: str, rng: random.Random) -> _Canvas:
    canvas = _Canvas(_jitter((48, 166, 218), rng), _jitter((8, 56, 120), rng), rng)
    y = rng.uniform(0.84, 0.92)
    for _ in range(rng.randint(4, 9)):
        x = rng.random()
        canvas.disc(x, y, 0.012, _jitter((40, 130, 96), rng), rng.uniform(0.06, 0.16))
    canvas.ground(y, _jitter((150, 150, 116), rng), 0.015)
    for _ in range(20):
        canvas.disc(rng.random(), rng.random() * 0.85, rng.uniform(0.006, 0.016), (142, 212, 240))
    return canvas


def _space(time: str, rng: random.Random) -> _Canvas:
    canvas = _Canvas(_jitter((8, 6, 24), rng, 5), _jitter((34, 16, 62), rng, 8), rng)
    for _ in range(2):
        canvas.disc(rng.random(), rng.random(), rng.uniform(0.15, 0.3), _jitter((52, 24, 88), rng, 10), 0.1)
    canvas.image = canvas.image.filter(ImageFilter.GaussianBlur(_S / 14))
    canvas.pen = ImageDraw.Draw(canvas.image)
    canvas.dots(90, (0.002, 0.003, 0.005), ((255, 255, 255), (205, 222, 255), (255, 232, 205)))
    return canvas


def _open(time: str, rng: random.Random) -> _Canvas:
    y = rng.uniform(0.68, 0.78)
    canvas = _sky(time, rng, y)
    canvas.ground(y, _lit((74, 104, 88), time, rng), 0.03)
    return canvas


_PAINTERS: dict[str, Callable[[str, random.Random], _Canvas]] = {
    "snow": _snow, "beach": _beach, "grass": _grass, "desert": _desert, "forest": _forest, "city": _city,
    "mountains": _mountains, "water": _water, "sky": _clouds, "sea": _sea, "space": _space, OPEN: _open,
}  # fmt: skip


def paint(place: str, time: str, variant: int) -> np.ndarray:
    """Variant ``variant`` of a place at a time: [SIDE, SIDE, 3] uint8."""
    canvas = _PAINTERS[place](time, random.Random(f"{place}|{time}|{variant}"))
    return np.asarray(canvas.image.resize((SIDE, SIDE), Image.Resampling.BOX))


@cache
def gallery(variants: int) -> np.ndarray:
    """All backgrounds: [len(kinds()), variants, SIDE, SIDE, 3] uint8."""
    return np.stack([np.stack([paint(p, t, v) for v in range(variants)]) for p, t in kinds()])
