"""One image's noise: float32 from one CPU generator, so that it depends on the seed and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_PARALLEL = 0.9995  # above this cosine the great circle is numerically a line


class Noise:
    """The standard normal draws of one image, in order.

    Seed ``s`` gives what float32 diffusers draws for a batch of one with ``torch.Generator("cpu").manual_seed(s)``.
    ``variation`` (0..1) turns the first draw towards that of ``variation_seed``; later draws are the first seed's own.
    """

    def __init__(
        self, seed: int, shape: Sequence[int], variation_seed: int | None = None, variation: float = 0.0
    ) -> None:
        self._shape = tuple(shape)
        self._generator = torch.Generator("cpu").manual_seed(seed)
        self._first = self._draw(self._generator)
        if variation_seed is not None and variation:
            other = self._draw(torch.Generator("cpu").manual_seed(variation_seed))
            self._first = slerp(self._first, other, variation)

    def _draw(self, generator: torch.Generator) -> Tensor:
        # The leading 1 is the batch axis that diffusers draws with.
        return torch.randn((1, *self._shape), generator=generator, dtype=torch.float32)[0]

    def first(self) -> Tensor:
        """The noise that the picture starts from. The same at every call; float32, CPU, of the given shape."""
        return self._first.clone()

    def next(self) -> Tensor:
        """Fresh noise for a stochastic step. Another at every call."""
        return self._draw(self._generator)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Spherical interpolation from ``a`` (t = 0) to ``b`` (t = 1), over all elements as one vector (Shoemake 1985).

    Keeps the norm, which in high dimensions decides whether noise looks like noise. Lengths are interpolated; vectors
    that are (nearly) parallel or zero are interpolated in a straight line. Computed in float64, answered in ``a``'s
    dtype.
    """
    p, q = a.double().flatten(), b.double().flatten()
    length_p, length_q = p.norm(), q.norm()
    if length_p == 0 or length_q == 0:
        return torch.lerp(a, b.to(a.dtype), t)
    cosine = torch.clamp(torch.dot(p, q) / (length_p * length_q), -1, 1)
    if abs(cosine.item()) > _PARALLEL:
        return torch.lerp(a, b.to(a.dtype), t)
    angle = torch.arccos(cosine)
    length = (1 - t) * length_p + t * length_q
    direction = (torch.sin((1 - t) * angle) * (p / length_p) + torch.sin(t * angle) * (q / length_q)) / torch.sin(angle)
    mixed: Tensor = (length * direction).reshape(a.shape).to(a.dtype)
    return mixed
