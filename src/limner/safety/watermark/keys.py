"""The secret-free key: the phases, pilots and slots of a pattern, drawn from a name.

The shipped pattern was drawn once with ``draw(b"limner-wm-v1")`` and frozen in ``pattern.json``: a generator's stream
may change with numpy, and every picture ever marked must stay readable. Other keys serve only to measure false alarms:
the bound in ``detect.py`` is an average over keys."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from limner.errors import CorruptFile
from limner.safety.watermark.arrays import Ints
from limner.safety.watermark.bands import PLANES
from limner.safety.watermark.code import SIGNS

PILOTS = 0.6
"""The share of harmonics whose sign is known beforehand. They find the mark; the rest carry the payload. More pilots
would find fainter marks and read fewer payloads."""
TURN = 1 << 16
"""Phases are whole numbers of 1/65536 turns: the same on every machine."""
FROZEN = "34d45af590ae08ab0712b87a732b68880d9c47031aaf74468a53e5954c941392"


@dataclass(frozen=True)
class Key:
    """``phases``: for each plane the phase of each harmonic, in 1/65536 turns; ``pilots``: which of them are pilots;
    ``slots``: which of the code's signs each of the other harmonics carries, over the planes in order."""

    phases: tuple[Ints, ...]
    pilots: tuple[Ints, ...]
    slots: Ints

    def text(self) -> str:
        """As ``pattern.json`` holds it."""
        return json.dumps(
            {
                "phases": [plane.tolist() for plane in self.phases],
                "pilots": [plane.tolist() for plane in self.pilots],
                "slots": self.slots.tolist(),
            }
        )


def draw(name: bytes) -> Key:
    """A key drawn from a name. Not a secret: the mark is meant to be read by anyone."""
    seed = int.from_bytes(hashlib.sha256(name).digest()[:16], "big")
    generator = np.random.Generator(np.random.PCG64(seed))
    phases, pilots, free = [], [], 0
    for band in PLANES:
        count = len(band.kx)
        phases.append(generator.integers(0, TURN, count))
        pilots.append(np.sort(generator.permutation(count)[: round(PILOTS * count)]))
        free += count - len(pilots[-1])
    slots = generator.permutation(np.resize(np.arange(SIGNS), free))
    return Key(tuple(phases), tuple(pilots), slots)


@cache
def shipped() -> Key:
    """The frozen key. Raises ``CorruptFile`` where the file is not the one that was frozen."""
    data = (files("limner.safety.watermark") / "pattern.json").read_bytes()
    if hashlib.sha256(data).hexdigest() != FROZEN:
        raise CorruptFile("the watermark's pattern.json is not as shipped", hint="install Limner again")
    held = json.loads(data)
    return Key(
        tuple(np.array(plane) for plane in held["phases"]),
        tuple(np.array(plane) for plane in held["pilots"]),
        np.array(held["slots"]),
    )
