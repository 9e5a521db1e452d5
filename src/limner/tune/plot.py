"""A plot of losses as SVG, by hand: what a browser shows needs no plotting library. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 44
TICKS = 5
Points = Sequence[tuple[int, float]]


def plot(losses: Points, held: Points, title: str) -> str:
    """Single losses as faint dots, their running mean as a line, held-out losses as a second line."""
    smooth = running_mean(losses)
    every = [*smooth, *held]
    steps = max([step for step, _ in (*losses, *held)], default=1)
    values = [value for _, value in every] or [0.0, 1.0]
    low, high = min(values), max(values)
    spare = (high - low or abs(high) or 1.0) * 0.15
    frame = _Frame(steps, max(0.0, low - spare), high + spare)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14" fill="#222222">{escape(title)}</text>',
        *frame.axes(),
        *(frame.dot(step, value) for step, value in losses if frame.low <= value <= frame.high),
        frame.line(smooth, "#1f6feb", "loss, running mean"),
        frame.line(held, "#bf4b00", "held-out pictures"),
        *_legend(bool(held)),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def running_mean(points: Points, decay: float = 0.95) -> list[tuple[int, float]]:
    """Exponential mean, corrected for its start."""
    made, total, weight = [], 0.0, 0.0
    for step, value in points:
        total, weight = decay * total + value, decay * weight + 1
        made.append((step, total / weight))
    return made


class _Frame:
    def __init__(self, steps: int, low: float, high: float) -> None:
        self.steps, self.low, self.high = max(steps, 1), low, high

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.steps

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - self.low) / (self.high - self.low)

    def axes(self) -> list[str]:
        made = []
        for k in range(TICKS + 1):
            value = self.low + (self.high - self.low) * k / TICKS
            y, step = self.y(value), round(self.steps * k / TICKS)
            made.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
            made.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#444444">{value:.3g}</text>')
            made.append(
                f'<text x="{self.x(step):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" '
                f'fill="#444444">{step}</text>'
            )
        made.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle" fill="#444444">step</text>')
        return made

    def dot(self, step: int, value: float) -> str:
        return f'<circle cx="{self.x(step):.1f}" cy="{self.y(value):.1f}" r="1.2" fill="#1f6feb" opacity="0.25"/>'

    def line(self, points: Points, colour: str, name: str) -> str:
        if not points:
            return ""
        path = " ".join(f"{self.x(step):.1f},{self.y(value):.1f}" for step, value in points)
        return (
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"><title>{name}</title></polyline>'
        )


def _legend(held: bool) -> list[str]:
    named = [("#1f6feb", "loss (running mean)"), *([("#bf4b00", "held-out pictures")] if held else [])]
    return [
        f'<text x="{WIDTH - RIGHT}" y="{TOP + 14 + 16 * k}" text-anchor="end" fill="{colour}">{name}</text>'
        for k, (colour, name) in enumerate(named)
    ]
