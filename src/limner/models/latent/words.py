"""A request's words as token chunks for the text encoders of a checkpoint. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limner.models import tokenizer
from limner.models.adapters.words import NONE, Added
from limner.models.family import Files
from limner.prompts import chunks, syntax
from limner.prompts.chunks import Chunk
from limner.types import Prompted, Request

Roles = dict[str, tuple[Prompted, ...]]


def said(request: Request, *, negative: bool) -> dict[str, str]:
    """The request's texts by role; ``negative`` where the network is asked for that too."""
    texts = {"positive": request.prompt}
    if negative:
        texts["negative"] = request.negative or ""
    if request.morph_to is not None:
        texts["morph_to"] = request.morph_to
    return texts


def read_all(
    texts: Mapping[str, str], steps: int, files: Files, tokenizers: Mapping[str, str], added: Added = NONE
) -> Roles:
    """Chunks by role and encoder over the steps. ``tokenizers`` maps a tokenizer's folder to the suffix that its
    roles get. All roles have the same number of chunks, as they share model calls, and all encoders too, as their
    states stand side by side. ``added`` are words that stand for vectors. Raises ``ModelError``, ``InvalidRequest``."""
    readers = {suffix: tokenizer.read(files, folder) for folder, suffix in tokenizers.items()}
    staged = {
        (role, suffix): [
            (stage.until, _chunks(stage.text, reader, added, suffix)) for stage in syntax.schedule(words, steps)
        ]
        for role, words in texts.items()
        for suffix, reader in readers.items()
    }
    most = max(len(found) for stages in staged.values() for _, found in stages)
    empty = {suffix: _chunks("", reader, added, suffix) for suffix, reader in readers.items()}
    return {
        role + suffix: tuple(
            _prompted(until, [*found, *empty[suffix] * (most - len(found))]) for until, found in stages
        )
        for (role, suffix), stages in staged.items()
    }


def _chunks(words: str, text: tokenizer.Text, added: Added, suffix: str) -> tuple[Chunk, ...]:
    encode = added.encoder(text.encode, suffix)
    return chunks.chunk(
        syntax.parse_weights(words), encode, bos=text.bos, eos=text.eos, pad=text.pad, length=text.length
    )


def _prompted(until: int, found: Sequence[Chunk]) -> Prompted:
    return Prompted(until=until, ids=tuple(c.ids for c in found), weights=tuple(c.weights for c in found))
