"""What the documents, examples and notebook share when tests run them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FEW_STEPS = "2"
SMALL = "64x64"


@contextmanager
def small_and_fast(monkeypatch: pytest.MonkeyPatch, **also: str) -> Iterator[None]:
    """Few steps, small pictures, offline, and a ``limner.draw`` that does not remember another test's home."""
    from limner.session import composer

    for name, value in {"LIMNER_STEPS": FEW_STEPS, "LIMNER_SIZE": SMALL, "LIMNER_OFFLINE": "1", **also}.items():
        monkeypatch.setenv(name, value)
    shared: list[composer.Session] = []
    monkeypatch.setattr(composer, "_SHARED", shared)
    try:
        yield
    finally:
        for session in shared:
            session.close()
