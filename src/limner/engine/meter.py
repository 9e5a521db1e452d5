"""The most memory in use during a model call, measured by the system, not by us.

On CUDA it is what torch's allocator had given out. On a CPU it is the anonymous memory of the whole process, Python
and torch included: Linux's high-water mark, started anew before the call, less the pages of files, which the system
takes back when it needs them. A first call still reads its weights' files, and nobody notes how many of their pages
were there at the worst moment: during such a call another thread looks every few milliseconds. Weights that are used
as they lie in their file are its pages too; ``mapped_bytes`` counts those, as they are needed all the same. Elsewhere
a mark that did not rise says nothing of this call: the answer is ``None``.
"""

from __future__ import annotations

import re
import sys
import threading
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

import torch
from torch.nn import Module

STATUS, CLEAR, MAPS = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/self/maps")
LOOK_S = 0.005
MARK = re.compile(rb"^(VmHWM|RssAnon|RssFile):\s+(\d+) kB", re.MULTILINE)
WEIGHTS_MAP = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ [1-9]\d* +/", re.MULTILINE)


class Meter:
    """``begin`` and ``end`` around a call; a call inside a call counts for both."""

    def __init__(self) -> None:
        self._device = torch.device("cpu")
        self._open = 0
        self._peak: int | None = None
        self._before: int | None = None
        self._files = 0
        self._watch: Watch | None = None

    def begin(self, device: torch.device, *, first: bool = False) -> None:
        """``first``: the call may still read files."""
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
            self._before, self._files = None, _marks().get("RssFile", 0)
        except OSError:
            self._before = _life_peak()
            return
        if first and self._watch is None:
            self._watch = Watch()

    def end(self) -> int | None:
        """Bytes; ``None`` where it cannot be told."""
        self._fold()
        self._open -= 1
        if not self._open and self._watch is not None:
            # Marks of a call that was watched have files in them.
            self._peak, self._watch = self._watch.stop(), None
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
        marks = _marks()
        if "VmHWM" not in marks:
            return None
        return marks["VmHWM"] - max(marks.get("RssFile", 0), self._files)


class Watch:
    """Looks at the process's anonymous memory from a thread of its own until it is stopped."""

    def __init__(self) -> None:
        self._most = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, name="limner-memory", daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """The most bytes seen."""
        self._stopped.set()
        self._thread.join()
        self._see()
        return self._most or None

    def _look(self) -> None:
        while not self._stopped.wait(LOOK_S):
            self._see()

    def _see(self) -> None:
        self._most = max(self._most, _marks().get("RssAnon", 0))


def mapped_bytes(modules: Iterable[Module]) -> int:
    """Bytes of weights that lie in their file's pages: in use, but no anonymous memory."""
    try:
        found = sorted((int(m[1], 16), int(m[2], 16)) for m in WEIGHTS_MAP.finditer(MAPS.read_text("utf-8", "replace")))
    except OSError:
        return 0
    starts = [start for start, _ in found]

    def is_mapped(address: int) -> bool:
        place = bisect_right(starts, address) - 1
        return place >= 0 and address < found[place][1]

    tensors = {t.data_ptr(): t.numel() * t.element_size() for m in modules for t in m.parameters() if not t.is_meta}
    return sum(size for address, size in tensors.items() if is_mapped(address))


def _marks() -> dict[str, int]:
    try:
        return {name.decode(): int(kilobytes) << 10 for name, kilobytes in MARK.findall(STATUS.read_bytes())}
    except OSError:
        return {}


def _life_peak() -> int | None:
    """The most the process ever held."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
