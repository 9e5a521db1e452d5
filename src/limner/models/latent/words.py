"""A request's words as token chunks for the text encoders of a checkpoint. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from limner.models import tokenizer
from limner.models.adapters.words import NONE, Added
from limner.models.family import Files
from limner.prompts import chunks
from limner.prompts.chunks import Chunk
from limner.prompts.reading import PLAIN, Reading
from limner.types import Prompted, Request

Roles = dict[str, tuple[Prompted, ...]]


def said(request: Request, *, negative: bool) -> dict[str, str]:
    """The request's texts by role; ``negative`` where the network is asked for that too."""
    texts = {"positive": request.prompt}
    if negative:
        texts["negative"] = request.negative or ""
    if request.morph_to is not None and request.morph > 0:  # at 0 it would only make the first prompt longer
        texts["morph_to"] = request.morph_to
    return texts


def read_all(
    texts: Mapping[str, str],
    steps: int,
    files: Files,
    tokenizers: Mapping[str, str],
    added: Added = NONE,
    reading: Reading = PLAIN,
    before: int | None = None,
) -> Roles:
    """Chunks by role and encoder over the steps. ``tokenizers`` maps a tokenizer's folder to the suffix that its
    roles get. All encoders have the same number of chunks, as their states stand side by side, and, unless ``reading``
    says otherwise, all roles too, as they share model calls. ``added`` are words that stand for vectors; ``before`` are
    the steps of the pass before this one. Raises ``ModelError``, ``InvalidRequest``."""
    readers = {suffix: tokenizer.read(files, folder) for folder, suffix in tokenizers.items()}
    staged = {
        (role, suffix): [
            (stage.until, _chunks(stage.text, reader, added, suffix, reading))
            for stage in reading.stages(words, steps, before)
        ]
        for role, words in texts.items()
        for suffix, reader in readers.items()
    }
    empty = {suffix: _chunks("", reader, added, suffix, reading) for suffix, reader in readers.items()}
    made: Roles = {}
    for (role, suffix), stages in staged.items():
        beside = [found for (other, _), found in staged.items() if reading.level or _together(role, other)]
        most = max(len(found) for each in beside for _, found in each)
        made[role + suffix] = tuple(
            _prompted(until, [*found, *empty[suffix] * (most - len(found))]) for until, found in stages
        )
    return made


def _together(role: str, other: str) -> bool:
    """Whether two roles have to be of one length: what a prompt is mixed with."""
    return role == other or {role, other} == {"positive", "morph_to"}


def _chunks(words: str, text: tokenizer.Text, added: Added, suffix: str, reading: Reading) -> tuple[Chunk, ...]:
    return chunks.chunk(
        reading.pieces(words),
        added.encoder(text.encode, suffix),
        bos=text.bos,
        eos=text.eos,
        pad=text.pad,
        length=text.length,
        comma_backtrack=reading.comma_backtrack,
    )


def _prompted(until: int, found: Sequence[Chunk]) -> Prompted:
    return Prompted(until=until, ids=tuple(c.ids for c in found), weights=tuple(c.weights for c in found))
