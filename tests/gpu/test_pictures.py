"""On a CUDA device: pocket draws, and near what the CPU draws. Skipped, by name, where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limner import Request, Session
from limner.models.machine import choose_dtype, probe

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("batching", ["alone", "shared"])
def test_float32_is_near_the_cpu(batching: str) -> None:
    asked = Request(prompt="a red fox in the snow", seed=1, n=2, steps=10, dtype="float32")
    with Session(keep=False, offline=True) as session:
        cpu = session.generate(asked.but(device="cpu")).result()
        cuda = session.generate(asked.but(device="cuda", batching=batching)).result()
    for a, b in zip(cpu, cuda, strict=True):
        assert np.abs(a.pixels.astype(int) - b.pixels.astype(int)).mean() < 1


def test_the_default_dtype_draws_and_is_recorded() -> None:
    with Session(keep=False, offline=True) as session:
        image = session.draw("a red fox in the snow", seed=1, device="cuda")
        again = session.draw("a red fox in the snow", seed=1, device="cuda")
    assert image.record.numerics.dtype == choose_dtype(None, "cuda", probe()).dtype
    assert image.record.pixel_hash == again.record.pixel_hash
