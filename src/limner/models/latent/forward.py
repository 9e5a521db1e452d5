"""One call of a part on stacked rows: the same for every family of diffused latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from limner.models.latent.parts import TEXT, TEXT_2, UNET

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module


def forward(module: Module, part: str, batch: Mapping[str, Tensor], *, norm: bool) -> Tensor:
    """Answers are float32.

    text_encoder: ids [N, L], skip [N] -> states [N, L, D], after the final norm where ``norm``.
    text_encoder_2: the same -> states [N, L, D] and pooled [N, P], flattened one behind the other to [N, L * D + P].
    unet: sample [N, C, h, w], timestep [N], context [N, L, D], and where there are any pooled [N, P], numbers [N, k]
    and guidance [N] -> prediction [N, C, h, w].
    vae: latent [N, C, h, w] -> pixels [N, 3, H, W] in -1..1, or pixels -> mean and log-variance [N, 2 * C, h, w].
    """
    import torch

    dtype = next(module.parameters()).dtype
    if part in (TEXT, TEXT_2):
        return _text(module, part, batch, norm).float()
    if part == UNET:
        sample = batch["sample"].to(dtype, memory_format=torch.channels_last)
        added = {name: batch[name] for name in ("pooled", "numbers", "guidance") if name in batch}
        out: Tensor = module(sample, batch["timestep"], batch["context"].to(dtype), **added)
        return out.float()
    return _autoencoder(module, batch, dtype).float()


def _text(module: Module, part: str, batch: Mapping[str, Tensor], norm: bool) -> Tensor:
    """Rows may leave out different numbers of layers: those of one number are one call."""
    import torch

    from limner.models.adapters.side import some_rows

    ids = batch["ids"]
    skips = batch["skip"].tolist() if "skip" in batch else [0] * len(ids)
    answers: dict[int, Tensor] = {}
    for skip in dict.fromkeys(skips):
        rows = [k for k, each in enumerate(skips) if each == skip]
        with some_rows(module, rows):
            found = _states(module, part, ids[rows] if len(rows) < len(ids) else ids, skip, norm)
        answers.update(zip(rows, found.unbind(0), strict=True))
    return torch.stack([answers[k] for k in range(len(ids))])


def _states(module: Module, part: str, ids: Tensor, skip: int, norm: bool) -> Tensor:
    import torch

    from limner.models.nets.clip import ClipText

    assert isinstance(module, ClipText)
    if part == TEXT:
        return module(ids, skip, norm=norm)  # type: ignore[no-any-return]
    states, pooled = module.both(ids, skip, norm=norm)
    return torch.cat((states.flatten(1), pooled), dim=1)


def _autoencoder(module: Module, batch: Mapping[str, Tensor], dtype: torch.dtype) -> Tensor:
    import torch

    from limner.models.nets.autoencoder import Autoencoder

    assert isinstance(module, Autoencoder)
    if "pixels" in batch:
        return torch.cat(module.encode(batch["pixels"].to(dtype, memory_format=torch.channels_last)), dim=1)
    return module.decode(batch["latent"].to(dtype, memory_format=torch.channels_last))
