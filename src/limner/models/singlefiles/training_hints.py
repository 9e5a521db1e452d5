"""How a single file's network was trained, where its weights do not say: by the user, a .yaml beside it, its metadata.

Nothing in the shapes tells whether a network of Stable Diffusion 2 predicts noise (512 pixels) or velocity (768), yet
pictures made the wrong way are noise. So every source that may say it is asked, and what was taken is told. Torch-free.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limner.errors import CorruptFile, MismatchedWeights
from limner.models.inspect import Header, TensorInfo
from limner.models.singlefiles.architectures import INPAINTING, SD2, SDXL, Architecture

MAX_YAML = 1 << 16
_SCALAR = re.compile(
    r"^\s*(parameterization|linear_start|linear_end|context_dim)\s*:\s*[\"']?([\w.+-]+)[\"']?\s*(?:#.*)?$"
)
VELOCITY, NOISE = "v_prediction", "epsilon"
_SPELT = {"v": VELOCITY, "v_prediction": VELOCITY, "vpred": VELOCITY, "eps": NOISE, "epsilon": NOISE}
_V_SIDE = 96  # the latent's side where Stable Diffusion 2 predicts velocity: 768 pixels

# ComfyUI's rule of thumb, found by its author: the spread of this norm's bias is larger where velocity is predicted.
_TELLTALE = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SPREAD = 0.09
_TELLTALE_MOST = 4096
_BASE_STEPS = "875000"  # Stable Diffusion 2 base was trained for so many; it predicts noise


@dataclass(frozen=True, slots=True)
class Trained:
    """``scheduler`` are settings that differ from the architecture's own, ``side`` the latent's side it was trained at.
    ``source`` says where the prediction comes from; ``assumed`` is true where nothing certain said it."""

    prediction: str
    side: int
    source: str
    assumed: bool
    scheduler: Mapping[str, object] = field(default_factory=dict)


def trained(
    path: Path, header: Header, architecture: Architecture, unet: Mapping[str, object], said: str | None
) -> Trained:
    """What a file's network was trained for. ``said`` is the user's word and goes before all else.

    Raises ``CorruptFile`` for a .yaml that cannot be read, ``MismatchedWeights`` for one that is not this file's.
    """
    yaml = _beside(path)
    _check_yaml(path, yaml, unet)
    prediction, source, assumed = _prediction(path, header, architecture, unet, yaml, said)
    scheduler: dict[str, object] = {"prediction_type": prediction}
    for key, ours in (("linear_start", "beta_start"), ("linear_end", "beta_end")):
        if key in yaml:
            scheduler[ours] = _number(path, key, yaml[key])
    if "ztsnr" in header.tensors:  # noised until nothing of the picture is left; steps then begin at the very end
        scheduler |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    side = _V_SIDE if architecture is SD2 and prediction == VELOCITY else architecture.side
    return Trained(prediction, side, source, assumed, scheduler)


def _prediction(
    path: Path,
    header: Header,
    architecture: Architecture,
    unet: Mapping[str, object],
    yaml: Mapping[str, str],
    said: str | None,
) -> tuple[str, str, bool]:
    if said is not None:
        return said, "the setting [models.NAME] prediction", False
    if "parameterization" in yaml:
        told = _SPELT.get(yaml["parameterization"], yaml["parameterization"])
        return told, f"{path.with_suffix('.yaml').name} beside it", False
    if "v_pred" in header.tensors:
        return VELOCITY, "its tensor v_pred", False
    meta = header.metadata.get("modelspec.prediction_type", "").lower()
    if meta in _SPELT:
        return _SPELT[meta], "its metadata", False
    if architecture is not SD2 or unet["in_channels"] == INPAINTING:
        return NOISE, f"what {architecture.title} is trained for", False
    if header.metadata.get("global_step") == _BASE_STEPS:
        return NOISE, "the number of its training steps", False
    spread = _spread_of(path, header)
    if spread is None:
        return VELOCITY, "nothing in the file, as most of its kind do", True
    return (VELOCITY if spread > _SPREAD else NOISE), "a rule of thumb on its weights", True


def doubtful(architecture: Architecture) -> bool:
    """Whether files of an architecture are known in both kinds, so that a wrong guess is worth a word."""
    return architecture in (SD2, SDXL)


def _beside(path: Path) -> Mapping[str, str]:
    """The scalars of a .yaml of the same name, the first of each. It is scanned line by line; nothing is built."""
    beside = path.with_suffix(".yaml")
    try:
        if not beside.is_file():
            return {}
        with beside.open("rb") as file:
            text = file.read(MAX_YAML + 1)
    except OSError as error:
        raise CorruptFile(f"{beside.name} cannot be read: {error.strerror}", hint=f"delete it: {beside}") from None
    if len(text) > MAX_YAML:
        raise CorruptFile(f"{beside.name} is too long for a config", hint=f"delete it: {beside}")
    found: dict[str, str] = {}
    for match in filter(None, map(_SCALAR.match, text.decode("utf-8", "replace").splitlines())):
        found.setdefault(match[1], match[2])
    return found


def _check_yaml(path: Path, yaml: Mapping[str, str], unet: Mapping[str, object]) -> None:
    beside = path.with_suffix(".yaml").name
    if yaml.get("context_dim", str(unet["cross_attention_dim"])) != str(unet["cross_attention_dim"]):
        raise MismatchedWeights(
            f"{beside} says context_dim {yaml['context_dim']}, and {path.name} has {unet['cross_attention_dim']}",
            hint=f"delete {beside}, or put the one beside it that belongs to it",
        )
    if yaml.get("parameterization", "v") not in _SPELT:
        raise MismatchedWeights(
            f"{beside} says parameterization {yaml['parameterization']!r}, which Limner does not know",
            hint=f"known: v, eps; delete {beside} if it is not this file's",
        )


def _number(path: Path, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        beside = path.with_suffix(".yaml").name
        raise CorruptFile(f"{beside} says {key} {text!r}, which is no noise level", hint=f"delete {beside}")
    return value


def _spread_of(path: Path, header: Header) -> float | None:
    """Standard deviation of the telltale tensor; ``None`` where the file has none that can be read."""
    info = header.tensors.get(_TELLTALE)
    if info is None or math.prod(info.shape) > _TELLTALE_MOST or info.dtype not in ("F32", "F16", "BF16"):
        return None
    values = list(_floats(path, info))
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _floats(path: Path, info: TensorInfo) -> Iterator[float]:
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little") + info.start
        file.seek(start)
        raw = file.read(info.end - info.start)
    if info.dtype == "BF16":  # the upper half of a float32
        raw = b"".join(b"\0\0" + raw[k : k + 2] for k in range(0, len(raw), 2))
    yield from (value for (value,) in struct.iter_unpack("<e" if info.dtype == "F16" else "<f", raw))
