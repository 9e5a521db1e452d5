"""The error-correcting code: 32 bits become 192 signs, and soft readings of signs become 32 bits again.

A 16-bit check sum is appended, and the 48 bits go through a tail-biting convolutional code of constraint length 7 and
rate 1/4 (generators 117, 127, 155, 171 octal, of the largest free distance for that length). Tail-biting: the encoder
starts in the state it will end in, so no bits are spent on a tail. Reading is maximum likelihood (Viterbi) over soft
values, three times around the circle, of which the middle is kept: there the path has forgotten where it was started.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import cache

import numpy as np
from numpy.typing import NDArray

BITS = 32
CHECK = 16
LENGTH = BITS + CHECK
GENERATORS = (0o117, 0o127, 0o155, 0o171)
RATE = len(GENERATORS)
SIGNS = LENGTH * RATE
_MEMORY = 6
_STATES = 1 << _MEMORY

Bits = list[int]
Soft = NDArray[np.float64]


def check_sum(payload: int) -> Bits:
    """CRC-16 (polynomial 0x1021) of the payload. It starts at 0x1D0F, not 0: an all-zero reading must not pass."""
    return _bits(crc_hqx(payload.to_bytes(BITS // 8, "big"), 0x1D0F), CHECK)


def encode(payload: int) -> NDArray[np.int8]:
    """``payload`` (0 to 2**32 - 1) as ``SIGNS`` values of +1 and -1."""
    message = _bits(payload, BITS) + check_sum(payload)
    outputs = _branches()
    state = _number(message[: -_MEMORY - 1 : -1])  # the last six bits: where the circle closes
    signs = np.empty((LENGTH, RATE), np.int8)
    for at, bit in enumerate(message):
        signs[at] = outputs[state, bit]
        state = _next(state, bit)
    return signs.reshape(-1)


def decode(soft: Soft) -> int | None:
    """The likeliest payload for ``SIGNS`` soft values (sign says which, size how surely), if its check sum holds."""
    message = _viterbi(soft.reshape(LENGTH, RATE))
    payload = _number(message[:BITS])
    return payload if message[BITS:] == check_sum(payload) else None


def _viterbi(soft: Soft) -> Bits:
    came_from, bit_of, outputs = _trellis()
    scores = np.einsum("sir,tr->tsi", outputs, np.concatenate([soft] * 3))
    score = np.zeros(_STATES)
    choices = np.empty((3 * LENGTH, _STATES), np.int8)
    for at, branch in enumerate(scores):
        ways = score[came_from] + branch
        choices[at] = ways[:, 1] > ways[:, 0]
        score = ways.max(1)
    state = int(score.argmax())
    message: Bits = []
    for choice in choices[::-1]:
        way = int(choice[state])
        message.append(int(bit_of[state, way]))
        state = int(came_from[state, way])
    message.reverse()
    return message[LENGTH : 2 * LENGTH]


def _next(state: int, bit: int) -> int:
    """The register holds the newest bit highest."""
    return ((bit << _MEMORY) | state) >> 1


@cache
def _branches() -> NDArray[np.int8]:
    """The signs sent (state, bit, generator): +1 for an even parity."""
    out = np.empty((_STATES, 2, RATE), np.int8)
    for state in range(_STATES):
        for bit in (0, 1):
            register = (bit << _MEMORY) | state
            out[state, bit] = [1 - 2 * ((register & generator).bit_count() & 1) for generator in GENERATORS]
    return out


@cache
def _trellis() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """For each state its two ways in: from which state, by which bit, and the signs sent."""
    ways: list[list[tuple[int, int]]] = [[] for _ in range(_STATES)]
    for state in range(_STATES):
        for bit in (0, 1):
            ways[_next(state, bit)].append((state, bit))
    came_from = np.array([[state for state, _ in two] for two in ways])
    bit_of = np.array([[bit for _, bit in two] for two in ways])
    return came_from, bit_of, _branches()[came_from, bit_of].astype(np.float64)


def _bits(number: int, count: int) -> Bits:
    return [(number >> (count - 1 - at)) & 1 for at in range(count)]


def _number(bits: Bits) -> int:
    return int("".join(map(str, bits)), 2)
