"""The marks' gates: does every file validate, is any altered one called intact, what do the marks cost.

    python -m benchmarks.provenance [--altered 1000] [--files 90]

Overhead is told as a share of the time that the pocket model takes for a picture, measured here; for 512x512 and
1024x1024 in milliseconds, to be set beside what ``limner plan`` says of a model on the machine at hand.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeAlias, get_args

import numpy as np
from PIL import Image

from limner import Request, Session
from limner.config import Settings
from limner.library.files import pixel_hash
from limner.marking import Marking, claim_of
from limner.safety.credentials import Format
from limner.safety.credentials_read import read
from limner.types import Pixels, Record

Alteration: TypeAlias = Callable[[bytes, Format, Random], bytes]
FORMATS: tuple[Format, ...] = get_args(Format)


def _flip(data: bytes, _: Format, chance: Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, _: Format, chance: Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _append(data: bytes, _: Format, chance: Random) -> bytes:
    return data + chance.randbytes(chance.randrange(1, 64))


def _insert(data: bytes, _: Format, chance: Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + chance.randbytes(chance.randrange(1, 16)) + data[place:]


def _again(data: bytes, format: Format, chance: Random) -> bytes:
    """Saved anew: the manifest goes."""
    return _saved(data, format, chance, keep=False)


def _stripped(data: bytes, format: Format, chance: Random) -> bytes:
    """Saved anew in another format, with the metadata that Pillow carries over."""
    return _saved(data, chance.choice(FORMATS), chance, keep=True)


def _saved(data: bytes, format: Format, chance: Random, *, keep: bool) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        kept = {name: image.info[name] for name in ("exif",) if keep and name in image.info}
        image.save(out, format, quality=chance.randrange(50, 100), **kept)
    return out.getvalue()


def _words(data: bytes, _: Format, __: Random) -> bytes:
    """One word of the prompt is another one, of the same length."""
    return data.replace(b"fox", b"dog")


ALTERATIONS: Mapping[str, Alteration] = {
    "a bit flipped": _flip,
    "cut short": _cut,
    "bytes appended": _append,
    "bytes inserted": _insert,
    "saved anew": _again,
    "another format": _stripped,
    "words changed": _words,
}


def pictures(count: int) -> list[tuple[Pixels, Record]]:
    """What the pocket model drew, at several sizes."""
    made = []
    with tempfile.TemporaryDirectory() as home, Session(settings=Settings.load(Path(home), {}), keep=False) as session:
        drawn = session.generate(Request(prompt="a red fox in the snow", seed=1, n=4)).result()
        for k in range(count):
            image, side = drawn[k % len(drawn)], (96, 128, 320, 512, 777)[k % 5]
            pixels = np.asarray(image.pil.resize((side, side - k % 7)))
            made.append((pixels, image.record.model_copy(update={"pixel_hash": pixel_hash(pixels)})))
    return made


def validated(marking: Marking, files: int) -> list[tuple[Format, bytes]]:
    """Every file through the official reader. Raises ``AssertionError`` where one does not validate."""
    import c2pa

    from limner.safety.credentials import MIME

    made: list[tuple[Format, bytes]] = []
    for k, (pixels, record) in enumerate(pictures(files)):
        said = record.model_copy(update={"prompt": record.prompt + " fox" * (k * 97 % 3000)})
        format = FORMATS[k % 3]
        data = marking.file(pixels, said, format).data
        state = c2pa.Reader(MIME[format], io.BytesIO(data)).get_validation_state()
        assert state == "Valid", (k, format, state)
        made.append((format, data))
    print(f"official reader: {len(made)} of {len(made)} files valid")
    return made


def altered(made: list[tuple[Format, bytes]], count: int) -> Counter[str]:
    """States of altered files. Files that an alteration left as they were are not counted."""
    chance, states, done = Random(1), Counter[str](), 0
    names = list(ALTERATIONS)
    while done < count:
        format, data = made[chance.randrange(len(made))]
        name = names[done % len(names)]
        changed = ALTERATIONS[name](data, format, chance)
        if changed == data:
            names.remove(name)
            continue
        kind = format if name != "another format" else _format_of(changed)
        states[read(changed, kind).state] += 1
        done += 1
    print(f"altered files: {done}, reported {dict(states)}; intact or trusted: {states['intact'] + states['trusted']}")
    return states


def _format_of(data: bytes) -> Format:
    with Image.open(io.BytesIO(data)) as image:
        found: Mapping[str | None, Format] = {"PNG": "png", "WEBP": "webp"}
        return found.get(image.format, "jpeg")


def costs(marking: Marking) -> None:
    """Signing and marking by size, as medians; and as shares of a pocket picture's time and an SD picture's."""
    (pixels, record), *_ = pictures(1)
    record = record.model_copy(update={"marks": "full"})
    per: dict[int, float] = {}
    for side in (128, 512, 1024):
        shown = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
        said = record.model_copy(update={"pixel_hash": pixel_hash(shown)})
        bare = said.model_copy(update={"marks": "none"})
        data = marking.file(shown, said.model_copy(update={"marks": "metadata"})).data
        signing = _median(partial(marking.signing.sign, data, "png", claim_of(said)))
        whole = _median(partial(marking.file, shown, said))
        plain = _median(partial(marking.file, shown, bare))
        per[side] = whole - plain
        print(f"{side}x{side}: signing {signing * 1e3:.1f} ms, all marks {per[side] * 1e3:.1f} ms over a bare file")
    with tempfile.TemporaryDirectory() as home, Session(settings=Settings.load(Path(home), {})) as session:
        session.generate(Request(prompt="a red fox", seed=1)).result()
        drawn = session.generate(Request(prompt="a red fox", seed=2)).result()[0].record.timings["total"]
        print(f"pocket: {per[128] / drawn:.1%} of {drawn:.2f} s")


def _median(call: Callable[[], object], runs: int = 9) -> float:
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--altered", type=int, default=1000)
    parser.add_argument("--files", type=int, default=90)
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        marking = Marking.of(Settings.load(Path(home), {}))
        made = validated(marking, said.files)
        altered(made, said.altered)
        costs(marking)


if __name__ == "__main__":
    main()
