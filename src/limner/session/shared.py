"""``limner.draw`` and its like: one Session behind them, so that models stay loaded between calls."""

from __future__ import annotations

from collections.abc import Sequence

from limner.image import Image
from limner.session.composer import Session
from limner.session.scoring import Failures
from limner.session.scoring_subjects import Scorable
from limner.types import Score


def draw(prompt: str, **fields: object) -> Image:
    """One picture: ``limner.draw("a red fox")``. Models stay loaded between calls. Raises any ``LimnerError``."""
    return _shared().draw(prompt, **fields)


def generate(prompt: str, **fields: object) -> list[Image]:
    """Several pictures: ``limner.generate("a red fox", n=4)``. Raises any ``LimnerError``."""
    session = _shared()
    return session.generate(session.request(prompt, **fields)).result()


def score(
    images: Sequence[Scorable],
    texts: str | Sequence[str] | None,
    metrics: Sequence[str],
    *,
    force: bool = False,
    failures: Failures | None = None,
) -> list[list[Score]]:
    """Pictures as numbers: ``limner.score([picture], "a red fox", ["pocket-clip"])``. See ``Session.score``."""
    return _shared().score(images, texts, metrics, force=force, failures=failures)


_SHARED: list[Session] = []


def _shared() -> Session:
    if not _SHARED:
        _SHARED.append(Session())
    return _SHARED[0]
