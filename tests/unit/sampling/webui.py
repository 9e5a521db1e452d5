"""What AUTOMATIC1111's web UI does, written anew as plain code from its documented behaviour and k-diffusion's papers.

Everything is in k-diffusion's coordinates: ``x = x0 + sigma * noise``. It is the other side of the tests of
``--compat a1111`` and of ``benchmarks/compat.py``; nothing of Limner is used.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Model = Callable[[Tensor, float], Tensor]  # (c_in * x, t) -> epsilon or v


class Wrapped:
    """A network behind k-diffusion's scalings: ``denoised(x, sigma)``."""

    def __init__(self, network: Model, *, v: bool = False) -> None:
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        self.products = torch.cumprod(1 - betas, 0).float()
        self.sigmas = ((1 - self.products) / self.products) ** 0.5
        self.logs = self.sigmas.log()
        self.network, self.v = network, v

    def t_of(self, sigma: float) -> float:
        log = math.log(sigma)
        logs = self.logs.tolist()
        if log <= logs[0]:
            return 0.0
        low = max(k for k in range(999) if logs[k] <= log)
        return low + min((log - logs[low]) / (logs[low + 1] - logs[low]), 1.0)

    def sigma_of(self, t: float) -> float:
        low, high = math.floor(t), math.ceil(t)
        return math.exp((1 - (t - low)) * self.logs[low].item() + (t - low) * self.logs[high].item())

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        out = self.network(x / (sigma**2 + 1) ** 0.5, self.t_of(sigma))
        if self.v:
            return x / (sigma**2 + 1) - out * sigma / (sigma**2 + 1) ** 0.5
        return x - sigma * out


def uniform(model: Wrapped, n: int) -> list[float]:
    return [model.sigma_of(t) for t in torch.linspace(999, 0, n).tolist()] + [0.0]


def sgm_uniform(model: Wrapped, n: int) -> list[float]:
    return [model.sigma_of(t) for t in torch.linspace(999, 0, n + 1).tolist()[:-1]] + [0.0]


def karras(model: Wrapped, n: int) -> list[float]:
    low, high = model.sigmas[0].item() ** (1 / 7), model.sigmas[-1].item() ** (1 / 7)
    return [(high + k / max(n - 1, 1) * (low - high)) ** 7 for k in range(n)] + [0.0]


def exponential(model: Wrapped, n: int) -> list[float]:
    low, high = model.sigmas[0].item(), model.sigmas[-1].item()
    return [high * (low / high) ** (k / max(n - 1, 1)) for k in range(n)] + [0.0]


def simple(model: Wrapped, n: int) -> list[float]:
    return [model.sigmas[999 - int(k * 1000 / n)].item() for k in range(n)] + [0.0]


SCHEDULES = {
    "model": uniform,
    "sgm-uniform": sgm_uniform,
    "karras": karras,
    "exponential": exponential,
    "simple": simple,
}


def euler(model: Wrapped, x: Tensor, sigmas: list[float], noise: Callable[[], Tensor]) -> Tensor:
    for sigma, after in steps(sigmas):
        x = x + (x - model(x, sigma)) / sigma * (after - sigma)
    return x


def euler_ancestral(model: Wrapped, x: Tensor, sigmas: list[float], noise: Callable[[], Tensor]) -> Tensor:
    for sigma, after in steps(sigmas):
        up = min(after, (after**2 * (sigma**2 - after**2) / sigma**2) ** 0.5)
        down = (after**2 - up**2) ** 0.5
        x = x + (x - model(x, sigma)) / sigma * (down - sigma)
        if after > 0:
            x = x + noise() * up
    return x


def heun(model: Wrapped, x: Tensor, sigmas: list[float], noise: Callable[[], Tensor]) -> Tensor:
    for sigma, after in steps(sigmas):
        slope = (x - model(x, sigma)) / sigma
        there = x + slope * (after - sigma)
        if after > 0:
            slope = (slope + (there - model(there, after)) / after) / 2
        x = x + slope * (after - sigma)
    return x


def dpmpp_2m(model: Wrapped, x: Tensor, sigmas: list[float], noise: Callable[[], Tensor]) -> Tensor:
    old, before = None, 0.0
    for sigma, after in steps(sigmas):
        denoised = model(x, sigma)
        if old is None or after == 0:
            aimed = denoised
        else:
            r = (math.log(before) - math.log(sigma)) / (math.log(sigma) - math.log(after))
            aimed = (1 + 1 / (2 * r)) * denoised - 1 / (2 * r) * old
        x = after / sigma * x + (1 - after / sigma) * aimed
        old, before = denoised, sigma
    return x


def dpmpp_2m_sde(model: Wrapped, x: Tensor, sigmas: list[float], noise: Callable[[float, float], Tensor]) -> Tensor:
    """The midpoint form with eta 1; ``noise`` is that between two levels."""
    old, last = None, 0.0
    for sigma, after in steps(sigmas):
        denoised = model(x, sigma)
        if after == 0:
            return denoised
        h = math.log(sigma) - math.log(after)
        share = -math.expm1(-2 * h)
        x = after / sigma * math.exp(-h) * x + share * denoised
        if old is not None:
            x = x + 0.5 * share * (h / last) * (denoised - old)
        x = x + noise(sigma, after) * after * share**0.5
        old, last = denoised, h
    return x


def ddim(model: Wrapped, x: Tensor, count: int) -> Tensor:
    """``x`` in the network's own coordinates, unit noise to begin with. One evaluation fewer than timesteps."""
    times = [min(t + 1, 999) for t in range(0, 1000, 1000 // count)]
    for k in range(len(times) - 1, 0, -1):
        a, a_prev = model.products[times[k]].item(), model.products[times[k - 1]].item()
        e = model.network(x, float(times[k]))
        x0 = (x - (1 - a) ** 0.5 * e) / a**0.5
        x = a_prev**0.5 * x0 + (1 - a_prev) ** 0.5 * e
    return x


SAMPLERS = {"euler": euler, "euler-a": euler_ancestral, "heun": heun, "dpmpp-2m": dpmpp_2m}


def steps(sigmas: list[float]) -> Iterator[tuple[float, float]]:
    return itertools.pairwise(sigmas)


def draws(seed: int, shape: tuple[int, ...], delta: int = 0) -> Iterator[Tensor]:
    """The CPU source: one generator an image; with ENSD a new one after the first draw."""
    generator = torch.Generator("cpu").manual_seed(seed)
    yield torch.randn(shape, generator=generator)
    if delta:
        generator = torch.Generator("cpu").manual_seed(seed + delta)
    while True:
        yield torch.randn(shape, generator=generator)


def emphasised(chunks: list[Tensor], multipliers: list[Tensor]) -> Tensor:
    """States [B, 77, D] of each chunk, multipliers [B, 77]: scaled, and each chunk's mean restored by itself."""
    made = []
    for z, weights in zip(chunks, multipliers, strict=True):
        scaled = z * weights.unsqueeze(-1)
        made.append(scaled * (z.mean() / scaled.mean()))
    return torch.cat(made, dim=1)
