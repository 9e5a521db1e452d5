"""DALL-E mini's tokenizer: byte-level BPE of BART's kind with its own vocabulary. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from limner.errors import CorruptFile, MismatchedWeights, ModelNotFound
from limner.models.family import Files

__all__ = ["TextIds", "Tokens", "read"]

BOS, EOS, PAD = "<s>", "</s>", "<pad>"


@dataclass(frozen=True, slots=True)
class TextIds:
    """The ids a text encoder reads, markers included and not padded. ``cut`` counts the tokens that did not fit."""

    ids: tuple[int, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenizer and its special ids. ``length`` is the most that the text encoder reads, markers included."""

    tokenizer: Tokenizer
    length: int
    bos: int
    eos: int
    pad: int

    def encode(self, text: str) -> TextIds:
        """``<s>`` text ``</s>``; what is too long is cut before ``</s>``."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        room = self.length - 2
        return TextIds((self.bos, *found[:room], self.eos), max(0, len(found) - room))

    def unconditional(self) -> tuple[int, ...]:
        """The ids of no text at all, which is what captions were blanked to in training."""
        return (self.bos, self.eos)


def read(files: Files, folder: str, *, length: int, vocabulary: int) -> Tokens:
    """The tokenizer in ``folder``: ``tokenizer.json``, or ``vocab.json`` and ``merges.txt``.

    ``length`` and ``vocabulary`` are the text encoder's. Raises ``ModelNotFound``, ``CorruptFile``, or
    ``MismatchedWeights`` where the tokenizer knows more words than the encoder.
    """
    names = ("tokenizer.json", "vocab.json", "merges.txt")
    paths = tuple(files.paths.get(f"{folder}/{name}") for name in names)
    tokenizer = _read(*paths)
    size = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    if size > vocabulary:
        raise MismatchedWeights(
            f"the tokenizer has {size:,} tokens, and the text encoder reads {vocabulary:,}",
            hint="tokenizer and weights must come from the same checkpoint",
        )
    bos, eos, pad = (_id(tokenizer, token) for token in (BOS, EOS, PAD))
    return Tokens(tokenizer, length, bos, eos, pad)


@lru_cache(maxsize=4)
def _read(whole: Path | None, vocab: Path | None, merges: Path | None) -> Tokenizer:
    try:
        if whole is not None:
            tokenizer: Tokenizer = Tokenizer.from_file(str(whole))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            return tokenizer
        if vocab is not None and merges is not None:
            return _byte_level(vocab, merges)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise CorruptFile(f"the tokenizer cannot be read: {error}", hint="fetch the model again") from error
    raise ModelNotFound("the checkpoint has no tokenizer", hint="it needs tokenizer.json, or vocab.json and merges.txt")


def _byte_level(vocab: Path, merges: Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _id(tokenizer: Tokenizer, token: str) -> int:
    found: int | None = tokenizer.token_to_id(token)
    if found is None:
        raise CorruptFile(f"the tokenizer has no {token}", hint="it is not DALL-E mini's; fetch the model again")
    return found
