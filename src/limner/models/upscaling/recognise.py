"""Enlarging finished pictures: what a request names, and which networks are known. Torch-free.

Known are ESRGAN's RRDB network (Wang et al. 2018, arXiv 1809.00219) in the three spellings it is published in, that of
Real-ESRGAN among them (Wang et al. 2021, arXiv 2107.10833), and Real-ESRGAN's compact one. They are recognised by names
and shapes of their tensors, never by a file's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from limner.errors import InvalidRequest, MismatchedWeights, UnsafeFile
from limner.models.family import Files
from limner.models.inspect import read_header
from limner.types import Adapter

LANCZOS, LANCZOS_FACTOR = "lanczos", 2.0
LARGEST, MOST_PIXELS = 16.0, 80_000_000  # the library reads no larger picture
PICKLES = (".pth", ".pt", ".ckpt", ".bin")
PREFIX = re.compile(r"^(params_ema|params|state_dict|model_state_dict|net_g|module)\.")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Named:
    """An upscaler as a request names it: ``NAME`` or ``NAME:FACTOR``."""

    name: str
    factor: float | None = None

    @classmethod
    def of(cls, text: str) -> Named:
        """Raises ``InvalidRequest`` for a factor that is none."""
        name, colon, tail = text.rpartition(":")
        if not colon or not name or not re.fullmatch(r"[0-9.]+", tail):
            return cls(text)
        try:
            factor = float(tail)
        except ValueError:
            factor = 0.0
        if not 1 < factor <= LARGEST:
            raise InvalidRequest(
                f"upscale: {tail} is no factor", field="upscale", hint=f"above 1, up to {LARGEST:g}: {name}:2"
            )
        return cls(name, factor)


@dataclass(frozen=True, slots=True)
class Enlargement:
    """``network`` is the tagged hash of its file, ``None`` for Lanczos' filter; ``factor`` is what comes out."""

    network: str | None
    factor: float

    def size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of a picture enlarged. Raises ``InvalidRequest`` where that is too many pixels."""
        width, height = (round(side * self.factor) for side in size)
        if width * height > MOST_PIXELS:
            raise InvalidRequest(
                f"upscale: {width}x{height} are more than {MOST_PIXELS // 10**6} million pixels",
                field="upscale",
                hint="ask for a smaller factor: NAME:2",
            )
        return width, height


def enlargement(text: str, adapters: Sequence[Adapter], files: Files) -> Enlargement:
    """What ``Request.upscale`` means. Raises ``InvalidRequest``, ``ModelError``."""
    asked = Named.of(text)
    if asked.name == LANCZOS:
        return Enlargement(None, asked.factor or LANCZOS_FACTOR)
    found = next(each for each in adapters if each.kind == "upscaler" and each.name == asked.name)
    return Enlargement(found.hash, asked.factor or float(recognise(files.extras[found.hash]).scale))


@dataclass(frozen=True, slots=True)
class Net:
    """An upscaling network, from its shapes. ``names`` maps the file's tensors to the module's parameters.

    ``shuffle``: pixels a side that are folded into channels first (Real-ESRGAN below 4x). ``scale`` is the whole's.
    """

    kind: Literal["rrdb", "compact"]
    scale: int
    width: int
    blocks: int
    names: Mapping[str, str]
    growth: int = 0
    doublings: int = 0
    shuffle: int = 1


def recognise(path: Path) -> Net:
    """Which network a safetensors file holds.

    Raises ``UnsafeFile`` for a pickle, ``MismatchedWeights`` for a network that is not known here, ``CorruptFile``.
    """
    if path.suffix.lower() in PICKLES:
        raise UnsafeFile(
            f"{path.name} is a pickle, which can run code when it is opened",
            hint=f"make a safetensors file of it: limner models convert {path}",
        )
    shapes = {name: info.shape for name, info in read_header(path).tensors.items()}
    found = _rrdb(shapes) or _compact(shapes)
    if found is None:
        raise MismatchedWeights(
            f"{path.name} is no upscaler that Limner knows",
            hint="known are ESRGAN and Real-ESRGAN (RRDB), and Real-ESRGAN's compact networks, for colour pictures",
        )
    return found


_OLD = re.compile(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(weight|bias)")
_TRUNK = re.compile(r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.(weight|bias)")
_BODY = re.compile(r"body\.(\d+)\.rdb(\d)\.conv(\d)\.(weight|bias)")
_RENAMED = {"trunk_conv": "conv_body", "HRconv": "conv_hr", "upconv": "conv_up"}


def _rrdb(shapes: Shapes) -> Net | None:
    names: dict[str, str] = {}
    outer: list[int] = sorted(
        {int(m[1]) for name in shapes if (m := re.fullmatch(r"model\.(\d+)\.weight", PREFIX.sub("", name)))}
    )
    for stored in shapes:
        name = PREFIX.sub("", stored)
        match = _OLD.fullmatch(name) or _TRUNK.fullmatch(name) or _BODY.fullmatch(name)
        names[stored] = (
            f"body.{match[1]}.{int(match[2]) - 1}.{int(match[3]) - 1}.{match[4]}" if match else _outer(name, outer)
        )
    by_name = {name: shapes[stored] for stored, name in names.items()}
    first, last, dense = (by_name.get(key) for key in ("conv_first.weight", "conv_last.weight", "body.0.0.0.weight"))
    doublings = sum(bool(re.fullmatch(r"conv_up\d\.weight", name)) for name in by_name)
    if first is None or last is None or dense is None or last[0] != 3 or first[1] not in (3, 12, 48):
        return None
    shuffle = {3: 1, 12: 2, 48: 4}[first[1]]
    blocks = 1 + max(int(name.split(".")[1]) for name in by_name if name.startswith("body."))
    scale = 2**doublings // shuffle
    return Net("rrdb", scale, first[0], blocks, names, growth=dense[0], doublings=doublings, shuffle=shuffle)


def _inner(match: re.Match[str]) -> str:
    block, dense, conv, kind = match.groups()
    return f"body.{block}.{int(dense) - 1}.{int(conv) - 1}.{kind}"


def _outer(name: str, order: Sequence[int]) -> str:
    """The published name (Real-ESRGAN's) of a tensor outside the blocks."""
    if match := re.fullmatch(r"model\.1\.sub\.\d+\.(weight|bias)", name):
        return f"conv_body.{match[1]}"
    if (match := re.fullmatch(r"model\.(\d+)\.(weight|bias)", name)) and int(match[1]) in order:
        place = order.index(int(match[1]))
        ends = {0: "conv_first", len(order) - 2: "conv_hr", len(order) - 1: "conv_last"}
        return f"{ends.get(place, f'conv_up{place}')}.{match[2]}"
    for old, new in _RENAMED.items():
        name = re.sub(rf"^{old}(\d?\.)", rf"{new}\1", name)
    return name


def _compact(shapes: Shapes) -> Net | None:
    plain = {PREFIX.sub("", stored): shape for stored, shape in shapes.items()}
    layers = [int(m[1]) for name in plain if (m := re.fullmatch(r"body\.(\d+)\.weight", name))]
    if not layers or max(layers) % 2 or len(layers) != max(layers) + 1:
        return None
    first, last = plain["body.0.weight"], plain[f"body.{max(layers)}.weight"]
    scale = round((last[0] / 3) ** 0.5)
    slopes = all(len(plain[f"body.{k}.weight"]) == (1 if k % 2 else 4) for k in layers)
    if not slopes or first[1] != 3 or last[0] != 3 * scale * scale:
        return None
    names = {stored: PREFIX.sub("", stored) for stored in shapes}
    return Net("compact", scale, first[0], max(layers) // 2 - 1, names)
