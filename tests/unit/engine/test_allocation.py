"""What is let go of while loading goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import re, sys
from contextlib import nullcontext
from pathlib import Path
import torch
from limner.engine.allocation import own_pages

def resident():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

torch.empty(30 << 20, dtype=torch.uint8).zero_()  # glibc takes the next ones from the heap
before = resident()
with own_pages() if sys.argv[1] == "own" else nullcontext():
    kept = []
    for i in range(32):
        plain = torch.zeros(4 << 20, dtype=torch.uint8)
        kept.append(torch.zeros(2 << 20, dtype=torch.uint8))
        del plain
        if i % 2:  # something small and lasting above the hole
            kept.append(torch.zeros(3 << 20, dtype=torch.uint8))
print(resident() - before - sum(each.numel() for each in kept) / (1 << 20))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_no_holes_are_left() -> None:
    """Megabytes held beyond what is kept, with a mapping for each block."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, "own"], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 4
