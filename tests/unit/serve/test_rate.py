"""How long the queue takes, as measured: what Retry-After is computed from."""

from __future__ import annotations

import pytest

from limner.serve.rate import REMEMBERED, Rate


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_guess_until_something_was_done() -> None:
    assert Rate(guess=2.0).wait(3) == 6.0


def test_the_measured_rate_of_the_last_pieces_without_idle_time() -> None:
    clock = Clock()
    rate = Rate(clock=clock)
    rate.began()
    for _ in range(REMEMBERED):
        clock.now += 9.0
        rate.done()
    for _ in range(REMEMBERED):
        clock.now += 1_000.0  # nothing was asked
        rate.began()
        clock.now += 0.5
        rate.done()
    assert rate.seconds_each == pytest.approx(0.5)
    assert rate.wait(10) == pytest.approx(5.0)
