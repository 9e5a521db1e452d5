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
from collections.abc import Iterator, Sequence
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

_lowered: list[int] = []  # torch's own numbers that threads which draw with fewer will put back


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
    """The number of threads that torch uses where nobody has lowered it."""
    import torch

    # A thread that meets torch while another draws with fewer is given that number.
    return max([torch.get_num_threads(), *_lowered])


@contextmanager
def using(threads: int | None) -> Iterator[None]:
    """The calling thread's torch computes with so many threads inside, and as before afterwards. ``None``: as it is."""
    import torch

    before = torch.get_num_threads()
    if threads is None or threads == before:
        yield
        return
    _lowered.append(before)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _lowered.remove(before)


def _small(parts: Sequence[PartCost]) -> bool:
    """Whether all weights are, and the work a row of all parts but the last: that one is called once, for the pixels.
    False where a part's work is not known."""
    work = [each.flops / each.calls / each.rows for each in parts if each.flops and each.calls]
    if len(parts) < 2 or len(work) < len(parts):
        return False
    return max(work[:-1]) <= WORK and all(each.weights_bytes <= WEIGHTS for each in parts)
