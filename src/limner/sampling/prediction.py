"""What a network's answer says of the clean picture, for each way of asking it.

All at ``x = alpha * x0 + sigma * noise``. Epsilon: Ho et al. 2020 (arXiv 2006.11239); v: Salimans and Ho 2022
(arXiv 2202.00512), appendix D; flow: Lipman et al. 2023 (arXiv 2210.02747) with the network answering noise - x0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from torch import Tensor

    from limner.sampling.course import Level


def to_x0(prediction: str, x: Tensor, out: Tensor, level: Level) -> Tensor:
    """The clean picture from the answer ``out`` to input ``x`` at ``level``; shape and dtype of ``x``.

    ``prediction`` is ``epsilon``, ``v_prediction``, ``sample`` or ``flow_prediction``. Raises ``InvalidRequest`` for
    another one, and for ``epsilon`` where alpha is 0: there the noise is known already and says nothing of x0.
    """
    alpha, sigma, _ = level
    if prediction == "epsilon":
        if alpha == 0:
            raise InvalidRequest(
                "a network that predicts noise cannot start from pure noise (alpha = 0)",
                hint="models with zero terminal SNR must predict v",
            )
        return (x - sigma * out) / alpha
    if prediction == "v_prediction":
        return alpha * x - sigma * out
    if prediction == "flow_prediction":
        return x - sigma * out
    if prediction == "sample":
        return out
    raise InvalidRequest(
        f"there is no prediction type {prediction!r}", hint="known: epsilon, v_prediction, sample, flow_prediction"
    )


def to_noise(x: Tensor, x0: Tensor, level: Level) -> Tensor:
    """The noise in ``x`` if ``x0`` is its clean picture. ``level.sigma`` must be above 0."""
    return (x - level.alpha * x0) / level.sigma
