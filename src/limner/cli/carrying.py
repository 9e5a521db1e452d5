"""Carrying out what is drawn in many pictures and kept: one progress line, and Ctrl-C that loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from limner.cli.draw import prepare as room
from limner.cli.drawing import Follower, Telling
from limner.errors import Cancelled
from limner.image import Image
from limner.session import Session
from limner.types import Plan

Draw = Callable[[Sequence[Plan]], list[Image]]
Found = TypeVar("Found")
GOES_ON = "the same command goes on from there"


def carried_out(work: Callable[[Draw], Found], session: Session, telling: Telling, *, made: int, total: int) -> Found:
    """What ``work`` gives, which draws by what it is handed. Of ``total`` pictures ``made`` are there already. Raises
    any ``LimnerError`` of it; after Ctrl-C ``Cancelled``, also while pictures are scored; what is made is kept."""
    if total > made:
        room(session, telling)
    follower = Follower(telling, total=total - made, silent=True)

    def draw(plans: Sequence[Plan]) -> list[Image]:
        return [image for image in follower.follow(session.run(plans)) if isinstance(image, Image)]

    try:
        with follower.watching():
            return work(draw)
    except Cancelled as error:
        error.hint = GOES_ON
        raise
    except KeyboardInterrupt:  # while pictures were scored, not drawn
        kept = made + follower.made
        raise Cancelled(f"stopped; {kept} of {total} pictures are kept", hint=GOES_ON) from None
