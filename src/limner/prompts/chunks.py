"""Weighted spans to token chunks of a text encoder's fixed length, so that no word of a long prompt is lost.

An encoder reads ``length`` tokens at a time (CLIP 77). A longer prompt becomes several chunks, each with its own first
and last marker, whose embeddings are later joined along the token axis: the way of AUTOMATIC1111's web UI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from limner.errors import InvalidRequest
from limner.prompts.syntax import Break, Piece


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens that stay together in one chunk: the vectors of a textual inversion, each with an id of its own."""

    ids: tuple[int, ...]


Token: TypeAlias = int | Block
Encode: TypeAlias = Callable[[str], Sequence[Token]]


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

    ``encode`` gives the ids of a text without markers, and a ``Block`` for what must not be torn: one that does not fit
    any more starts a new chunk. A Break starts a new chunk, after an empty one if nothing was written before it, as in
    A1111. ``comma_backtrack`` > 0 ends a full chunk at its last comma, if that lies within so many tokens of the end
    and the next token is no comma itself (A1111's rule, whose default is 20); 0 fills every chunk, which makes them as
    few as possible. ``pad`` depends on the model: SD 1 pads with eos, SD 2 and pocket with 0.
    Raises InvalidRequest for ``length`` < 3 and for a Block that no chunk can hold.
    """
    if length < 3:
        raise InvalidRequest(
            f"a text encoder of length {length} has no room for words", hint="length must be 3 or more"
        )
    filling = _Filling(length - 2, _comma(encode) if comma_backtrack > 0 else None, comma_backtrack)
    for piece in spans:
        if isinstance(piece, Break):
            filling.close()
            continue
        for token in encode(piece.text):
            filling.add(token, piece.weight)
    return tuple(_framed(tokens, bos=bos, eos=eos, pad=pad, length=length) for tokens in filling.finished())


class _Filling:
    """Chunks being filled, without their markers."""

    def __init__(self, room: int, comma: int | None, backtrack: int) -> None:
        self._room, self._comma, self._backtrack = room, comma, backtrack
        self._full: list[list[tuple[int, float]]] = []
        self._current: list[tuple[int, float]] = []

    def close(self) -> None:
        self._full.append(self._current)
        self._current = []

    def add(self, token: Token, weight: float) -> None:
        if isinstance(token, Block):
            self._add_block(token, weight)
            return
        if len(self._current) == self._room:
            kept = self._room if token == self._comma else self._kept()
            moved = self._current[kept:]
            self._current = self._current[:kept]
            self.close()
            self._current = moved
        self._current.append((token, weight))

    def _add_block(self, block: Block, weight: float) -> None:
        if len(block.ids) > self._room:
            raise InvalidRequest(
                f"a word of {len(block.ids)} vectors is longer than the text encoder reads at once ({self._room})",
                field="prompt",
                hint="this textual inversion was made for another model",
            )
        if len(self._current) + len(block.ids) > self._room:
            self.close()
        self._current.extend((each, weight) for each in block.ids)

    def _kept(self) -> int:
        """How many of a full chunk's tokens stay in it."""
        if self._comma is not None:
            for back in range(min(self._backtrack, self._room)):
                if self._current[-1 - back][0] == self._comma:
                    return self._room - back
        return self._room

    def finished(self) -> list[list[tuple[int, float]]]:
        if self._current or not self._full:
            self.close()
        return self._full


def _comma(encode: Encode) -> int | None:
    """The comma's id; a tokenizer may have none, or spell it in pieces."""
    found = encode(",")
    return found[0] if len(found) == 1 and isinstance(found[0], int) else None


def pad_to(
    first: Sequence[Chunk], second: Sequence[Chunk], *, bos: int, eos: int, pad: int
) -> tuple[tuple[Chunk, ...], tuple[Chunk, ...]]:
    """Both with the larger number of chunks, empty ones appended: guidance needs prompts of one length.

    Both must hold at least one chunk, as `chunk` gives; all are of one length.
    """
    empty = _framed([], bos=bos, eos=eos, pad=pad, length=len(first[0].ids))
    count = max(len(first), len(second))
    return (*first, *[empty] * (count - len(first))), (*second, *[empty] * (count - len(second)))


def _framed(tokens: Sequence[tuple[int, float]], *, bos: int, eos: int, pad: int, length: int) -> Chunk:
    padding = length - 2 - len(tokens)
    ids = (bos, *(token for token, _ in tokens), eos, *[pad] * padding)
    return Chunk(ids, (1.0, *(weight for _, weight in tokens), 1.0, *[1.0] * padding))
