"""How long a newcomer waits: ``limner --help``, the first picture of a fresh process, the second in the same one.

    python -m benchmarks.first_picture [--runs 5]

The same picture (pocket, 256x256, 20 steps, guidance 4) is drawn by Limner and by a plain diffusers script with the
same weights, each in fresh processes, in turn, so that a machine whose speed drifts slows both. Prints medians, ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

PROMPT = "a red fox in the snow"

OURS = """
import time; t0 = time.perf_counter()
import json, resource, sys
from limner import Request, Session
t1 = time.perf_counter()
session = Session(offline=True)
request = Request(prompt=sys.argv[1], seed=1, steps=20, guidance=4.0, dtype=sys.argv[2])
generation = session.generate(request)
t2 = time.perf_counter()
image = generation.result()[0]
t3 = time.perf_counter()
session.generate(request.but(seed=2)).result()
t4 = time.perf_counter()
print(json.dumps({"import": t1 - t0, "plan": t2 - t1, "draw and save": t3 - t2, "second": t4 - t3,
    "of which " + "text, steps, decode": image.record.timings["total"],
    "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""

THEIRS = """
import time; t0 = time.perf_counter()
import json, resource, sys
import torch
from diffusers import StableDiffusionPipeline
t1 = time.perf_counter()
dtype = getattr(torch, sys.argv[2])
pipe = StableDiffusionPipeline.from_pretrained(sys.argv[3], torch_dtype=dtype, local_files_only=True)
pipe.set_progress_bar_config(disable=True)
t2 = time.perf_counter()
def draw(seed):
    return pipe(sys.argv[1], num_inference_steps=20, guidance_scale=4.0, height=256, width=256,
                generator=torch.Generator("cpu").manual_seed(seed)).images[0]
draw(1).save(sys.argv[4] + "/theirs.png")
t3 = time.perf_counter()
draw(2).save(sys.argv[4] + "/theirs2.png")
t4 = time.perf_counter()
print(json.dumps({"import": t1 - t0, "plan": t2 - t1, "draw and save": t3 - t2, "second": t4 - t3,
    "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def timed(command: list[str], env: Mapping[str, str]) -> tuple[float, str]:
    began = time.perf_counter()
    out = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=True)
    return time.perf_counter() - began, out.stdout


def run_once(code: str, dtype: str, home: str, env: Mapping[str, str]) -> dict[str, float]:
    import limner

    weights = str(Path(limner.__file__).parent / "assets" / "pocket")
    whole, text = timed([sys.executable, "-c", code, PROMPT, dtype, weights, home], env)
    figures: dict[str, float] = json.loads(text.splitlines()[-1])
    figures["process, first and second"] = whole
    figures["first picture"] = whole - figures["second"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "LIMNER_HOME": home, "HF_HUB_OFFLINE": "1"}
        limner = [sys.executable, "-m", "limner"]
        help_seconds = [timed([*limner, "--help"], env)[0] for _ in range(runs + 1)][1:]
        print(f"limner --help: {statistics.median(help_seconds):.3f} s (median of {runs})")
        ours_default = [timed([*limner, "draw", "--no-show", "--seed", "1", PROMPT], env)[0] for _ in range(runs + 1)]
        print(f"limner {PROMPT!r}, process start to exit: {statistics.median(ours_default[1:]):.2f} s")
        for dtype in ("bfloat16", "float32"):
            compare(dtype, runs, home, env)


def compare(dtype: str, runs: int, home: str, env: Mapping[str, str]) -> None:
    ours, theirs = [], []
    for _ in range(runs + 1):  # the first of each warms the disk cache and is not counted
        ours.append(run_once(OURS, dtype, home, env))
        theirs.append(run_once(THEIRS, dtype, home, env))
    print(f"\n{dtype}: median of {runs}      limner   diffusers   ratio")
    for name in ours[0]:
        a = statistics.median(figures[name] for figures in ours[1:])
        if name in theirs[0]:
            b = statistics.median(figures[name] for figures in theirs[1:])
            print(f"  {name:28s} {a:8.2f} {b:10.2f} {b / a:8.2f}x")
        else:
            print(f"  {name:28s} {a:8.2f}")


if __name__ == "__main__":
    main()
