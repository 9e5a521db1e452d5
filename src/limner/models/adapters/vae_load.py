"""An autoencoder that a request names, as a network."""

from __future__ import annotations

from pathlib import Path

from limner.models.adapters.vae import PART, read_vae
from limner.models.family import Files, Placement
from limner.models.inspect import read_json
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.sd_load import DTYPES
from limner.models.weights import load_into

__all__ = ["load_vae"]


def load_vae(path: Path, files: Files, placement: Placement) -> Autoencoder:
    """Read it, in the place of the one in ``files``. Raises ``ModelError``."""
    base = AutoencoderConfig.from_json(read_json(files.paths[f"{PART}/config.json"]))
    config = read_vae(path, base, path.stem, files.root.name).config
    packed = placement.device.type == "cpu"
    return load_into(
        lambda: Autoencoder(config), [path], PART, DTYPES[placement.dtype], placement.device, packed=packed
    )
