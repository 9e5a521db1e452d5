"""Reading a prompt before it is drawn: what it says, what it leaves open, and what the model cannot see in it.

Rules and small word lists, English only; it proposes and never changes anything.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from limner.prompts.advice import advice
from limner.prompts.chunks import chunk
from limner.prompts.lexicon import Slot, lexicon
from limner.prompts.nouns import (
    clauses,
    doings,
    heads,
    is_frame,
    is_manner,
    main_noun,
    phrases,
    words,
    words_and_pictographs,
)
from limner.prompts.reading import PLAIN, Reading
from limner.prompts.syntax import Break, Piece, Span, parse_weights, schedule
from limner.prompts.vocabulary import Encoding, Listed, OpenVocabulary, Vocabulary, WordVocabulary

__all__ = ["Lint", "OpenVocabulary", "Slot", "Vocabulary", "WordVocabulary", "lint"]

_ALIKE: Final = 0.84  # difflib ratio: finds "pengiun", but takes no moose for a mouse
_LOOKED_UP: Final = 20  # unknown words for which a near one is sought
_FILLED: Final = 2  # slots that a proposal fills at most
_LETTERING = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^'\n]{1,80}'(?!\w)")
_TAG = re.compile(r"<[^<>]*>")  # <lora:name:0.8>


@dataclass(frozen=True, slots=True)
class Lint:
    """What was found. ``unknown``: words the model cannot see, in order, lower case, without articles and the like.

    Emoji and other pictographs are among them. ``blind``: the model knows no word of the prompt at all.
    ``slots`` has every Slot; ``missing`` are the empty ones. ``tokens`` are the most that any step reads, ``chunks``
    how many encoder inputs they fill. ``problems`` are sentences. ``proposal`` is a rewrite to show, or None.
    """

    unknown: tuple[str, ...]
    blind: bool
    main_noun: str | None
    main_noun_unknown: bool
    slots: Mapping[Slot, tuple[str, ...]]
    missing: tuple[Slot, ...]
    tokens: int
    chunks: int
    problems: tuple[str, ...]
    proposal: str | None


def lint(prompt: str, vocabulary: Vocabulary, reading: Reading = PLAIN) -> Lint:
    """Read ``prompt`` for a model of this ``vocabulary``. Takes any string; expand and style it before. ``reading``
    says by whose rules brackets are read and tokens fill the encoder's inputs."""
    texts = [entry.text for entry in reading.stages(_TAG.sub(" ", prompt), 20)]
    spans = [span for span in parse_weights(texts[0]) if isinstance(span, Span)]
    said = "".join(span.text for span in spans)
    unknown = () if vocabulary.open else _unknown(texts, vocabulary)
    noun = main_noun(clauses(_unquoted(said)))
    slots = _slots(said, noun)
    tokens, chunks = _size(texts, vocabulary, reading)
    return Lint(
        unknown=unknown,
        blind=not vocabulary.open and not any(map(vocabulary.knows, _said(texts))),
        main_noun=noun,
        main_noun_unknown=noun in unknown,
        slots=slots,
        missing=_missing(slots),
        tokens=tokens,
        chunks=chunks,
        problems=(*reading.problems(prompt), *advice(prompt, said, spans)),
        proposal=_proposal(prompt, unknown, noun, vocabulary),
    )


def _plain(text: str) -> str:
    return "".join(" " if isinstance(piece, Break) else piece.text for piece in parse_weights(text))


def _unquoted(said: str) -> str:
    """Without the lettering that a picture shall show: it names no thing."""
    rest = _LETTERING.sub(" , ", said)
    return rest if words(rest) else said


def _unknown(texts: Sequence[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    lex = lexicon()
    said = _said(texts)
    return tuple(word for word in said if not vocabulary.knows(word) and not lex.is_a(word, "function", "negations"))


def _said(texts: Sequence[str]) -> Sequence[str]:
    """Words and pictographs, each once, in order."""
    return list(dict.fromkeys(word for text in texts for word in words_and_pictographs(_plain(text))))


def _size(texts: Sequence[str], vocabulary: Vocabulary, reading: Reading) -> tuple[int, int]:
    most, chunks = 0, 1
    for text in dict.fromkeys(texts):
        parts: list[int] = [0]
        pieces = reading.pieces(text)
        for piece in pieces:
            if isinstance(piece, Break):
                parts.append(0)
            else:
                parts[-1] += vocabulary.count(piece.text)
        most = max(most, sum(parts))
        chunks = max(chunks, _chunks(pieces, parts, vocabulary, reading))
    return most, chunks


def _chunks(pieces: Sequence[Piece], parts: Sequence[int], vocabulary: Vocabulary, reading: Reading) -> int:
    """Encoder inputs that pieces fill. Only the tokens themselves say where a comma ends one early."""
    if reading.comma_backtrack and isinstance(vocabulary, Encoding):
        length = vocabulary.limit + 2
        made = chunk(
            pieces, vocabulary.encode, bos=0, eos=0, pad=0, length=length, comma_backtrack=reading.comma_backtrack
        )
        return len(made)
    return sum(max(1, ceil(part / vocabulary.limit)) for part in parts)


def _slots(said: str, noun: str | None) -> Mapping[Slot, tuple[str, ...]]:
    lex = lexicon()
    parts = clauses(_unquoted(said))
    spoken = words(said)
    things = [head.noun for part in parts for head in heads(part) if not is_frame(head) and not is_manner(head.noun)]
    subjects = [thing for thing in things if thing == noun or thing not in lex.slots["place"]]
    if noun is not None and noun not in lex.slots["style"] | lex.slots["quality"]:
        subjects.insert(0, noun)
    found = {
        Slot.SUBJECT: subjects,
        Slot.ACTION: [doing for part in parts for doing in doings(part)],
        Slot.PLACE: phrases(spoken, lex.slots["place"]),
        Slot.LIGHT: phrases(spoken, lex.slots["light"]),
        Slot.STYLE: phrases(spoken, lex.slots["style"]),
    }
    return {slot: tuple(dict.fromkeys(values)) for slot, values in found.items()}


def _missing(slots: Mapping[Slot, tuple[str, ...]]) -> tuple[Slot, ...]:
    return tuple(slot for slot in Slot if not slots[slot])


def _proposal(prompt: str, unknown: Sequence[str], noun: str | None, vocabulary: Vocabulary) -> str | None:
    """The prompt with near words for unknown ones and a filler or two; None if there is nothing to better."""
    near = {word: found for word in unknown[:_LOOKED_UP] if (found := _near(word, vocabulary))}
    if noun is None or (noun in unknown and noun not in near):
        return None  # the model cannot draw what this is about, and nothing added helps that
    text = _replaced(prompt, near)
    said = _plain(schedule(_TAG.sub(" ", text), 20)[0].text)
    fillers = [filler for slot in _missing(_slots(said, near.get(noun, noun))) if (filler := _filler(slot, vocabulary))]
    room = vocabulary.limit - vocabulary.count(said)
    for filler in fillers[:_FILLED]:
        room -= vocabulary.count(filler)
        if room >= 0:
            text = f"{text.rstrip(' ,.')}, {filler}"
    return text if text != prompt else None


def _replaced(prompt: str, near: Mapping[str, str]) -> str:
    if not near:
        return prompt
    some = "|".join(re.escape(word).replace("'", "['’]") for word in sorted(near, key=len, reverse=True))
    # A tag is matched first, so that no word in it is touched.
    pattern = re.compile(rf"<[^<>]*>|(?<![\w'’\-])(?:{some})(?![\w'’\-])", re.IGNORECASE)
    return pattern.sub(lambda match: near.get(match[0].lower().replace("’", "'"), match[0]), prompt)


def _near(word: str, vocabulary: Vocabulary) -> str | None:
    """A known word for an unknown one: another number, another spelling, a synonym, a likely slip of the finger."""
    lex = lexicon()
    singulars = _singulars(word)
    plurals = [word + "s", word + "es", word.removesuffix("y") + "ies"]
    synonyms = list(lex.synonyms.get(word, ()))
    for singular in singulars:
        for synonym in lex.synonyms.get(singular, ()):
            synonyms += [synonym + "s", synonym + "es", synonym]
    spellings = [
        word.replace("our", "or"),
        word.replace("grey", "gray"),
        word.replace("or", "our"),
        *word.split("-")[-1:],
    ]
    for candidate in (*singulars, *plurals, *spellings, *synonyms):
        if candidate != word and vocabulary.knows(candidate):
            return candidate
    if isinstance(vocabulary, Listed):
        known = [other for other in vocabulary.words if other.isalpha() and abs(len(other) - len(word)) <= 2]
        return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=_ALIKE)), None)
    return None


def _singulars(word: str) -> list[str]:
    ends = (("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""), ("men", "man"))
    return [
        word.removesuffix(end) + instead for end, instead in ends if word.endswith(end) and len(word) > len(end) + 2
    ]


def _filler(slot: Slot, vocabulary: Vocabulary) -> str:
    if slot is Slot.PLACE and vocabulary.open:
        return ""  # a large model sets the scene itself; where, is the writer's to say
    for filler in lexicon().fillers.get(slot, ()):
        if all(vocabulary.knows(word) for word in words(filler)):
            return filler
    return ""
