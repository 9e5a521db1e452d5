"""Weighted spans to token chunks of a text encoder's fixed length, so that no word of a long prompt is lost.

An encoder reads ``length`` tokens at a time (CLIP 77). A longer prompt becomes several chunks, each with its own first
and last marker, whose embeddings are later joined along the token axis: the way of AUTOMATIC1111's web UI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from limner.errors import InvalidRequest
from limner.prompts.syntax import Break, Piece

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Chunk:
    """One encoder input: ``ids`` and ``weights`` are [length]; markers and padding weigh 1.0."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


def chunk(
    spans: Iterable[Piece],
    encode: Encode,
    *,
    bos: int,
    eos: int,
    pad: int,
    length: int,
    comma_backtrack: int = 0,
) -> tuple[Chunk, ...]:
    """Chunks of exactly ``length`` ids: bos, up to length - 2 tokens, eos, padding. At least one.

    ``encode`` gives the ids of a text without markers. A Break starts a new chunk, after an empty one if nothing was
    written before it, as in A1111. ``comma_backtrack`` > 0 ends a full chunk at its last comma, if that lies within so
    many tokens of the end (A1111's default is 20); 0 fills every chunk, which makes them as few as possible.
    ``pad`` depends on the model: SD 1 pads with eos, SD 2 and pocket with 0.
    Raises InvalidRequest for ``length`` < 3.
    """
    if length < 3:
        raise InvalidRequest(
            f"a text encoder of length {length} has no room for words", hint="length must be 3 or more"
        )
    room = length - 2
    comma = tuple(encode(",")) if comma_backtrack > 0 else ()
    full: list[list[tuple[int, float]]] = []
    current: list[tuple[int, float]] = []
    for piece in spans:
        if isinstance(piece, Break):
            full.append(current)
            current = []
            continue
        for token in encode(piece.text):
            if len(current) == room:
                cut = _cut(current, comma, comma_backtrack)
                full.append(current[:cut])
                current = current[cut:]
            current.append((token, piece.weight))
    if current or not full:
        full.append(current)
    return tuple(_framed(tokens, bos=bos, eos=eos, pad=pad, length=length) for tokens in full)


def pad_to(
    first: Sequence[Chunk], second: Sequence[Chunk], *, bos: int, eos: int, pad: int
) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """Both with the larger number of chunks, empty ones appended: guidance needs prompts of one length.

    Both must hold at least one chunk, as `chunk` gives; all are of one length.
    """
    empty = _framed([], bos=bos, eos=eos, pad=pad, length=len(first[0].ids))
    count = max(len(first), len(second))
    return (*first, *[empty] * (count - len(first))), (*second, *[empty] * (count - len(second)))


def _cut(tokens: Sequence[tuple[int, float]], comma: tuple[int, ...], backtrack: int) -> int:
    """How many of a full chunk's tokens stay in it."""
    if len(comma) == 1:  # a tokenizer may have no comma, or spell it in pieces
        for back in range(min(backtrack, len(tokens))):
            if tokens[-1 - back][0] == comma[0]:
                return len(tokens) - back
    return len(tokens)


def _framed(tokens: Sequence[tuple[int, float]], *, bos: int, eos: int, pad: int, length: int) -> Chunk:
    padding = length - 2 - len(tokens)
    ids = (bos, *(token for token, _ in tokens), eos, *[pad] * padding)
    return Chunk(ids, (1.0, *(weight for _, weight in tokens), 1.0, *[1.0] * padding))
