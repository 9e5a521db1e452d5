"""What a weights file holds of a part, under our names: the one place that knows how files differ. Torch-free.

A file is either one part of a diffusers folder, or a whole checkpoint in CompVis's layout, of which each part is a
view: nothing is converted or copied, and what belongs to other parts is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from limner.models.inspect import TensorInfo, read_header
from limner.models.nets.aliases import canonical_names
from limner.models.singlefiles import compvis

SD2_LAYERS = 23  # of the 24 that OpenCLIP's ViT-H has: the last is trained for something else

TEXT_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "text_encoder": (
        "cond_stage_model.transformer.",
        "cond_stage_model.model.",
        "conditioner.embedders.0.transformer.",
    ),
    "text_encoder_2": ("conditioner.embedders.1.model.", "conditioner.embedders.0.model."),
}


class Piece(NamedTuple):
    """Where a parameter lies: a stored tensor, or some of its rows; ``transposed`` where it is stored the other way
    round. ``info`` is of the whole stored tensor."""

    stored: str
    info: TensorInfo
    rows: tuple[int, int] | None = None
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the parameter, as it is to be used."""
        shape = self.info.shape
        if self.rows is not None:
            shape = (self.rows[1] - self.rows[0], *shape[1:])
        return shape[::-1] if self.transposed else shape


def is_whole(tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether the file is a checkpoint in CompVis's layout, with or without all of its parts."""
    return any(name.startswith((compvis.UNET_PREFIX, compvis.VAE_PREFIX, "model_ema.")) for name in tensors)


def part_bytes(part: str, path: Path) -> int:
    """Bytes of a file that belong to a part: all of it, or the part's tensors where it is a whole checkpoint. Raises
    what ``read_header`` does."""
    if path.suffix.lower() not in (".safetensors", ".sft"):
        return path.stat().st_size
    tensors = read_header(path).tensors
    if not is_whole(tensors):
        return path.stat().st_size
    read = {piece.stored: piece.info for _, piece in pieces(part, tensors)}
    return sum(info.end - info.start for info in read.values())


def pieces(part: str, tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, Piece]]:
    """Our names of a part's parameters and where they lie, of a file with these ``tensors``.

    ``part`` is named as the folders of a checkpoint are: ``unet``, ``vae``, ``text_encoder``, ``text_encoder_2``. What
    is knowingly ignored is left out; a name may come twice, and that is for the caller to refuse.
    """
    if is_whole(tensors):
        yield from _view(part, tensors)
    elif part == "vae" and any(name.startswith("encoder.down.") or name.startswith("decoder.up.") for name in tensors):
        yield from _renamed(compvis.vae_names(tensors), tensors, "")
    else:
        for stored, name in canonical_names(part, tensors).items():
            if name is not None:
                yield name, Piece(stored, tensors[stored])


def _view(part: str, tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, Piece]]:
    if part == "unet":
        yield from _unet(tensors)
    elif part == "vae":
        inside = _inside(tensors, compvis.VAE_PREFIX)
        yield from _renamed(compvis.vae_names(inside), tensors, compvis.VAE_PREFIX)
    else:
        yield from _text(part, tensors)


def _inside(tensors: Mapping[str, TensorInfo], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in tensors if name.startswith(prefix)]


def _renamed(names: Mapping[str, str], tensors: Mapping[str, TensorInfo], prefix: str) -> Iterator[tuple[str, Piece]]:
    for stored, name in names.items():
        yield name, Piece(prefix + stored, tensors[prefix + stored])


def _unet(tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, Piece]]:
    inside = _inside(tensors, compvis.UNET_PREFIX)
    if inside:
        yield from _renamed(compvis.unet_names(inside), tensors, compvis.UNET_PREFIX)
        return
    averaged = {whole: stored for stored, whole in compvis.averaged_names(tensors).items()}
    names = compvis.unet_names([whole.removeprefix(compvis.UNET_PREFIX) for whole in averaged])
    for old, name in names.items():
        stored = averaged[compvis.UNET_PREFIX + old]
        yield name, Piece(stored, tensors[stored])


def _text(part: str, tensors: Mapping[str, TensorInfo]) -> Iterator[tuple[str, Piece]]:
    for prefix in TEXT_PREFIXES.get(part, ()):
        inside = _inside(tensors, prefix)
        if not inside:
            continue
        if any(name.startswith("transformer.resblocks.") for name in inside):
            yield from _open_clip(part, prefix, inside, tensors)
        else:
            names = canonical_names(part, inside)
            yield from _renamed({old: new for old, new in names.items() if new is not None}, tensors, prefix)
        return


def _open_clip(
    part: str, prefix: str, inside: list[str], tensors: Mapping[str, TensorInfo]
) -> Iterator[tuple[str, Piece]]:
    pooled = part == "text_encoder_2"
    names = compvis.open_clip_names(inside, None if pooled else SD2_LAYERS)
    for old, new in names.items():
        info = tensors[prefix + old]
        if len(new) == 1:
            if pooled or new[0] != "text_projection.weight":
                yield new[0], Piece(prefix + old, info, transposed=new[0] == "text_projection.weight")
            continue
        height = info.shape[0] // len(new) if info.shape else 0
        for k, name in enumerate(new):
            yield name, Piece(prefix + old, info, rows=(k * height, (k + 1) * height))
