"""Numbers as people read them, for templates: ``{{ seconds | duration }}``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def duration(seconds: float | None) -> str:
    """``"0.4 s"``, ``"12 s"``, ``"3 min"``, ``"2 h 10 min"``; ``"not known"`` where it is not."""
    if seconds is None:
        return "not known"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def size(count: float | None) -> str:
    """Bytes, decimal: ``"6.9 GB"``."""
    if count is None:
        return "not known"
    step = 0
    while count >= 1000 and step < len(UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{count:.0f} {UNITS[step]}" if step == 0 or count >= 99.5 else f"{count:.1f} {UNITS[step]}"


def ago(moment: float) -> str:
    """A time in seconds since the epoch, as seen from now."""
    passed = max(0.0, time.time() - moment)
    if passed < 60:
        return "just now"
    if passed < 3600:
        return f"{passed / 60:.0f} min ago"
    if passed < 86_400:
        return f"{passed / 3600:.0f} h ago"
    return time.strftime("%Y-%m-%d", time.localtime(moment))


def number(value: float) -> str:
    """Without a tail of zeros: ``7``, ``7.5``."""
    return f"{value:g}"


def plural(count: int, one: str, many: str = "") -> str:
    """``"1 picture"``, ``"3 pictures"``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def sentence(text: str) -> str:
    """With a capital letter: errors begin small, for the command line's sake. Names keep their form."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text


FILTERS: Mapping[str, Callable[..., str]] = {
    "duration": duration,
    "size": size,
    "ago": ago,
    "number": number,
    "plural": plural,
    "sentence": sentence,
}
