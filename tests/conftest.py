"""One thread a worker: busy multi-threaded torch processes slow each other down. Nobody's real home is touched."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has its own LIMNER_HOME, and none of the user's LIMNER_ settings."""
    for name in [n for n in os.environ if n.startswith("LIMNER_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "limner-home"
    monkeypatch.setenv("LIMNER_HOME", str(home))
    return home
