"""Pictures to mark and not to mark: of every kind that is hard for a watermark, drawn by arithmetic, of any size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from limner.types.base import Pixels

Real = NDArray[np.float64]
Painter = Callable[[np.random.Generator, int, int], Pixels]


def _bytes(values: Real) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _colour(rng: np.random.Generator) -> Real:
    """Any colour, often a corner of the cube or a grey: there channels clip."""
    kind = rng.integers(0, 6)
    if kind == 0:
        return rng.integers(0, 2, 3).astype(np.float64) * 255
    if kind == 1:
        return np.full(3, rng.uniform(0, 255))
    return rng.uniform(0, 255, 3)


def _axes(h: int, w: int) -> tuple[Real, Real]:
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    return y, x


def _cloud(rng: np.random.Generator, h: int, w: int, power: float, channels: int = 1) -> Real:
    """Noise whose amplitude falls with frequency to the ``power`` (1 is a natural picture's), mean 0, deviation 1."""
    side = max(h, w)
    n = min(side, 1024)  # larger ones are cut from a stretched field: slower to make, no harder to mark
    fy, fx = np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None]
    amplitude = 1 / np.maximum(np.hypot(fy, fx), 1 / n) ** power
    fields = []
    for _ in range(channels):
        phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
        field = np.fft.irfft2(amplitude * phase, (n, n))
        field = (field - field.mean()) / field.std()
        if side > n:
            field = np.asarray(Image.fromarray(field.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC))
        fields.append(field[:h, :w].astype(np.float64))
    return np.stack(fields, 2)


def flat(rng: np.random.Generator, h: int, w: int) -> Pixels:
    return np.broadcast_to(_bytes(_colour(rng)), (h, w, 3)).copy()


def gradient(rng: np.random.Generator, h: int, w: int) -> Pixels:
    y, x = _axes(h, w)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        t = x / w * np.cos(angle) + y / h * np.sin(angle)
    else:
        t = np.hypot(x / w - rng.random(), y / h - rng.random())
    t = ((t - t.min()) / (t.max() - t.min()))[:, :, None]
    return _bytes(_colour(rng) * (1 - t) + _colour(rng) * t)


def cloud(rng: np.random.Generator, h: int, w: int) -> Pixels:
    field = _cloud(rng, h, w, rng.uniform(0.9, 1.8), int(rng.choice([1, 3])))
    return _bytes(_colour(rng) + field * rng.uniform(10, 60))


def leaves(rng: np.random.Generator, h: int, w: int) -> Pixels:
    """Dead leaves: discs of all sizes that hide each other, whose statistics are much like photographs' (Lee, Mumford
    and Huang 2001), with some texture and grain."""
    picture = Image.fromarray(flat(rng, h, w))
    draw = ImageDraw.Draw(picture)
    side = min(h, w)
    for _ in range(int(rng.integers(60, 300))):
        radius = min(side / 2, 0.008 * side / rng.power(2))  # density of radii falls with the cube
        cx, cy = rng.uniform(0, w), rng.uniform(0, h)
        fill = tuple(int(v) for v in _bytes(_colour(rng) * 0.7 + 40))
        draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=fill)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    return _bytes(np.asarray(picture) + _cloud(rng, h, w, 1.0) * rng.uniform(0, 12))


def landscape(rng: np.random.Generator, h: int, w: int) -> Pixels:
    """Ridges before a sky, hazier with distance, with grain: large even parts beside textured ones."""
    y, x = _axes(h, w)
    t = (y / h)[:, :, None]
    picture = rng.uniform(120, 250, 3) * (1 - t) + rng.uniform(150, 255, 3) * t
    ground = rng.uniform(10, 90, 3)
    for layer in range(4):
        ridge = (0.35 + 0.15 * layer) * h + sum(
            rng.uniform(0.02, 0.08) * h / k * np.sin(k * x[0] / w * 6 + rng.uniform(0, 6)) for k in (1, 2, 5, 11)
        )
        haze = 0.7 - 0.2 * layer
        colour = ground * (1 - haze) + 200 * haze + _cloud(rng, h, w, 1.2) * 5 * layer
        picture = np.where((y > ridge)[:, :, None], colour, picture)
    return _bytes(picture + rng.normal(0, rng.uniform(0, 3), (h, w, 1)))


def portrait(rng: np.random.Generator, h: int, w: int) -> Pixels:
    """A shaded, textured thing before a blurred backdrop, as with a wide lens aperture."""
    y, x = _axes(h, w)
    backdrop = _colour(rng) * 0.6 + 60 + _cloud(rng, h, w, 2.2, 3) * rng.uniform(3, 25)
    across, down = (x / w - rng.uniform(0.3, 0.7)) / 0.25, (y / h - 0.55) / 0.35
    inside = across**2 + down**2
    light = np.clip(0.75 + 0.4 * (-across * 0.5 - down * 0.5), 0.2, 1.3)[:, :, None]
    thing = _colour(rng) * 0.6 * light + 30 + _cloud(rng, h, w, 1.1) * rng.uniform(2, 14)
    edge = np.clip((1 - inside) * 40, 0, 1)[:, :, None]
    return _bytes(backdrop * (1 - edge) + thing * edge)


def noise(rng: np.random.Generator, h: int, w: int) -> Pixels:
    spread = rng.uniform(2, 60)
    return _bytes(_colour(rng) * 0.5 + 64 + rng.normal(0, spread, (h, w, int(rng.choice([1, 3])))))


def stripes(rng: np.random.Generator, h: int, w: int) -> Pixels:
    """Gratings, checks and rings: periodic as the mark is."""
    y, x = _axes(h, w)
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 60)
    kind = rng.integers(0, 4)
    if kind == 0:
        t = np.sin(2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle)))
    elif kind == 1:
        t = np.sin(2 * np.pi * x / period) * np.sin(2 * np.pi * y / period)
    elif kind == 2:
        t = np.sin(2 * np.pi / period * np.hypot(x - w * rng.random(), y - h * rng.random()))
    else:
        period = max(2, round(period))
        t = ((x // period + y // period) % 2) * 2 - 1
    if rng.random() < 0.5:
        t = np.sign(t)
    return _bytes(128 + (_colour(rng) - 128) * 0.9 * t[:, :, None])


def halftone(rng: np.random.Generator, h: int, w: int) -> Pixels:
    """A cloud or ramp printed in dots, on a tilted grid for each channel."""
    y, x = _axes(h, w)
    tone = _cloud(rng, h, w, 1.8) * 0.2 + 0.5
    period = rng.uniform(4, 16)
    out = np.empty((h, w, 3))
    for channel in range(3):
        angle = rng.uniform(0, np.pi / 2)
        a, b = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        screen = 0.5 + 0.25 * (np.cos(2 * np.pi * a / period) + np.cos(2 * np.pi * b / period))
        out[:, :, channel] = np.where(tone[:, :, 0] > screen, 250, 10)
    return _bytes(out)


def text(rng: np.random.Generator, h: int, w: int) -> Pixels:
    ink, paper = (_colour(rng) for _ in range(2))
    picture = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(picture)
    size = int(rng.integers(8, 40))
    for top in range(0, h, int(size * 1.4) + 1):
        line = "".join(chr(int(c)) for c in rng.integers(33, 123, w // 4 // max(1, size // 8)))
        draw.text((2, top), line, fill=255)
    scaled = picture.resize((w, h), Image.Resampling.BILINEAR, box=(0, 0, w * 11 / (size + 3), h * 11 / (size + 3)))
    t = np.asarray(scaled, np.float64)[:, :, None] / 255
    return _bytes(paper * (1 - t) + ink * t)


def tiles(rng: np.random.Generator, h: int, w: int) -> Pixels:
    """Any texture repeated with any period, as wallpaper is; 125 among them."""
    period = int(rng.choice([int(rng.integers(20, 160)), 125, 250, 64, 128]))
    tile = _cloud(rng, period, period, rng.uniform(0, 1.5), 3) * rng.uniform(3, 40)
    return _bytes(_colour(rng) * 0.6 + 50 + np.tile(tile, (-(-h // period), -(-w // period), 1))[:h, :w])


PAINTERS: dict[str, Painter] = {
    "flat": flat,
    "gradient": gradient,
    "cloud": cloud,
    "leaves": leaves,
    "landscape": landscape,
    "portrait": portrait,
    "noise": noise,
    "stripes": stripes,
    "halftone": halftone,
    "text": text,
    "tiles": tiles,
}
