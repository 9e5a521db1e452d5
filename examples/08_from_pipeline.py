"""Hand Limner a diffusers pipeline that you have loaded: its pictures get Records, a place in the library and replay.

Here it is the built-in model, read by diffusers. Any text-to-image pipeline of diffusers will do, with whatever you set
on it: its scheduler, its LoRA, its device. Needs the extra `models` (diffusers and transformers).

    python examples/08_from_pipeline.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import DiffusionPipeline, DPMSolverMultistepScheduler

import limner
from limner import Session

POCKET = Path(limner.__file__).parent / "assets" / "pocket"


def main() -> None:
    pipe = DiffusionPipeline.from_pretrained(POCKET, torch_dtype=torch.float32)  # type: ignore[no-untyped-call]
    scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)  # type: ignore[no-untyped-call]
    pipe.scheduler = scheduler

    with Session.from_pipeline(pipe) as session:
        picture = session.draw("a whale in the ocean at sunset", seed=3, width=64, height=64)
        print(f"{picture.save('whale.png')}: drawn by {picture.record.model.name}")
        for part, digest in sorted(picture.record.model.files.items()):
            print(f"  {part:24} {digest[:19]}...")  # what was in memory, by its bytes
        print("drawn again:", session.replay("whale.png").verdict)


if __name__ == "__main__":
    main()
