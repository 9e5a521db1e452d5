"""The loss of a diffusion model: noise levels, what the network is to say, and the weight of each timestep.

Levels and prediction are those of the model's own scheduler config, zero-terminal SNR included (Lin et al. 2024,
arXiv:2305.08891). Weights are min-SNR (Hang et al. 2023, arXiv:2303.09556): min(snr, gamma) / snr of the loss on the
noise, min(snr, gamma) / (snr + 1) of that on v (Salimans & Ho 2022, arXiv:2202.00512).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from limner.errors import MismatchedWeights
from limner.sampling.training import Prediction, Training

LEAST_WEIGHT = 0.05
"""Of the last timestep at zero SNR: its min-SNR weight is 0, and the picture's broad colours are decided there."""


@dataclass(frozen=True)
class Noising:
    """``bars``: alpha squared at each training timestep, [T] float32."""

    bars: Tensor
    prediction: Prediction
    min_snr: float

    @classmethod
    def of(cls, training: Training, min_snr: float, device: str = "cpu") -> Noising:
        """Raises ``MismatchedWeights`` for a model that is trained otherwise."""
        if training.prediction_type not in ("epsilon", "v_prediction"):
            raise MismatchedWeights(
                f"a model that predicts {training.prediction_type} cannot be adapted",
                hint="those that predict the noise (epsilon) or v_prediction can",
            )
        bars = torch.from_numpy(training.alphas_cumprod()).float().to(device)
        return cls(bars, training.prediction_type, min_snr)

    @property
    def steps(self) -> int:
        return len(self.bars)

    def noised(self, clean: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """The noisy latent and what the network is to say of it, both like ``clean`` [N, C, h, w]; ``t`` is [N]."""
        bars = self.bars[t].view(-1, 1, 1, 1)
        a, s = bars.sqrt(), (1 - bars).sqrt()
        noisy = a * clean + s * noise
        return noisy, noise if self.prediction == "epsilon" else a * noise - s * clean

    def weights(self, t: Tensor) -> Tensor:
        """[N] of the timesteps [N]."""
        if not self.min_snr:
            return torch.ones_like(t, dtype=torch.float32)
        snr = self.bars[t] / (1 - self.bars[t])
        capped = snr.clamp(max=self.min_snr)
        if self.prediction == "v_prediction":
            return (capped / (snr + 1)).clamp(min=LEAST_WEIGHT)
        # As snr falls to 0 the ratio goes to 1; 0/0 is where the terminal SNR is zero.
        return torch.where(snr > 0, capped / snr.clamp(min=1e-20), torch.ones_like(snr))

    def errors(self, said: Tensor, target: Tensor, t: Tensor) -> Tensor:
        """The weighted mean squared error of each row, [N] float32."""
        return (said.float() - target.float()).square().mean(dim=(1, 2, 3)) * self.weights(t)
