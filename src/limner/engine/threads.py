"""Threads that wait without spinning.

torch's OpenMP threads spin while they wait for the next operation. Alone on a machine that saves microseconds; beside
any other busy process the spinning threads take the cores from those that work, and a picture that takes half a second
takes half a minute (figures in benchmarks/README.md). Asking for passive waiting must happen before torch is imported.
"""

from __future__ import annotations

import os
import sys

VARIABLE = "OMP_WAIT_POLICY"


def wait_passively() -> None:
    """Set OMP_WAIT_POLICY to PASSIVE, unless the user has set it or torch is already here."""
    if "torch" not in sys.modules:
        os.environ.setdefault(VARIABLE, "PASSIVE")
