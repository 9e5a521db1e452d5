"""What a model can read, as `limner.prompts.lint` asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, runtime_checkable

from limner.prompts.nouns import words


class Vocabulary(Protocol):
    """What a text encoder knows. ``limit`` is in tokens a chunk, markers not counted (CLIP 75, pocket 22)."""

    @property
    def limit(self) -> int: ...

    @property
    def open(self) -> bool:
        """Whether any word can be spelled, as with CLIP's byte pairs; then no word is unknown."""
        ...

    def knows(self, word: str) -> bool: ...

    def count(self, text: str) -> int:
        """Tokens of ``text``, markers not counted."""
        ...


@runtime_checkable
class Listed(Protocol):
    """A vocabulary that can be searched for near words."""

    @property
    def words(self) -> Collection[str]: ...


@runtime_checkable
class Encoding(Protocol):
    """A vocabulary that gives the tokens themselves, markers left out."""

    def encode(self, text: str) -> Sequence[int]: ...


class WordVocabulary:
    """The words of a word-level tokenizer, such as pocket's: a word is a token, others are not seen."""

    open = False

    def __init__(self, words: Collection[str], limit: int) -> None:
        self.words: Collection[str] = frozenset(word.lower() for word in words)
        self.limit = limit

    def knows(self, word: str) -> bool:
        return word.lower() in self.words

    def count(self, text: str) -> int:
        return len(words(text))


class TaughtVocabulary(WordVocabulary):
    """The words that a model was taught which reads its texts normalised and spells them with byte pairs: ``count``
    gives a text's tokens, ``normalise`` what is read of a text."""

    def __init__(
        self, words: Collection[str], limit: int, count: Callable[[str], int], normalise: Callable[[str], str]
    ) -> None:
        super().__init__(words, limit)
        self._count, self._normalise = count, normalise
        self._read = frozenset(part for word in self.words for part in self._parts(word))

    def knows(self, word: str) -> bool:
        """Also a word that is read as others: an emoji as its name, ``red-and-blue`` as three, ``éléphant``."""
        parts = self._parts(word)
        return super().knows(word) or (bool(parts) and parts <= self._read)

    def count(self, text: str) -> int:
        return self._count(text)

    def _parts(self, word: str) -> frozenset[str]:
        return frozenset(words(self._normalise(word)))


class OpenVocabulary:
    """A byte-pair vocabulary: ``count`` gives the tokens of a text without markers. See also ``TokenVocabulary``."""

    open = True

    def __init__(self, count: Callable[[str], int], limit: int) -> None:
        self._count = count
        self.limit = limit

    def knows(self, word: str) -> bool:
        return True

    def count(self, text: str) -> int:
        return self._count(text)


class TokenVocabulary(OpenVocabulary):
    """A byte-pair vocabulary that also gives the tokens: ``encode``, without markers."""

    def __init__(self, encode: Callable[[str], Sequence[int]], limit: int) -> None:
        super().__init__(lambda text: len(encode(text)), limit)
        self._encode = encode

    def encode(self, text: str) -> Sequence[int]:
        return self._encode(text)
