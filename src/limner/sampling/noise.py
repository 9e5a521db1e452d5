"""One image's noise: float32 from one generator of its own, so that it depends on the seed and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from limner.sampling.philox import Philox

Source: TypeAlias = Literal["cpu", "philox"]
_Draw: TypeAlias = "Callable[[Sequence[int]], Tensor]"

_PARALLEL = 0.9995  # above this cosine the great circle is numerically a line


class Noise:
    """The standard normal draws of one image, in order.

    With ``source`` "cpu", seed ``s`` gives what float32 diffusers draws for a batch of one with
    ``torch.Generator("cpu").manual_seed(s)``; with "philox" what an NVIDIA GPU draws for it (``sampling/philox.py``).
    ``variation`` (0..1) turns the first draw towards that of ``variation_seed``; later draws are the first seed's own,
    or, where ``delta`` is not 0, those of a new generator seeded ``seed + delta`` (A1111's ENSD). ``columns`` mixes
    as A1111 does, see ``slerp_columns``.
    """

    def __init__(
        self,
        seed: int,
        shape: Sequence[int],
        variation_seed: int | None = None,
        variation: float = 0.0,
        *,
        source: Source = "cpu",
        delta: int = 0,
        columns: bool = False,
    ) -> None:
        self._shape = tuple(shape)
        self._source = source
        self._draw = self._drawn_from(seed)
        self._first = self._draw(self._shape)
        if variation_seed is not None and variation:
            mix = slerp_columns if columns else slerp
            self._first = mix(self._first, self._drawn_from(variation_seed)(self._shape), variation)
        if delta:
            self._draw = self._drawn_from(seed + delta)

    def _drawn_from(self, seed: int) -> _Draw:
        if self._source == "philox":
            philox = Philox(seed)
            return lambda shape: torch.from_numpy(philox.randn(tuple(shape)))
        generator = torch.Generator("cpu").manual_seed(seed)
        # The leading 1 is the batch axis that diffusers draws with.
        return lambda shape: torch.randn((1, *shape), generator=generator, dtype=torch.float32)[0]

    def first(self) -> Tensor:
        """The noise that the picture starts from. The same at every call; float32, CPU, of the given shape."""
        return self._first.clone()

    def next(self, shape: Sequence[int] | None = None) -> Tensor:
        """Fresh noise for a stochastic step, or of another ``shape`` for a second pass. Another at every call."""
        return self._draw(shape or self._shape)


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


def slerp_columns(a: Tensor, b: Tensor, t: float) -> Tensor:
    """A1111's interpolation of two noises [C, h, w]: each column of each channel (axis 1) by its own angle.

    The sines weigh the columns as they are, lengths are not interpolated. Where the noises are all but the same (mean
    cosine above 0.9995) it answers ``t * a + (1 - t) * b``, the wrong way round, and so does this. Float32 throughout.
    """
    cosines = (a / a.norm(dim=1, keepdim=True) * (b / b.norm(dim=1, keepdim=True))).sum(1)
    if cosines.mean() > _PARALLEL:
        return a * t + b * (1 - t)
    angle = torch.acos(cosines)
    share_a, share_b = torch.sin((1 - t) * angle) / torch.sin(angle), torch.sin(t * angle) / torch.sin(angle)
    mixed: Tensor = share_a.unsqueeze(1) * a + share_b.unsqueeze(1) * b
    return mixed
