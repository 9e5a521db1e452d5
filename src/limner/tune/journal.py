"""What a run tells while it trains: a JSON line a step, and a plot of the losses. Torch-free."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from limner.disk import storage_error, write_atomic
from limner.tune.plot import plot

JOURNAL, PLOT = "journal.jsonl", "loss.svg"


@dataclass(slots=True)
class Journal:
    """``losses`` and ``held`` are (step, loss)."""

    folder: Path
    losses: list[tuple[int, float]] = field(default_factory=list)
    held: list[tuple[int, float]] = field(default_factory=list)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=20))

    @classmethod
    def open(cls, folder: Path, after: int) -> Journal:
        """Of a run that goes on behind step ``after`` (0: a new one): later lines are of steps that are run again, and
        are taken out. Raises ``StorageError``."""
        made = cls(folder)
        path = folder / JOURNAL
        kept: list[str] = []
        if after and path.is_file():
            for line in path.read_text("utf-8").splitlines():
                try:
                    said = json.loads(line)
                    step = int(said["step"])
                except (ValueError, KeyError, TypeError):
                    continue  # torn by a power cut
                if step <= after:
                    kept.append(line)
                    made._take(said)
        write_atomic(path, "".join(f"{line}\n" for line in kept).encode())
        return made

    def write(self, **said: object) -> None:
        """Add a line. Raises ``StorageError``."""
        path = self.folder / JOURNAL
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(said, ensure_ascii=False) + "\n")
        except OSError as error:
            raise storage_error(error, path) from error
        self._take(said)

    def _take(self, said: dict[str, object]) -> None:
        step = int(str(said["step"]))
        if isinstance(loss := said.get("loss"), float):
            self.losses.append((step, loss))
        if isinstance(seconds := said.get("seconds"), float):
            self.recent.append(seconds)
        if isinstance(held := said.get("held_out"), float):
            self.held.append((step, held))

    def recent_seconds(self) -> float:
        """A step's mean of late; 0 before the first."""
        return sum(self.recent) / len(self.recent) if self.recent else 0.0

    def draw(self, title: str) -> None:
        """Write the plot anew. Raises ``StorageError``."""
        write_atomic(self.folder / PLOT, plot(self.losses, self.held, title).encode())
