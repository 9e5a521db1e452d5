"""What tests need to know of the built-in model, whichever is built in: its card, its size, its networks' widths."""

from __future__ import annotations

import json

from limner.models.catalog import Catalog


def _widths(part: str) -> list[int]:
    config = json.loads((CARD.asset_path() / part / "config.json").read_text("utf-8"))
    return list(config["block_out_channels"])


def _limit() -> int:
    config = json.loads((CARD.asset_path() / "tokenizer" / "tokenizer_config.json").read_text("utf-8"))
    return int(config["model_max_length"]) - 2


CARD = Catalog.load().get("pocket")
SIDE = CARD.width or 0  # pixels a side, square
FACTOR = 2 ** (len(_widths("vae")) - 1)  # pixels a place of the latent; sides are multiples of it
WIDEST = _widths("unet")[-1]  # channels of the UNet's middle
LIMIT = _limit()  # words a chunk
