"""The watermark's error-correcting code."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.safety.watermark import code

payloads = st.integers(0, 2**32 - 1)


@given(payloads)
@settings(max_examples=150, deadline=None)
def test_every_payload_is_read_back(payload: int) -> None:
    signs = code.encode(payload)
    assert signs.shape == (code.SIGNS,)
    assert set(np.unique(signs)) <= {-1, 1}
    assert code.decode(signs.astype(np.float64)) == payload


@given(payloads, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_soft_errors_are_corrected(payload: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    soft = code.encode(payload) + rng.normal(0, 0.8, code.SIGNS)  # one sign in ten is wrong
    assert code.decode(soft) == payload


@given(payloads, payloads)
@settings(max_examples=60, deadline=None)
def test_two_payloads_differ_in_many_signs(one: int, other: int) -> None:
    if one != other:
        assert int((code.encode(one) != code.encode(other)).sum()) >= 20  # the code's free distance


def test_noise_is_hardly_ever_a_payload() -> None:
    rng = np.random.default_rng(0)
    assert [code.decode(rng.normal(size=code.SIGNS)) for _ in range(200)] == [None] * 200


def test_silence_is_no_payload() -> None:
    assert code.decode(np.zeros(code.SIGNS)) is None


@given(payloads, st.integers(0, 31))
def test_a_wrong_bit_fails_the_check_sum(payload: int, bit: int) -> None:
    assert code.check_sum(payload) != code.check_sum(payload ^ (1 << bit))
