"""Habits in prompts that work against the writer, each found by one function: sentences, never changes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from limner.prompts.lexicon import lexicon
from limner.prompts.nouns import clauses, heads, phrases, words
from limner.prompts.syntax import Span

LOW, HIGH = 0.5, 1.6  # beyond these, weights tend to burn or lose what they weigh
_SHOWN = 60


def advice(prompt: str, said: str, spans: Sequence[Span]) -> Iterator[str]:
    """``prompt`` as written, ``said`` its plain words, ``spans`` its weighted parts."""
    yield from _marks(prompt)
    yield from _weights(spans)
    yield from _negations(said)
    yield from _contradictions(words(said))
    yield from _repeats(said)


def _marks(prompt: str) -> Iterator[str]:
    if curly := "".join(dict.fromkeys(re.findall(r"[“”„‟«»‘‛]|(?<!\w)’|’(?!\w)", prompt))):
        yield f"typographic quotes {' '.join(curly)} are other tokens than the straight \" and '; write those"
    if re.search(r"[（）［］]", prompt):
        yield "full-width brackets （ ） do not weigh words; write ( )"


def _weights(spans: Sequence[Span]) -> Iterator[str]:
    for span in spans:
        if span.text.strip(" ,") and not LOW <= span.weight <= HIGH:
            shown = span.text.strip()[:_SHOWN]
            yield f"“{shown}” has weight {span.weight:.3g}; outside {LOW}-{HIGH} pictures often break"


def _negations(said: str) -> Iterator[str]:
    lex = lexicon()
    for clause in clauses(said):
        for index, word in enumerate(clause):
            rest = clause[index + 1 :]
            if not lex.is_a(word, "negations") or not rest or rest[0].isdigit():
                continue
            named = heads(rest)
            what = " ".join(rest[: rest.index(named[0].noun) + 1]) if named else " ".join(rest[:3])
            what = re.sub(r"^((a|an|the|any|of|be|have|show|draw)\b ?)+", "", what)
            if what:
                yield f'“{word} {what}” tends to draw it; leave it out here and use --negative "{what}"'
            break


def _contradictions(said: Sequence[str]) -> Iterator[str]:
    for one, others in lexicon().contradictions.items():
        if phrases(said, frozenset([one])):
            for other in phrases(said, frozenset(others)):
                yield f"“{one}” and “{other}” contradict each other"


def _repeats(said: str) -> Iterator[str]:
    parts = clauses(said)
    for phrase, times in Counter(" ".join(part) for part in parts).items():
        if times > 1:
            yield f"“{phrase[:_SHOWN]}” is said {times} times; a weight such as ({phrase[:_SHOWN]}:1.2) is clearer"
    lex = lexicon()
    for part in parts:
        for word, following in pairwise(part):
            if word == following and not lex.is_a(word, "function"):
                yield f"“{word} {word}” says the same word twice"
                break
