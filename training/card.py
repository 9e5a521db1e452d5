"""The card of a packed ``pocket``: what it knows, what comes out, how it was made."""

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

from training.world import PLACES, Thing

NOT_MEASURED = "Not measured yet.\n"
ROUGH = """\
- **Comes out well:** places and times of day, plain grounds, colours.
- **Comes out roughly:** the things themselves. The network is small and far from fully trained: many things are blobs
  of about the right colour and outline, and much alike things (a dog, a fox, a wolf) are taken for each other.
- **Often fails:** two things in one picture, most of all one on the other; more than two of a thing.
- **Does not come out:** every thing that is not listed below, writing, and people as they look. Limner warns when the
  main noun of a prompt is not among its words.
"""
_CARD = """---
license: apache-2.0
pipeline_tag: text-to-image
tags: [stable-diffusion, text-to-image, emoji]
---

# pocket

A very small text-to-image model that ships inside Limner, so that words become a picture offline and within seconds. It
draws **small emoji-style scenes, {side}x{side} pixels, of {things} things**, and reads {words} words. It does not draw
photographs, likenesses, letters or anything it has no word for.

It is an ordinary checkpoint of the Stable Diffusion family in the diffusers folder layout (float16 safetensors, in
files of at most 16 MB):

| part | what | size |
|---|---|---|
| `unet/` | `UNet2DConditionModel`, {latent}x{latent} latents of {channels} channels | {unet:.1f} M parameters |
| `vae/` | `AutoencoderKL`, factor {factor}, {channels} channels | {vae:.1f} M |
| `text_encoder/` | `CLIPTextModel`, {length} tokens | {text:.1f} M |
| `tokenizer/` | whole words in lower case, {words} of them; any other word becomes "unknown" | |
| `scheduler/` | v-prediction, zero terminal SNR, trailing spacing | |

Draw with 20 steps and a guidance of 4.

## What it can and cannot do

{able}
## What it knows

Beside the things: eleven colours, big and small, two to five of a thing, left of, right of, above, below, on and next
to, {places} places (snow, beach, grass, desert, forest, city, mountains, water, sky, sea, space), night and sunset.
The things, each with plurals and most with other names:

{known}

## Measured

{measured}
## How it was made

Trained on {seen} samples{time}. Limner's `training/` package rendered them from the Noto Color Emoji font and captioned
them by a grammar of its own, with names and keywords from the Unicode CLDR; ten in a hundred captions were empty. No
photograph, no artwork and no text from the web went into it. The things were chosen by hand as those that people type
most: a bias of the data.

It is for learning, trying out and testing. Scores of pocket pictures say nothing about models of other domains.

## Licence

Apache-2.0, see `LICENSE` and `NOTICE`.
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card says of a training. ``minutes`` of all its stages (0: not told), ``seen`` scenes."""

    known: tuple[Thing, ...]
    seen: int
    minutes: float = 0.0
    measured: str = NOT_MEASURED
    able: str = ROUGH

    @classmethod
    def of(cls, run: Path, known: tuple[Thing, ...], begun: Path | None = None, **told: str) -> "Facts":
        """Of a run's folder; ``begun`` is the unet stage that this run's unet stage began from."""
        stages = [run / "unet", *([begun] if begun else [])]
        seen = sum(json.loads((stage / "facts.json").read_text())["seen"] for stage in stages)
        minutes = sum(_minutes(stage / "log.jsonl") for stage in (run / "autoencoder", *stages))
        return cls(known, seen, minutes, **told)


def _minutes(log: Path) -> float:
    return float(json.loads(log.read_text().splitlines()[-1])["minutes"]) if log.exists() else 0.0


def card(facts: Facts, **sizes: float) -> str:
    """The markdown. ``sizes``: side, latent, channels, factor, length, words; unet, vae and text in millions."""
    names = ", ".join(thing.name for thing in facts.known)
    hours = f" in {facts.minutes / 60:.1f} hours of one processor core" if facts.minutes else ""
    return _CARD.format(
        things=len(facts.known),
        places=len(PLACES),
        known=textwrap.fill(names, 120),
        seen=f"{facts.seen:,}",
        time=hours,
        measured=facts.measured,
        able=facts.able,
        **sizes,
    )
