"""Tuning Stable Diffusion 1.5's size with random weights: ``limner tune lora`` against diffusers' own script.

    python -m benchmarks.tune_script --script train_dreambooth_lora.py [--dtype bfloat16] [--side 256] [--steps 4]

The script is diffusers' ``examples/dreambooth/train_dreambooth_lora.py``, published with its source at
github.com/huggingface/diffusers (Apache 2.0); it is not part of Limner. It needs accelerate, peft and a torchvision
that fits the installed torch. A checkpoint of the published sizes with random weights is written into a temporary
folder (4.3 GB, deleted afterwards; ``--folder`` keeps and reuses it), and four pictures of random colours with the same
words. Both are whole processes and take turns, with the same files, side, batch, rank, words, number format, learning
rate and optimizer steps; neither samples pictures. Limner's attention target has one kind of layer more (proj_in and
proj_out), so it learns more numbers; how many stands in the table.

Each process is watched from outside: seconds of the processor (user and system, all threads) between two steps that it
tells of, the first left out; all of its seconds; its most resident memory, mapped files included, until the last step
and until it ends (the script then loads a whole pipeline beside what it trained). ``--theirs`` are further arguments of
the script, such as ``--theirs=--pre_compute_text_embeddings``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.checkpoint import write

POLL = 0.02  # seconds between two looks at a process
TICK = os.sysconf("SC_CLK_TCK")
WORDS = "sks fox"
PICTURES = 4
LENGTH = 77  # tokens that the text encoder reads
RATE = 1e-4
TOLD = re.compile(rb"Steps:[^\r\n|]*\|[^\r\n|]*\| (\d+)/")  # how tqdm tells of a step


@dataclass(frozen=True)
class Work:
    """What both are to do. ``folder`` is the checkpoint, ``pictures`` a folder of nothing but pictures."""

    folder: Path
    pictures: Path
    side: int
    batch: int
    rank: int
    steps: int
    dtype: str
    checkpointing: bool


@dataclass(frozen=True)
class Run:
    """Processor seconds a step and in all, most bytes resident until the last step and in all, numbers learnt."""

    step: float
    whole: float
    trained: int
    peak: int
    learnt: int


def ours(work: Work, out: Path) -> tuple[list[str], Callable[[], int], Path]:
    """Command, a function that says how many steps are done, and the file that it writes."""
    manifest = out / "data.jsonl"
    names = sorted(work.pictures.iterdir())
    manifest.write_text("".join(json.dumps({"image": str(each), "caption": WORDS}) + "\n" for each in names))
    made, journal = out / "ours.safetensors", out / "ours.tune" / "journal.jsonl"
    command = [sys.executable, "-m", "limner", "tune", "lora", "--offline", "--data", str(manifest), "--out", str(made)]
    command += ["-m", str(work.folder), "--target", "attention", "--min-snr", "0", "--drop-caption", "0"]
    command += ["--hold-out", "0", "--warmup", "0", "--lr", str(RATE), "--size", str(work.side)]
    command += ["--batch", str(work.batch), "--rank", str(work.rank), "--steps", str(work.steps)]
    command += ["--dtype", work.dtype, *(["--checkpointing"] if work.checkpointing else [])]
    return command, lambda: journal.read_text().count('"loss"') if journal.exists() else 0, made


def theirs(work: Work, out: Path, script: Path, more: Sequence[str]) -> tuple[list[str], Callable[[], int], Path]:
    """As ``ours``."""
    command = [sys.executable, str(script), "--pretrained_model_name_or_path", str(work.folder)]
    command += ["--instance_data_dir", str(work.pictures), "--instance_prompt", WORDS, "--center_crop"]
    command += ["--resolution", str(work.side), "--train_batch_size", str(work.batch), "--rank", str(work.rank)]
    command += ["--max_train_steps", str(work.steps), "--learning_rate", str(RATE), "--lr_warmup_steps", "0"]
    command += ["--mixed_precision", {"float32": "no", "bfloat16": "bf16"}[work.dtype], "--seed", "0"]
    command += ["--output_dir", str(out / "theirs"), *(["--gradient_checkpointing"] if work.checkpointing else [])]
    log = _log(out)
    return (
        [*command, *more],
        lambda: max(map(int, TOLD.findall(log.read_bytes())), default=0) if log.exists() else 0,
        out / "theirs" / "pytorch_lora_weights.safetensors",
    )


def measure(work: Work, script: Path | None, more: Sequence[str]) -> Run:
    """One run in a fresh process; ours where there is no script.

    Raises ``SystemExit`` with the end of what it said where it fails, or does not tell of every step."""
    with tempfile.TemporaryDirectory(prefix="limner-tune-") as made:
        out = Path(made)
        command, done, file = ours(work, out) if script is None else theirs(work, out, script, more)
        # A home of its own: nothing that an earlier run has kept is found.
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "LIMNER_HOME": str(out / "home"), "OMP_WAIT_POLICY": "PASSIVE"}
        at: dict[int, float] = {}
        trained = 0
        with _log(out).open("wb") as log:
            pid = subprocess.Popen(command, env=env, stdout=log, stderr=log).pid
        while not (ended := os.wait4(pid, os.WNOHANG))[0]:
            step = done()
            if step and step not in at:
                at[step], trained = _seconds(pid), _peak(pid)
            time.sleep(POLL)
        _, status, used = ended
        if status or sorted(at) != list(range(1, work.steps + 1)):
            raise SystemExit(f"{_log(out).read_text(errors='replace')[-3000:]}\n{command[:3]}: {status}; steps {at}")
        took = [at[k] - at[k - 1] for k in range(2, work.steps + 1)]
        return Run(median(took), used.ru_utime + used.ru_stime, trained, used.ru_maxrss << 10, _learnt(file))


def _log(out: Path) -> Path:
    return out / "log"


def _seconds(pid: int) -> float:
    """Of the processor, user's and system's, of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def _learnt(path: Path) -> int:
    """How many numbers the factors in a LoRA file have."""
    with path.open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(math.prod(each["shape"]) for name, each in head.items() if "lora" in name and "alpha" not in name)


@contextmanager
def _prepared(kept: Path | None) -> Iterator[tuple[Path, Path]]:
    """The checkpoint and the folder of pictures; both are deleted unless the checkpoint is ``kept``."""
    with tempfile.TemporaryDirectory(prefix="limner-tune-", dir="/var/tmp") as made:
        folder, pictures = kept or Path(made) / "sd15", Path(made) / "pictures"
        if not folder.exists():
            write(folder, "sd15", "float32")
            said = folder / "tokenizer" / "tokenizer_config.json"
            said.write_text(json.dumps({**json.loads(said.read_text()), "model_max_length": LENGTH}))
        pictures.mkdir()
        source = np.random.default_rng(0)
        for k in range(PICTURES):
            colours = Image.fromarray(source.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            colours.resize((512, 512), Image.Resampling.BICUBIC).save(pictures / f"{k}.png")
        yield folder, pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, required=True, help="diffusers' train_dreambooth_lora.py")
    parser.add_argument("--theirs", default="", help="further arguments of the script")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--folder", type=Path, help="keep the checkpoint here, or use the one that is")
    said = parser.parse_args()
    if said.steps < 2:
        parser.error("--steps: two at least, as the first is left out")
    found: dict[str, list[Run]] = {"limner": [], "script": []}
    with _prepared(said.folder) as (folder, pictures):
        work = Work(folder, pictures, said.side, said.batch, said.rank, said.steps, said.dtype, said.checkpointing)
        print(f"{said.dtype}, {said.side}x{said.side}, batch {said.batch}, rank {said.rank}, load {os.getloadavg()}")
        for turn in range(said.runs):
            for who, script in (("limner", None), ("script", said.script)):
                found[who].append(run := measure(work, script, shlex.split(said.theirs)))
                print(f"{turn + 1} {_row(who, run)}", flush=True)
    ours, theirs = (_medians(found[who]) for who in ("limner", "script"))
    print(f"= {_row('limner', ours)}\n= {_row('script', theirs)}")
    print(
        f"limner / script: a step {ours.step / theirs.step:.2f}, the process {ours.whole / theirs.whole:.2f}, "
        f"memory while training {ours.trained / theirs.trained:.2f}, in all {ours.peak / theirs.peak:.2f}"
    )


def _row(who: str, run: Run) -> str:
    return (
        f"{who:<7} {run.step:7.2f} s a step {run.whole:7.1f} s in all (processor) {run.trained / 2**30:6.2f} GiB "
        f"until the last step {run.peak / 2**30:6.2f} GiB in all; {run.learnt / 1e6:.2f} million numbers"
    )


def _medians(runs: Sequence[Run]) -> Run:
    return Run(
        step=median(each.step for each in runs),
        whole=median(each.whole for each in runs),
        trained=int(median(each.trained for each in runs)),
        peak=int(median(each.peak for each in runs)),
        learnt=runs[0].learnt,
    )


if __name__ == "__main__":
    main()
