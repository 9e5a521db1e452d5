"""Memory that one DALL-E mini picture takes, at the published sizes with random weights.

    python -m benchmarks.dalle_memory --model mini --dtype bfloat16

Writes a checkpoint of float32 weights to a temporary folder, draws one picture from it in a process of its own, and
prints the process's peak of resident memory above what ``import torch`` left, beside the size of the weights in the
number format that was drawn in. Pages of the file are given back as it is read, and count while they are held.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from benchmarks.dalle_mini import CONFIGS, VQGAN
from limner.models.dalle.convert import PUBLISHED_VQGAN
from limner.models.nets.bart import Bart
from limner.models.nets.vqgan import Vqgan

FIXTURES = Path(__file__).parent.parent / "tests" / "fixtures" / "dalle-mini" / "model"
DRAW = """
import pathlib, re, sys
import torch
def resident(name):
    return int(re.search(name + r":\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) * 1024
before = resident("VmRSS")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far: a child starts with its parent's
from limner import Session
with Session(keep=False, offline=True) as session:
    session.draw("a red fox in the snow", model=sys.argv[1], dtype=sys.argv[2], seed=1)
print(resident("VmHWM") - before)
"""


def write(model: str, folder: Path) -> int:
    """A checkpoint in Limner's own layout; returns how many values its weights hold."""
    config = CONFIGS[model]
    own = {
        "d_model": config.d_model,
        **{
            f"{side}_{name}": value
            for side, stack in (("encoder", config.encoder), ("decoder", config.decoder))
            for name, value in (("layers", stack.layers), ("attention_heads", stack.heads), ("ffn_dim", stack.ffn))
        },
        "encoder_vocab_size": config.text_vocab,
        "image_vocab_size": config.image_vocab,
        "image_length": config.image_length,
        "max_text_length": config.text_length,
        "decoder_start_token_id": config.start_token,
    }
    published = json.loads((FIXTURES / "config.json").read_text())
    count = 0
    for part, made in (("model", lambda: Bart(config)), ("vqgan", lambda: Vqgan(VQGAN))):
        (folder / part).mkdir(parents=True)
        with torch.device("meta"):
            shapes = {name: tensor.shape for name, tensor in made().state_dict().items()}
        state = {name: torch.randn(shape).mul_(0.02) for name, shape in shapes.items()}
        count += sum(tensor.numel() for tensor in state.values())
        save_file(state, folder / part / "model.safetensors")
    (folder / "model" / "config.json").write_text(json.dumps({**published, **own}))
    (folder / "vqgan" / "config.json").write_text(json.dumps(PUBLISHED_VQGAN))
    for name in ("tokenizer.json", "enwiki-words-frequency.txt"):
        shutil.copyfile(FIXTURES / name, folder / "model" / name)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, default="mini")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        count = write(options.model, Path(folder) / "checkpoint")
        weights = count * (4 if options.dtype == "float32" else 2)
        command = [sys.executable, "-c", DRAW, str(Path(folder) / "checkpoint"), options.dtype]
        used = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    print(
        f"{options.model} {options.dtype}: weights {weights / 1e9:.2f} GB, "
        f"peak above import torch {used / 1e9:.2f} GB, {used / weights:.2f} times the weights"
    )


if __name__ == "__main__":
    main()
