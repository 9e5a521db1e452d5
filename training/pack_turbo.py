"""Pack pocket-turbo: the LoRA of the turbo stage with its card, licence and notice.

``python -m training.pack_turbo RUN OUT`` reads RUN/turbo. Who draws with it puts it on ``pocket``.
"""

import json
import shutil
from pathlib import Path

from training.pack import arguments, size, write_legal
from training.train_turbo import GUIDANCE, RANK

NAME = "pocket-turbo"
WEIGHTS = "pytorch_lora_weights.safetensors"
UNKNOWN = "Nobody has looked at enough of its pictures to say.\n"
_CARD = """---
license: apache-2.0
pipeline_tag: text-to-image
tags: [lora, latent-consistency, stable-diffusion, emoji]
---

# pocket-turbo

A LoRA of rank {rank} on `pocket`'s UNet, float16, for **four steps without guidance**: a tenth of the network's work
for `pocket`'s twenty steps with it. It draws what `pocket` draws and knows what `pocket` knows; its card has the list.

Draw with 4 steps (2 to 8 will do), guidance 1 (off: a negative prompt does nothing) and the LCM sampler. In Limner that
is `-m pocket-turbo`; in diffusers `LCMScheduler.from_config(pipe.scheduler.config)` and `pipe.load_lora_weights` over
the pipeline of `pocket`.

## What it can and cannot do

{able}
## Measured

{measured}
## How it was made

As a latent consistency model (Luo et al. 2023), but for one thing: the student learns the ends of the guided teacher's
trajectories (guidance {guidance:.0f}), which are solved in two to twelve steps, not its own words one step on. It saw
{seen} samples{time}, of scenes that Limner's `training/` package renders from the Noto Color Emoji font. No
photograph, no artwork and no text from the web went into it.

## Licence

Apache-2.0, see `LICENSE` and `NOTICE`.
"""


def card(log: dict[str, float], measured: str, able: str) -> str:
    """The markdown; ``log`` is the last line of the stage's."""
    time = f" in {log['minutes']:.0f} minutes of one processor core" if log.get("minutes") else ""
    seen = f"{int(log['seen']):,}"
    return _CARD.format(rank=RANK, guidance=GUIDANCE, seen=seen, time=time, measured=measured, able=able)


def pack(stage: Path, out: Path, measured: str, able: str) -> None:
    """Write the folder from what the stage exported."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(stage / WEIGHTS, out / WEIGHTS)
    log: dict[str, float] = json.loads((stage / "log.jsonl").read_text().splitlines()[-1])
    (out / "README.md").write_text(card(log, measured, able))
    write_legal(out, NAME, "a LoRA")


def main() -> None:
    """Pack a run's export."""
    given = arguments(__doc__).parse_args()
    measured = given.measured.read_text() if given.measured else "Not measured yet.\n"
    pack(given.run / "turbo", given.out, measured, given.able.read_text() if given.able else UNKNOWN)
    print(size(given.out))


if __name__ == "__main__":
    main()
