"""Pictures of unfinished latents."""

from __future__ import annotations

import numpy as np
import torch

from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.sd_load import preview

CONFIG = AutoencoderConfig(block_out_channels=(16, 32), norm_num_groups=8)


def autoencoder() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(CONFIG).eval().requires_grad_(False)


def test_a_preview_is_small() -> None:
    pixels = preview(torch.randn(4, 40, 64), autoencoder())
    assert pixels.shape == (20, 32, 3)
    assert pixels.std() > 1


def test_an_autoencoder_that_overflows_in_half_precision_still_gives_a_preview() -> None:
    vae, latent = autoencoder(), torch.randn(4, 8, 8)
    vae.decoder.conv_in.weight *= 1e5  # the norms behind it take the scale out again
    expected = preview(latent, vae)
    half = Autoencoder(CONFIG).requires_grad_(False)
    half.load_state_dict(vae.state_dict())
    half = half.half()
    assert not half.decode(latent[None].half() / CONFIG.scaling_factor).isfinite().all(), "nothing overflows"
    found = preview(latent, half)
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 3
