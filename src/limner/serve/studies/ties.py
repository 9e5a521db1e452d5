"""Which study a job is: kept beside the queue, so that an attempt that was killed is gone on with, not begun anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from limner.disk import write_atomic

FOLDER = "studies"
Kind: TypeAlias = Literal["refine", "compare", "grid"]


class Ties:
    """Below ``data/studies``, a small file a job. The worker writes, the server reads."""

    def __init__(self, data: Path) -> None:
        self._root = data / FOLDER

    def tie(self, job: str, study: str) -> None:
        """On the disk on return. Raises ``StorageError``."""
        write_atomic(self._root / f"{job}.json", json.dumps({"study": study}).encode())

    def of(self, job: str) -> str | None:
        """The study's id; ``None`` where the job has not come so far."""
        try:
            found = json.loads((self._root / f"{job}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        study = found.get("study") if isinstance(found, Mapping) else None
        return study if isinstance(study, str) else None
