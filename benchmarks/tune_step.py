"""A training step of Stable Diffusion 1.5's UNet with random weights: ours against diffusers' classes with peft.

    python -m benchmarks.tune_step [--side 256] [--steps 3] [--checkpointing]

Each side runs in a process of its own, one after the other: batch 1, float32, a LoRA of rank 8 on attention, AdamW.
Told are the median CPU seconds a step after the first, and the process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
RANK = 8


def ours(checkpointing: bool) -> tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    from limner.models.nets.unet import UNet, UNetConfig
    from limner.tune.layers import adapt, checkpointed
    from limner.tune.settings import TuneSettings

    unet = UNet(UNetConfig(cross_attention_dim=768))
    adapt(unet, "unet", TuneSettings(model="sd15", rank=RANK, targets=("attention",)))
    if checkpointing:
        checkpointed(unet)
    unet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as load_into leaves it
    return unet, lambda x, t, words: unet(x.contiguous(memory_format=torch.channels_last), t, words)


def theirs(checkpointing: bool) -> tuple[nn.Module, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    from diffusers import UNet2DConditionModel
    from peft import LoraConfig

    factory: Any = UNet2DConditionModel  # its annotations hide that it is a Module
    unet = factory(cross_attention_dim=768, sample_size=64)
    unet.requires_grad_(False)
    targets = [*TARGETS, "proj_in", "proj_out"]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets))
    if checkpointing:
        unet.enable_gradient_checkpointing()
    unet.train()
    return unet, lambda x, t, words: unet(x, t, words).sample


def measure(which: str, side: int, steps: int, checkpointing: bool) -> dict[str, float]:
    torch.manual_seed(0)
    module, call = (ours if which == "ours" else theirs)(checkpointing)
    learnt = [each for each in module.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(learnt, lr=1e-4)
    x, words, t = torch.randn(1, 4, side // 8, side // 8), torch.randn(1, 77, 768), torch.tensor([500])
    took = []
    for _ in range(steps + 1):
        started = time.process_time()
        loss = (call(x, t, words) - torch.randn_like(x)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        took.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": median(took[1:]), "peak_gib": peak, "learnt": float(sum(each.numel() for each in learnt))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--which", choices=["ours", "theirs"])
    said = parser.parse_args()
    if said.which:
        print(json.dumps(measure(said.which, said.side, said.steps, said.checkpointing)))
        return
    for which in ("ours", "theirs"):
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.tune_step", "--which", which, *sys.argv[1:]],
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(run.stdout.splitlines()[-1])
        print(
            f"{which:<8}{found['seconds']:8.2f} s of CPU a step  {found['peak_gib']:6.2f} GiB peak  "
            f"{found['learnt']:.0f} numbers learnt"
        )


if __name__ == "__main__":
    main()
