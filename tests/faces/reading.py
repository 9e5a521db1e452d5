"""What the documentation, examples and notebook share when tests run them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch.nn import Module

    from limner.models.family import Files, Placement

ROOT = Path(__file__).parents[2]
FAST = {"LIMNER_STEPS": "2", "LIMNER_SIZE": "64x64", "LIMNER_OFFLINE": "1"}

_LOADED: dict[tuple[str, Path, Placement], Module] = {}


@contextmanager
def small_and_fast(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few steps, small pictures, offline; weights read once a process, where each command would read them anew; and a
    ``limner.draw`` that does not remember another test's home."""
    from limner.models import sd_load
    from limner.session import shared as session_shared

    really_load = sd_load.load_part

    def load_once(part: str, files: Files, placement: Placement) -> Module:
        key = part, files.root, placement
        if key not in _LOADED:
            _LOADED[key] = really_load(part, files, placement)
        return _LOADED[key]

    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sd_load, "load_part", load_once)
    shared: list[session_shared.Session] = []
    monkeypatch.setattr(session_shared, "_SHARED", shared)
    try:
        yield
    finally:
        for session in shared:
            session.close()
