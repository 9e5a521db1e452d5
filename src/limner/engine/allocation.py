"""Weights in memory of their own, so that what is let go of while loading is given back to the system.

glibc raises the size from which a block gets its own mapping each time such a block is freed, up to 32 MB. From then on
weights come from the heap, and where each plain weight is freed beside its packed one the heap is left full of holes:
0.4 GB of 1.1 GB measured for DALL-E mini in bfloat16.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1  # mallopt's numbers (malloc.h)
WHILE_LOADING = 1 << 20  # bytes
AFTERWARDS = 32 << 20  # where glibc's own rule ends up; activations below it are kept for reuse


@contextmanager
def own_pages() -> Iterator[None]:
    """Blocks of over a megabyte that are allocated inside get a mapping of their own. Does nothing without glibc, or
    where the user has set glibc's thresholds."""
    set_option = _mallopt()
    if set_option is None:
        yield
        return
    set_option(MMAP_THRESHOLD, WHILE_LOADING)
    try:
        yield
    finally:
        set_option(MMAP_THRESHOLD, AFTERWARDS)
        set_option(TRIM_THRESHOLD, 2 * AFTERWARDS)


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    users = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if sys.platform != "linux" or users:
        return None
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):  # musl has a mallopt that does nothing
        return None
    found: Callable[[int, int], int] = libc.mallopt
    return found
