"""How long a checkpoint takes to load, and how much memory that takes, against diffusers on the same files.

    python -m benchmarks.loading                                  # SD 1.5 and 2.1, float16 and float32 files
    python -m benchmarks.loading --models sdxl --runs 3           # 7 GB on disk, deleted afterwards

Checkpoints of the published sizes are written with random weights into a temporary folder. Each run is a process of its
own with everything imported before the clock starts and the files in the disk cache; both take turns. Loading alone
says little, as both leave work for later (here a layer's weights are converted and arranged when it is first used;
there memory-mapped ones are read then), so the clock also stops after each part was called once, on a picture so small
that reading the weights is most of it. Memory is the most RssAnon of that process up to there, seen from outside, above
what it was before loading: memory-mapped files do not count. Seconds of the processor, which other programs on the
machine disturb less, stand in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.checkpoint import SIZES, bytes_of, write

POLL = 0.002  # seconds between two looks at a process's memory
READY, DONE = "ready", "done"

CALLS = """
def clocks():
    return time.perf_counter(), time.process_time()
def since(began):
    return [now - then for now, then in zip(clocks(), began)]
@torch.inference_mode()
def first_calls(texts, unet, decode, dtype, pooled):
    ids = torch.arange(77)[None]
    states = torch.cat([text(ids) for text in texts], dim=-1)
    unet(torch.randn(1, 4, 16, 16).to(dtype), torch.tensor([500.0]), states.to(dtype), pooled)
    decode(torch.randn(1, 4, 8, 8).to(dtype))
"""

OURS = CALLS.join(
    (
        """
import sys, time, torch
from pathlib import Path
from limner.engine.allocation import own_pages
from limner.models.family import Files, Placement
from limner.models.nets.packing import can_pack
from limner.models.sd_load import load_part
import safetensors
""",
        """
root, dtype = Path(sys.argv[1]), getattr(torch, sys.argv[2])
paths = {p.relative_to(root).as_posix(): p for p in root.glob("*/*")}
names = [name for name in ("text_encoder", "text_encoder_2", "unet", "vae") if (root / name).exists()]
files, place = Files(root, paths), Placement(torch.device("cpu"), sys.argv[2])
can_pack(dtype, "cpu")
print("ready", flush=True); sys.stdin.readline()
began = clocks()
with own_pages():
    parts = {name: load_part(name, files, place) for name in names}
loaded = since(began)
texts = [part for name, part in parts.items() if name.startswith("text")]
unet, wide = parts["unet"], len(texts) == 2
def ask(sample, t, states, pooled):
    sample = sample.contiguous(memory_format=torch.channels_last)
    return unet(sample, t, states, *((pooled.to(dtype), torch.ones(1, 6)) if wide else ()))
first_calls(texts, ask, lambda z: parts["vae"].decode(z), dtype, torch.zeros(1, 1280))
print("done", *loaded, *since(began), flush=True); sys.stdin.readline()
""",
    )
)

THEIRS = CALLS.join(
    (
        """
import sys, time, torch, diffusers
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, PreTrainedTokenizerFast
pipeline = getattr(diffusers, sys.argv[3])
""",
        """
dtype = getattr(torch, sys.argv[2])
print("ready", flush=True); sys.stdin.readline()
began = clocks()
pipe = pipeline.from_pretrained(sys.argv[1], torch_dtype=dtype, local_files_only=True)
loaded = since(began)
texts = [text for text in (pipe.text_encoder, getattr(pipe, "text_encoder_2", None)) if text is not None]
wide = len(texts) == 2
def read(text):
    return lambda ids: text(ids, output_hidden_states=True).hidden_states[-2]
def ask(sample, t, states, pooled):
    told = {"text_embeds": pooled.to(dtype), "time_ids": torch.ones(1, 6)} if wide else None
    return pipe.unet(sample, t, states, added_cond_kwargs=told).sample
first_calls([read(t) for t in texts], ask, lambda z: pipe.vae.decode(z).sample, dtype, torch.zeros(1, 1280))
print("done", *loaded, *since(began), flush=True); sys.stdin.readline()
""",
    )
)


class Load(NamedTuple):
    """Seconds until all parts are loaded, and until each has been called once, on the wall and of the processor; the
    most bytes of anonymous memory above those before."""

    loaded: float
    loaded_cpu: float
    called: float
    called_cpu: float
    peak: float


def load_once(code: str, folder: Path, dtype: str, pipeline: str) -> Load:
    """One load in a fresh process. Raises ``subprocess.CalledProcessError`` where it fails."""
    env = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TQDM_DISABLE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    env |= {"DIFFUSERS_VERBOSITY": "error", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-c", code, str(folder), dtype, pipeline]
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        _expect(child.stdout.readline(), READY)
        before = peak = _anonymous(child.pid)
        child.stdin.write("\n")
        child.stdin.flush()
        while not select.select([child.stdout], [], [], POLL)[0]:
            peak = max(peak, _anonymous(child.pid))
        _expect(line := child.stdout.readline(), DONE)
        peak = max(peak, _anonymous(child.pid))
        child.stdin.write("\n")
        child.stdin.flush()
    loaded, loaded_cpu, called, called_cpu = map(float, line.split()[1:])
    return Load(loaded, loaded_cpu, called, called_cpu, peak - before)


def _expect(line: str, word: str) -> None:
    if not line.startswith(word):
        raise RuntimeError(f"the process said {line!r} where {word!r} was expected; its own words stand above")


def _anonymous(pid: int) -> int:
    """Bytes of anonymous memory of a process; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon")), 0)


def _warm(folder: Path) -> None:
    for path in folder.rglob("*.safetensors"):
        with path.open("rb") as file:
            while file.read(1 << 26):
                pass


def compare(model: str, stored: str, dtype: str, runs: int, root: Path) -> Iterator[str]:
    """Lines of a table, of medians over ``runs``."""
    folder = root / f"{model}-{stored}"
    if not folder.exists():
        write(folder, model, stored)
    weights = bytes_of(model, dtype)
    found: dict[str, list[Load]] = {"limner": [], "diffusers": []}
    for _ in range(runs):
        for who, code in (("limner", OURS), ("diffusers", THEIRS)):
            _warm(folder)
            found[who].append(load_once(code, folder, dtype, SIZES[model].pipeline))
    ours, theirs = (_median(found[who]) for who in ("limner", "diffusers"))
    cells = [model, stored, dtype, f"{weights / 1e9:.2f} GB"]
    for wall, cpu in (("loaded", "loaded_cpu"), ("called", "called_cpu")):
        cells += [f"{getattr(each, wall):.2f} s ({getattr(each, cpu):.2f})" for each in (ours, theirs)]
        cells += [
            f"{getattr(theirs, wall) / getattr(ours, wall):.2f}x ({getattr(theirs, cpu) / getattr(ours, cpu):.2f}x)"
        ]
    yield "| " + " | ".join([*cells, *(f"{each.peak / weights:.2f}x" for each in (ours, theirs))]) + " |"


def _median(loads: Sequence[Load]) -> Load:
    return Load(*(statistics.median(figures) for figures in zip(*loads, strict=True)))


CASES: Mapping[str, Sequence[tuple[str, str]]] = {
    "sd15": (("float16", "bfloat16"), ("float16", "float32"), ("float32", "float32")),
    "sd21": (("float16", "bfloat16"), ("float32", "float32")),
    "sdxl": (("float16", "bfloat16"),),
}
"""For each model the dtypes of its files, and those they are loaded in."""

HEADER = (
    "| model | files | loaded as | weights | limner | diffusers | faster "
    "| and each part called once: limner | diffusers | faster | peak memory / weights: limner | diffusers |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=sorted(SIZES), default=["sd15", "sd21"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the checkpoints here instead of deleting them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = asked.folder or Path(made)
        print(HEADER, flush=True)
        for model in asked.models:
            for stored, dtype in CASES[model]:
                for line in compare(model, stored, dtype, asked.runs, root):
                    print(line, flush=True)
    print(json.dumps({"runs": asked.runs, "load": os.getloadavg()}))


if __name__ == "__main__":
    main()
