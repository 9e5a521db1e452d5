"""Asking the person: which rewrites to try, and which of two pictures is better, without saying which is whose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import gettempdir

import click
import numpy as np

from limner.cli.console import one_line, say
from limner.cli.drawing import Follower
from limner.disk import write_atomic
from limner.errors import Cancelled
from limner.image import Image
from limner.refine.design import Design
from limner.refine.strategy import Candidate
from limner.types import Pixels

GAP = 8
LEFT, RIGHT, EQUAL = ("l", "left"), ("r", "right"), ("e", "=", "equal", "")


class Asker:
    """Asks on stderr, reads stdin. The sides of a pair are by chance, the same when a vote is taken up again."""

    def __init__(self, follower: Follower, design: Design, journal: Path | None) -> None:
        self._follower, self._design = follower, design
        folder = Path(gettempdir()) if journal is None else journal.parent
        stem = "limner" if journal is None else journal.stem
        self._pair = folder / f"{stem}-pair.png"

    def choose(self, pool: Sequence[Candidate]) -> Sequence[Candidate]:
        """The rewrites to try. Raises ``Cancelled`` where stdin ends."""
        with self._follower.aside():
            say("the rewrites:")
            for k, each in enumerate(pool, 1):
                say(f"  {k:>2}  {one_line(each.edit, 100)}  ({each.reason or each.strategy})")
            while True:
                answer = _asked("which to try? numbers, or Enter for all")
                chosen = _numbers(answer, len(pool))
                if chosen is not None:
                    return [pool[k - 1] for k in chosen] or pool
                say(f"  numbers from 1 to {len(pool)}, with spaces between")

    def vote(self, own: Image, theirs: Image, number: int, total: int) -> int:
        """1 where the rewrite's picture is better, -1 where the own words' is, 0 for neither. Raises ``Cancelled``."""
        swapped = Random(f"{self._design.seed} {theirs.record.image_key}").random() < 0.5
        left, right = (theirs, own) if swapped else (own, theirs)
        with self._follower.aside():
            self._show(left.pixels, right.pixels)
            say(f"pair {number} of {total}: which shows “{one_line(self._design.words, 80)}” better?")
            while True:
                answer = _asked("l(eft), r(ight), or Enter for neither").lower()
                if answer in EQUAL:
                    return 0
                if answer in (*LEFT, *RIGHT):
                    return 1 if (answer in LEFT) == swapped else -1

    def _show(self, left: Pixels, right: Pixels) -> None:
        """Both beside each other: in the terminal where it can, and in a file."""
        from limner.cli.terminal import can_show, show

        whole = side_by_side(left, right)
        if self._follower.telling.show or can_show():
            show(whole)
            return
        import io

        from PIL import Image as PillowImage

        buffer = io.BytesIO()
        PillowImage.fromarray(whole).save(buffer, "png")
        write_atomic(self._pair, buffer.getvalue())
        say(f"look at {self._pair}")


def side_by_side(left: Pixels, right: Pixels) -> Pixels:
    """Two pictures with a white gap, H x (2 W + gap) x 3; the smaller one on white."""
    height = max(left.shape[0], right.shape[0])
    whole = np.full((height, left.shape[1] + GAP + right.shape[1], 3), 255, np.uint8)
    whole[: left.shape[0], : left.shape[1]] = left
    whole[: right.shape[0], left.shape[1] + GAP :] = right
    return whole


def _asked(text: str) -> str:
    try:
        answer: str = click.prompt(text, default="", show_default=False, err=True)
    except click.Abort:
        raise Cancelled("stopped while voting", hint="votes given so far are kept") from None
    return answer.strip()


def _numbers(answer: str, most: int) -> list[int] | None:
    words = answer.replace(",", " ").split()
    if not all(word.isdigit() and 1 <= int(word) <= most for word in words):
        return None
    return [int(word) for word in words]
