"""The rows of each step: which pictures, which timesteps, which noise.

All follow from the seed and the step alone, so a run that was stopped goes on with exactly what it would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from limner.tune.caching import Latents

HELD_TIMESTEPS = 8
HELD_OUT_OF = 8  # one in so many is held out where nothing is said
ENOUGH = 12  # of so many pictures at least


@dataclass(frozen=True)
class Batch:
    """``rows`` of the data [N], ``silent`` [N] whether a row goes without words, ``share`` [N] its share of the loss,
    ``t`` [N], and ``noise`` and ``spread`` [N, C, h, w], standard normal."""

    rows: Tensor
    silent: Tensor
    share: Tensor
    t: Tensor
    noise: Tensor
    spread: Tensor

    def parts(self, size: int) -> Iterator[Batch]:
        """The same rows in pieces of at most ``size``; shares stay, so that losses add up."""
        for start in range(0, len(self.rows), size):
            cut = slice(start, start + size)
            yield Batch(
                self.rows[cut], self.silent[cut], self.share[cut], self.t[cut], self.noise[cut], self.spread[cut]
            )


@dataclass(frozen=True)
class Data:
    """Latents with, for each, the place of its caption in ``texts``; ``subject``, ``prior`` and ``held`` are rows."""

    latents: Latents
    caption: Tensor
    texts: tuple[str, ...]
    subject: tuple[int, ...]
    prior: tuple[int, ...]
    held: tuple[int, ...]

    @property
    def empty(self) -> int:
        """The place of the empty caption."""
        return self.texts.index("")


def arrange(latents: Latents, captions: Sequence[str], prior: int, held: int, *, flips: bool) -> Data:
    """``latents`` are those of the pictures that ``captions`` belong to, the last ``prior`` of them of the class; with
    ``flips`` their mirror images follow. ``held`` of the subject's are held out, evenly over them; so are their mirror
    images."""
    count = len(captions)
    own = count - prior
    out = {round((k + 0.5) * own / held) for k in range(held)} if held else set()
    texts = tuple(dict.fromkeys(("", *captions)))
    twice = 2 if flips else 1
    caption = torch.tensor([texts.index(each) for each in captions] * twice)
    subject = [side * count + k for side in range(twice) for k in range(own) if k not in out]
    behind = [side * count + k for side in range(twice) for k in range(own, count)]
    return Data(latents, caption, texts, tuple(subject), tuple(behind), tuple(sorted(out)))


def held_out(asked: int | None, pictures: int) -> int:
    """How many pictures are held out."""
    if asked is not None:
        return asked
    return pictures // HELD_OUT_OF if pictures >= ENOUGH else 0


def batch_at(
    data: Data,
    step: int,
    part: int,
    *,
    size: int,
    parts: int,
    seed: int,
    timesteps: int,
    drop: float,
    prior_weight: float,
    turn: int = 0,
) -> Batch:
    """Part ``part`` of ``parts`` of the step (1-based): ``size`` pictures of the subject, and as many of the class
    where there are any. Each ``turn`` draws others."""
    more = (turn,) if turn else ()
    first = ((step - 1) * parts + part) * size
    rows = [_at(data.subject, first + k, seed, "subject", *more) for k in range(size)]
    share = [1 / size] * size
    if data.prior:
        rows += [_at(data.prior, first + k, seed, "prior", *more) for k in range(size)]
        share += [prior_weight / size] * size
    source = generator(seed, "step", step, part, *more)
    count = len(rows)
    shape = (count, *data.latents.mean.shape[1:])
    return Batch(
        rows=torch.tensor(rows),
        t=torch.randint(timesteps, (count,), generator=source),
        silent=torch.rand(count, generator=source) < drop,
        share=torch.tensor(share),
        noise=torch.randn(shape, generator=source),
        spread=torch.randn(shape, generator=source),
    )


def held_batch(data: Data, seed: int, timesteps: int) -> Batch:
    """The held-out pictures at eight timesteps each, the same ones and the same noise at every look: two looks differ
    by what was learnt alone."""
    source = generator(seed, "held")
    rows = torch.tensor([row for row in data.held for _ in range(HELD_TIMESTEPS)])
    t = ((torch.arange(HELD_TIMESTEPS) + 0.5) / HELD_TIMESTEPS * timesteps).long().repeat(len(data.held))
    shape = (len(rows), *data.latents.mean.shape[1:])
    noise = torch.randn(shape, generator=source)
    even = torch.full((len(rows),), 1 / max(len(rows), 1))
    return Batch(rows, torch.zeros(len(rows), dtype=torch.bool), even, t, noise, torch.zeros(shape))


def generator(seed: int, *what: object) -> Generator:
    """A CPU generator of its own for each purpose."""
    digest = hashlib.sha256(repr((seed, *what)).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def _at(rows: Sequence[int], place: int, seed: int, *what: object) -> int:
    """The row at a place of an endless run through shuffled epochs."""
    epoch, within = divmod(place, len(rows))
    order = torch.randperm(len(rows), generator=generator(seed, *what, epoch))
    return rows[int(order[within])]
