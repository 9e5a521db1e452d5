"""How many threads draw, and that they wait without spinning.

torch's OpenMP threads spin while they wait for the next operation. Alone on a machine that saves microseconds; beside
any other busy process the spinning threads take the cores from those that work, and a picture that takes half a second
takes half a minute (figures in benchmarks/README.md). Asking for passive waiting must happen before torch is imported.

A thread that waits passively sleeps, and waking it takes as long as a whole operation of a small network in bfloat16 on
a core with AMX: 20 to 50 microseconds. Such a network is drawn with one thread. Another number of threads gives other
last bits, so the number follows from the Plan and the machine alone, never from a time or a load that was measured:
else a replay would not be exact. A call that pictures share has several times the work, and is left to all threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.models.machine import Machine
    from limner.types import PartCost, Plan

VARIABLE = "OMP_WAIT_POLICY"
# Whether the user has said how many threads there are to be. torch does not tell whether somebody has called
# ``torch.set_num_threads``, so who wants a number of their own says it here.
ASKED = not {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}.isdisjoint(os.environ)
WEIGHTS = 64 << 20  # bytes of a part; larger ones do not stay in a core's caches, and all cores read memory faster
WORK = 5e9  # operations a row of a call; by measurement, see benchmarks/README.md


class _Inside(threading.local):
    """The number that the calling thread computes with in ``using``."""

    number: int | None = None


_inside = _Inside()
_lock = threading.Lock()
_lowered = 0  # threads that compute with another number than torch's own just now
_known: int | None = None  # torch's own number, as it was when nobody did


def wait_passively() -> None:
    """Set OMP_WAIT_POLICY to PASSIVE, unless the user has set it or torch is already here."""
    if "torch" not in sys.modules:
        os.environ.setdefault(VARIABLE, "PASSIVE")


def number(plan: Plan, machine: Machine, own: int, *, asked: bool = False) -> int:
    """The threads to draw a Plan with: one where its networks are small and fast and its pictures share no call, else
    torch's ``own`` number, which is also kept where the user has ``asked`` for it."""
    numerics = plan.numerics
    fast = plan.device == "cpu" and numerics.dtype == "bfloat16" and "amx_bf16" in machine.flags
    one = fast and numerics.batching == "alone" and _small(plan.estimate.parts)
    return 1 if one and not asked else own


def own() -> int:
    """The number of threads that torch uses where nobody computes with another.

    It is asked of a thread that is new to torch: such a thread is given what was set last, by a user or here, and keeps
    it. One that was new while another drew with fewer has that one's number and cannot be asked.
    """
    global _known
    with _lock:
        if _known is None or not _lowered:
            _known = _of_a_new_thread()
        return _known


@contextmanager
def using(threads: int | None) -> Iterator[None]:
    """The calling thread's torch computes with so many threads inside, and afterwards with those of the ``using``
    around this one or with torch's own number, as it was when ``own`` was last asked. ``None``: as it is."""
    global _lowered
    import torch

    if threads is None:
        yield
        return
    outer = _inside.number
    back = outer or (own() if _known is None else _known)
    if threads == back == torch.get_num_threads():
        yield
        return
    with _lock:
        _lowered += 1
        torch.set_num_threads(threads)
    _inside.number = threads
    try:
        yield
    finally:
        _inside.number = outer
        with _lock:
            torch.set_num_threads(back)
            _lowered -= 1


def _of_a_new_thread() -> int:
    import torch

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def _small(parts: Sequence[PartCost]) -> bool:
    """Whether all weights are, and the work a row of all parts but the last: that one is called once, for the pixels.
    False where a part's work is not known."""
    work = [each.flops / each.calls / each.rows for each in parts if each.flops and each.calls]
    if len(parts) < 2 or len(work) < len(parts):
        return False
    return max(work[:-1]) <= WORK and all(each.weights_bytes <= WEIGHTS for each in parts)
