"""The most memory in use during a model call, measured by the system, not by us.

On CUDA it is what torch's allocator had given out; on a CPU what the whole process held, Python and torch included,
while the call ran: what loading touched for a moment (a file's pages) is not in it. Linux can start its high-water mark
anew; where that cannot be done, a mark that did not rise says nothing of this call, and the answer is ``None``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HIGH_WATER = re.compile(rb"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Meter:
    """``begin`` and ``end`` around a call; a call inside a call counts for both."""

    def __init__(self) -> None:
        self._device = torch.device("cpu")
        self._open = 0
        self._peak: int | None = None
        self._before: int | None = None

    def begin(self, device: torch.device) -> None:
        if self._open:
            self._fold()
        else:
            self._peak = None
        self._open += 1
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            CLEAR.write_bytes(b"5")
            self._before = None
        except OSError:
            self._before = _life_peak()

    def end(self) -> int | None:
        """Bytes; ``None`` where it cannot be told."""
        self._fold()
        self._open -= 1
        return self._peak

    def _fold(self) -> None:
        now = self._now()
        if now is not None:
            self._peak = max(self._peak or 0, now)

    def _now(self) -> int | None:
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        if self._before is not None:
            after = _life_peak()
            return after if after is not None and after > self._before else None
        try:
            found = HIGH_WATER.search(STATUS.read_bytes())
        except OSError:
            return None
        return int(found[1]) * 1024 if found else None


def _life_peak() -> int | None:
    """The most the process ever held."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
