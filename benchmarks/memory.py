"""What ``limner plan`` says beforehand against what a picture takes: memory and time, at a published model's size.

    python -m benchmarks.memory --model sd15 --steps 3

A checkpoint of that size with random weights is written (``--folder`` keeps and reuses it). Each number format is drawn
in a fresh process: its memory is watched from outside every 20 ms, anonymous (what it allocated) and resident (with the
pages of files that it maps), beside the peak that the Record carries. The first picture is planned by a table of
speeds, the later ones by what was seen. ``--budget`` pretends less memory, so that parts must leave.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.checkpoint import SIZES, write

POLL_S = 0.02
CHILD = """
import json, sys
from limner import Request, Session
from limner.engine import desk
folder, dtype, side, steps, budget, pictures = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
if budget:
    desk.budget = lambda device: budget
def told(plan, image):
    record = image.record
    return {"estimate": plan.estimate.model_dump(mode="json"), "peak": record.peak_bytes,
            "timings": dict(record.timings), "notices": [n.code for n in record.notices]}
found = []
with Session(keep=False, offline=True) as session:
    for seed in range(pictures):
        request = Request(prompt=f"picture {seed}", model=folder, dtype=dtype, width=side, height=side, steps=steps,
                          seed=seed, guidance=7.5, solver="ddim")
        (plan,) = session.foresee(request)
        found.append(told(plan, session.run([plan]).result()[0]))
print(json.dumps(found))
"""


def watch(folder: Path, dtype: str, *numbers: int) -> tuple[list[dict[str, object]], int, int]:
    """What the child said of its pictures, and its most anonymous and resident bytes. ``numbers``: side, steps, budget
    in bytes, pictures."""
    home = tempfile.mkdtemp(prefix="limner-memory-")
    env = {**os.environ, "LIMNER_HOME": home, "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, "-c", CHILD, str(folder), dtype, *map(str, numbers)]
    anonymous = resident = 0
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while child.poll() is None:
            now = _status(child.pid)
            anonymous, resident = max(anonymous, now.get("RssAnon", 0)), max(resident, now.get("VmRSS", 0))
            time.sleep(POLL_S)
        said = child.stdout.read()
    if child.returncode:
        raise SystemExit(f"the process ended with {child.returncode}; its own words stand above")
    found: list[dict[str, object]] = json.loads(said)
    return found, anonymous, resident


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(SIZES), default="sd15")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--dtype", action="append", choices=["float32", "bfloat16"])
    parser.add_argument("--budget", type=float, default=0, help="GB for weights and work; 0: all there is")
    parser.add_argument("--pictures", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with _checkpoint(given.model, given.folder) as folder:
        print(f"{given.model}, {given.side}x{given.side}, {given.steps} steps, guidance 7.5, load {os.getloadavg()}")
        for dtype in given.dtype or ["bfloat16", "float32"]:
            numbers = given.side, given.steps, int(given.budget * 1e9), given.pictures
            found, anonymous, resident = watch(folder, dtype, *numbers)
            _tell(dtype, found, anonymous, resident)


def _tell(dtype: str, found: list[dict[str, object]], anonymous: int, resident: int) -> None:
    for k, each in enumerate(found, 1):
        estimate, timings, peak = each["estimate"], each["timings"], each["peak"]
        assert isinstance(estimate, Mapping)
        assert isinstance(timings, Mapping)
        assert isinstance(peak, int)
        took, about = timings["total"] - timings.get("load", 0.0), estimate["seconds_per_image"]
        between = f"{estimate['seconds_low']:.1f} to {estimate['seconds_high']:.1f}"
        print(
            f"{dtype} picture {k}: peak planned {estimate['peak_bytes'] / 1e9:.3f} GB, Record {peak / 1e9:.3f} GB "
            f"({peak / estimate['peak_bytes']:.2f}); time planned {about:.1f} s ({between}; "
            f"{estimate['basis']}), took {took:.1f} s ({took / about:.2f}); {dict(timings)}; {each['notices']}"
        )
    print(f"{dtype} process: anonymous {anonymous / 1e9:.3f} GB, resident {resident / 1e9:.3f} GB at most, loading too")


@contextmanager
def _checkpoint(model: str, kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        if not kept.exists():
            write(kept, model, "float32")
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="limner-memory-") as made:
        write(Path(made) / model, model, "float32")
        yield Path(made) / model


def _status(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.startswith(("RssAnon", "VmRSS"))}


if __name__ == "__main__":
    main()
