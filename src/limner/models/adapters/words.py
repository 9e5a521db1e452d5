"""Words of a prompt that stand for added vectors. Torch-free.

Each vector has a token id beyond the vocabulary: the first adapter's from its end on, the others' behind. So prompts
stay sequences of ids, and a Plan says by its ids and its adapters what the encoder reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from limner.prompts.chunks import Block, Encode, Token


@dataclass(frozen=True, slots=True)
class Added:
    """``runs``: a word, case folded, to (offset of its first vector, number of vectors). ``vocabulary``: for each text
    encoder, by the suffix of its roles, the id that the first added vector has."""

    runs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    vocabulary: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, words: Sequence[tuple[str, int]], vocabulary: Mapping[str, int]) -> Added:
        """``words`` with their number of vectors, in the Plan's order."""
        runs, offset = {}, 0
        for word, count in words:
            runs[word.casefold()] = (offset, count)
            offset += count
        return cls(runs, vocabulary)

    def encoder(self, plain: Callable[[str], Sequence[int]], suffix: str) -> Encode:
        """Tokens of a text without markers: ``plain``'s, and a ``Block`` for every word that has vectors."""
        if not self.runs:
            return plain
        pattern, first = pattern_of(self.runs), self.vocabulary[suffix]

        def encode(text: str) -> Sequence[Token]:
            tokens: list[Token] = []
            for k, part in enumerate(pattern.split(text)):
                if k % 2:
                    offset, count = self.runs[part.casefold()]
                    tokens.append(Block(tuple(range(first + offset, first + offset + count))))
                elif part.strip():
                    tokens.extend(plain(part))
            return tokens

        return encode


NONE = Added()


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the words where it stands alone, in any case; of two that begin alike the longer. One group."""
    longest = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE)
