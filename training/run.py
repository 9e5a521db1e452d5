"""The driver: ``python -m training.run --stage autoencoder --out DIR --device auto --minutes 10``.

Every stage resumes from ``DIR/<stage>/state.pt`` when it is there and exports its averaged weights beside it.
"""

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from training import (
    pocket,
    ranks,
    train_autoencoder,
    train_classifier,
    train_clip,
    train_dalle,
    train_detector,
    train_turbo,
    train_unet,
    train_vqgan,
)
from training.loop import Options, pick_device
from training.sprites import Atlas
from training.sprites import atlas as load_atlas

STAGES = ("autoencoder", "unet", "classifier", "clip", "judge", "turbo", "vqgan", "dalle")
_HERE = Path()
_CPU = {
    "autoencoder": Options(_HERE, batch=8, rate=2.5e-4, decay=1e-4, average=0.998),
    "unet": Options(_HERE, batch=64, rate=8e-4, flat=0.6, average=0.999, warmup=200),
    "classifier": Options(_HERE, batch=32, rate=1.5e-3, average=0.998, warmup=300, decay=2e-2),
    "clip": Options(_HERE, batch=64, rate=1e-3, average=0.998, warmup=300, decay=2e-2),
    "judge": Options(_HERE, batch=32, rate=1.5e-3, average=0.998, warmup=300, decay=2e-2),
    "turbo": Options(_HERE, batch=32, rate=5e-4, average=0.995, warmup=50),
    "vqgan": Options(_HERE, batch=4, rate=3e-4, decay=1e-4, average=0.998),
    "dalle": Options(_HERE, batch=32, rate=1e-3, flat=0.5, average=0.999, warmup=200),
}
_GPU = {
    "autoencoder": Options(_HERE, batch=48, rate=5e-4, decay=1e-4, average=0.999, workers=4),
    "unet": Options(_HERE, batch=1024, rate=8e-4, flat=0.5, average=0.9995, warmup=500, workers=12),
    "classifier": Options(_HERE, batch=256, rate=2e-3, average=0.998, workers=12),
    "clip": Options(_HERE, batch=512, rate=1e-3, average=0.998, warmup=300, workers=14),
    "judge": Options(_HERE, batch=256, rate=2e-3, average=0.998, warmup=300, decay=2e-2, workers=14),
    "turbo": Options(_HERE, batch=256, rate=3e-4, average=0.995, warmup=100, workers=12),
    "vqgan": Options(_HERE, batch=48, rate=5e-4, decay=1e-4, average=0.999, workers=4),
    "dalle": Options(_HERE, batch=512, rate=1.5e-3, flat=0.5, average=0.9995, warmup=500, workers=12),
}


def defaults(stage: str, device: str) -> Options:
    """A stage's settings for the kind of machine."""
    return (_GPU if device.startswith("cuda") else _CPU)[stage]


def train(
    stage: str,
    atlas: Atlas,
    options: Options,
    root: Path,
    things: int | None,
    curriculum: int | None = None,
    begin: Path | None = None,
) -> None:
    """Run one stage."""
    fast = options.device.startswith("cuda")
    if stage == "autoencoder":
        # A third more work in the decoder (0.17 s on one core) for sharper edges: only a GPU can train it in time.
        widths = (32, 64, 128, 160, 192) if fast else train_autoencoder.WIDTHS
        train_autoencoder.train(atlas, options, widths=widths)
    elif stage == "unet":
        vae = train_unet.load_vae(root)
        room, usual, reuse = (65_536, 60_000, 8) if fast else (12_288, 12_000, 16)
        widen = usual if curriculum is None else curriculum
        train_unet.train(atlas, options, vae, room=room, reuse=reuse, curriculum=widen, things=things, begin=begin)
    elif stage == "classifier":
        train_classifier.train(atlas, options, favoured=things)
    elif stage == "clip":
        train_clip.train(atlas, options)
    elif stage == "judge":
        train_detector.train(atlas, options, favoured=things, begin=begin)
    elif stage == "turbo":
        room, reuse = (65_536, 8) if fast else (6_144, 64)
        train_turbo.train(atlas, options, pocket.load(root, options.device), room=room, reuse=reuse, things=things)
    elif stage == "vqgan":
        train_vqgan.train(atlas, options, things=things)
    elif stage == "dalle":
        pictures = train_vqgan.load(root / "vqgan", options.device)
        room, usual, reuse = (262_144, 60_000, 8) if fast else (65_536, 12_000, 4)
        widen = usual if curriculum is None else curriculum
        train_dalle.train(
            atlas, options, pictures, room=room, reuse=reuse, curriculum=widen, things=things, begin=begin
        )


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage", required=True, choices=STAGES)
    parser.add_argument("--out", type=Path, default=Path("training/runs/pocket"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--minutes", type=float, default=10.0, help="the whole run's budget over all resumptions")
    parser.add_argument("--samples", type=int, help="the whole run's length; the schedule then follows it, not time")
    parser.add_argument("--stop-after", type=float, help="minutes of this call; resume later")
    parser.add_argument("--save-every", type=float, default=4.0, help="minutes between checkpoints")
    parser.add_argument(
        "--things",
        type=int,
        help="only the first so many things (unet, turbo, vqgan, dalle); shown more often (judge, classifier)",
    )
    parser.add_argument("--curriculum", type=int, help="scenes until all kinds are drawn (unet, dalle)")
    parser.add_argument(
        "--begin", type=Path, help="start from the networks packed there (unet) or exported there (judge, dalle)"
    )
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves its own choice")
    parser.add_argument("--atlas", type=Path, help="sprite atlas; default OUT/atlas.png, drawn when missing")
    parser.add_argument("--everything", action="store_true", help="all usable emoji, when the atlas is drawn")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--processes", type=int, default=1, help="so many train together, on a batch each (dalle)")
    return parser.parse_args(argv)


def one(given: argparse.Namespace, atlas: Atlas, rank: int) -> None:
    """Run what was asked for, as one of the processes."""
    if given.threads or given.processes > 1:
        torch.set_num_threads(given.threads or max(1, (os.cpu_count() or 1) // given.processes))
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    device = pick_device(given.device)
    options = defaults(given.stage, device)
    options = replace(
        options,
        out=given.out / given.stage,
        device=device,
        minutes=given.minutes,
        samples=given.samples,
        stop_after=given.stop_after,
        save_every=given.save_every,
        seed=given.seed,
        batch=given.batch or options.batch,
        rate=given.rate or options.rate,
        workers=options.workers if given.workers is None else given.workers,
        resume=given.resume,
        compile=given.compile,
        rank=rank,
        ranks=given.processes,
    )
    train(given.stage, atlas, options, given.out, given.things, given.curriculum, given.begin)


def main(argv: list[str] | None = None) -> None:
    """Parse and run."""
    given = arguments(argv)
    if given.processes < 1 or (given.processes > 1 and given.stage != "dalle"):
        raise SystemExit(f"--processes {given.processes}: several are for the dalle stage, others take 1; leave it out")
    if given.processes > 1 and pick_device(given.device) != "cpu":
        raise SystemExit(f"--processes {given.processes}: a GPU is kept busy by one; leave it out, or add --device cpu")
    atlas = load_atlas(given.atlas or given.out / "atlas.png", given.everything)
    ranks.start(given.processes, partial(one, given, atlas))


if __name__ == "__main__":
    main()
