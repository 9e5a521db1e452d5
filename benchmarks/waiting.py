"""Why torch's threads wait passively: a picture beside busy processes, with OpenMP's own waiting and with ours.

    python -m benchmarks.waiting [--busy 2]

Starts ``--busy`` processes that only count, then draws three pocket pictures with each policy and prints the seconds of
the last two. OpenMP's default can take minutes here; that is the point.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

BUSY = "while True: pass"
DRAW = """
import time
from limner import Request, Session
with Session(keep=False, offline=True) as session:
    taken = []
    for seed in range(3):
        began = time.perf_counter()
        session.generate(Request(prompt="a red fox in the snow", seed=seed)).result()
        taken.append(time.perf_counter() - began)
print(" ".join(f"{t:.2f}" for t in taken[1:]))
"""


def draw(env: Mapping[str, str]) -> str:
    out = subprocess.run([sys.executable, "-c", DRAW], env=dict(env), capture_output=True, text=True, check=True)
    return out.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=2)
    busy = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(parser.parse_args().busy)]
    try:
        with tempfile.TemporaryDirectory() as home:
            for policy in ("PASSIVE", "ACTIVE"):
                env = {**os.environ, "LIMNER_HOME": home, "OMP_WAIT_POLICY": policy}
                print(f"{len(busy)} busy processes, threads wait {policy}: {draw(env)} s a picture", flush=True)
    finally:
        for process in busy:
            process.kill()


if __name__ == "__main__":
    main()
