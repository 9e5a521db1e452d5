"""Do the parts of a folder belong together? Asked of their config files, before a weight is read. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from limner.errors import MismatchedWeights
from limner.models.inspect import read_json

TEXTS: Mapping[str, tuple[str, ...]] = {"sd": ("text_encoder",), "sdxl": ("text_encoder", "text_encoder_2")}
"""By family: the encoders whose states the UNet attends to, side by side."""


def check(family: str, used: Mapping[str, Path], where: str) -> None:
    """Raise ``MismatchedWeights`` where the UNet was not trained with these text encoders, or its latents are not the
    autoencoder's. What a config does not say is not asked."""
    if family not in TEXTS:
        return
    texts = [part for part in TEXTS[family] if f"{part}/config.json" in used]
    widths = [width for part in texts if (width := _number(used, part, "hidden_size")) is not None]
    wanted = _number(used, "unet", "cross_attention_dim")
    if wanted is not None and widths and len(widths) == len(texts) and wanted != sum(widths):
        made = " + ".join(map(str, widths))
        raise _refused(where, f"its UNet was trained with text states {wanted} wide, its text encoder makes {made}")
    made_channels, taken = _number(used, "unet", "out_channels"), _number(used, "vae", "latent_channels")
    if made_channels is not None and taken is not None and made_channels != taken:
        raise _refused(where, f"its UNet makes latents of {made_channels} channels, its autoencoder takes {taken}")


def _number(used: Mapping[str, Path], part: str, key: str) -> int | None:
    path = used.get(f"{part}/config.json")
    value = None if path is None else read_json(path).get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _refused(where: str, what: str) -> MismatchedWeights:
    return MismatchedWeights(
        f"{where}: {what}", hint="parts of different models were put together; fetch the whole model again"
    )
