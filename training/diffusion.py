"""The noise schedule, the loss weight and the DDIM sampler of the pocket models.

v-prediction (Salimans & Ho 2022) on Stable Diffusion's scaled-linear betas rescaled to zero terminal SNR, trailing
steps (Lin et al. 2023): what ``scheduler_config.json`` in the pack declares.
"""

from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 1000


def alphas() -> Tensor:
    """alpha_bar at every training step: [STEPS] float64, 0 at the last."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, STEPS, dtype=torch.float64) ** 2
    root = torch.cumprod(1 - betas, 0).sqrt()
    first, last = root[0].item(), root[-1].item()
    return ((root - last) * first / (first - last)) ** 2


def noisy(clean: Tensor, noise: Tensor, alpha_bar: Tensor) -> tuple[Tensor, Tensor]:
    """The noised latent and the v to predict for it; ``alpha_bar``: [B]."""
    a, s = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    return a * clean + s * noise, a * noise - s * clean


def weight(alpha_bar: Tensor, gamma: float = 5.0) -> Tensor:
    """A step's weight on the error in v: one where noise prevails, gamma / snr where little is left to do."""
    snr = alpha_bar / (1 - alpha_bar)
    return 1 / (1 + snr / gamma)


def times(n: int, device: str) -> Tensor:
    """Training steps [n] int64: half of them anywhere, half in the noisier half, where it is decided what is drawn."""
    low = (torch.rand(n, device=device) < 0.5) * (STEPS // 2)
    return low + (torch.rand(n, device=device) * (STEPS - low)).long()


@torch.no_grad()
def ddim(predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """From noise to a clean latent in ``steps``; ``predict(x, t)`` gives v for a batch at one step t ([B] int64)."""
    table = alphas().to(noise.device, torch.float32)
    times = torch.arange(STEPS, 0, -STEPS / steps).round().long().sub(1).tolist()
    x = noise
    for k, t in enumerate(times):
        a = table[t]
        v = predict(x, torch.full((len(x),), t, device=x.device))
        clean, eps = a.sqrt() * x - (1 - a).sqrt() * v, a.sqrt() * v + (1 - a).sqrt() * x
        after = table[times[k + 1]] if k + 1 < len(times) else torch.ones_like(a)
        x = after.sqrt() * clean + (1 - after).sqrt() * eps
    return x
