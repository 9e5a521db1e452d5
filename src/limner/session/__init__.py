"""The composer: plan, draw, check, store. Everything above it (CLI, server, notebooks) is a face on this."""

from __future__ import annotations

from limner.session.composer import Session
from limner.session.generation import Generation
from limner.session.replay import Replay
from limner.session.shared import draw, generate, score

__all__ = ["Generation", "Replay", "Session", "draw", "generate", "score"]
