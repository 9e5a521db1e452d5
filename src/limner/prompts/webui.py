"""The prompt grammar as AUTOMATIC1111's web UI itself reads it, for ``--compat a1111``.

``prompts/syntax.py`` reads the same grammar and is stricter. What the web UI does otherwise:

- round and square brackets are counted apart, so ``(a [b) c]`` overlaps instead of nesting;
- a bracket that is never closed weighs all that follows, and leaves the text;
- a lone backslash leaves the text;
- BREAK inside brackets is a word like any other (its marker is weighed too, and no longer recognised);
- a bar outside of ``[a|b]`` switches prompt editing off in the whole prompt;
- times count network evaluations from 0, not steps from 1: ``[a:b:5]`` shows a for six, ``[a|b]`` goes a, a, b, a, b;
- in a second pass whole numbers go on counting behind the first, and fractions of it begin at 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from limner.prompts import syntax
from limner.prompts.syntax import BREAK, STEP_UP, Piece, Scheduled, Span

BACKTRACK = 20
"""How far its chunks are cut back to a comma, by default."""

_TOKEN = re.compile(
    r"\\[()\[\]\\]"  # an escaped character
    r"|\\"
    r"|:\s*+(?P<weight>[+-]?[.0-9]++)\s*+\)"
    r"|[()\[\]:]"
    r"|[^()\[\]:\\]++"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


def parse_weights(text: str) -> tuple[Piece, ...]:
    """Spans of equal weight and `BREAK`s, as `syntax.parse_weights`, by the web UI's rules. Never raises; weights have
    the same bounds."""
    words, weights, breaks = _weighed(text)
    return tuple(_merged(words, weights, breaks))


def _weighed(text: str) -> tuple[list[str], list[float], set[int]]:
    """Pieces of text, their weights, and which of them are breaks."""
    words: list[str] = []
    factors: list[tuple[int, int, float]] = []  # from this piece up to that one
    breaks: set[int] = set()
    round_, square = list[int](), list[int]()
    for match in _TOKEN.finditer(text):
        token, weight = match.group(), match.group("weight")
        if token.startswith("\\"):
            words.append(token[1:])
        elif token == "(":
            round_.append(len(words))
        elif token == "[":
            square.append(len(words))
        elif weight is not None and round_ and (factor := _number(weight)) is not None:
            factors.append((round_.pop(), len(words), factor))
        elif token == ")" and round_:
            factors.append((round_.pop(), len(words), STEP_UP))
        elif token == "]" and square:
            factors.append((square.pop(), len(words), 1 / STEP_UP))
        else:
            for k, part in enumerate(_BREAK.split(token)):
                if k:
                    breaks.add(len(words))
                    words.append("BREAK")
                words.append(part)
    factors += [(start, len(words), STEP_UP) for start in round_]
    factors += [(start, len(words), 1 / STEP_UP) for start in square]
    weights = _multiplied(len(words), factors)
    for k in breaks:
        weights[k] = -weights[k]
    return words, weights, {k for k in breaks if weights[k] == -1}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "1.2.3": the web UI fails; here it is text
        return None


def _multiplied(count: int, factors: Sequence[tuple[int, int, float]]) -> list[float]:
    """Each piece's weight. numpy, as thousands of open brackets each weigh all that follows."""
    import numpy as np

    weights = np.ones(count)
    for start, end, factor in factors:
        weights[start:end] = np.clip(weights[start:end] * factor, -syntax.LARGEST_WEIGHT, syntax.LARGEST_WEIGHT)
    found: list[float] = weights.tolist()
    return found


def _merged(words: Sequence[str], weights: Sequence[float], breaks: set[int]) -> Iterator[Piece]:
    run, weight = "", 1.0
    for k, (word, each) in enumerate(zip(words, weights, strict=True)):
        if k in breaks or each != weight:
            if run:
                yield Span(run, weight)
            run, weight = "", each
        if k in breaks:
            yield BREAK
        else:
            run += word
    if run:
        yield Span(run, weight)


def schedule(text: str, calls: int, *, before: int | None = None) -> tuple[Scheduled, ...]:
    """What the prompt says at each of ``calls`` (>= 1) network evaluations of a pass, the last ending at ``calls``.

    ``until`` counts evaluations from 1, as `syntax.schedule` counts steps; equal neighbours are not merged, as the web
    UI restores the mean of all of them together. ``before``: in a second pass, how many the first had.
    """
    if _bar_outside(text):
        return (Scheduled(calls, text),)
    found = syntax.schedule(text, calls, merged=False, before=before)
    # It looks an entry up by evaluations done, which is one less: each lasts one evaluation longer.
    longer = [Scheduled(each.until + 1, each.text) for each in found if each.until + 1 < calls]
    last = next(each.text for each in found if each.until + 1 >= calls)
    return (*longer, Scheduled(calls, last))


def problems(text: str) -> tuple[str, ...]:
    """Sentences about what the web UI likely reads otherwise than was meant. Empty when all is well."""
    open_: dict[str, list[int]] = {"(": [], "[": []}
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in open_:
            open_[token].append(match.start() + 1)
        elif (token == ")" or match.group("weight")) and open_["("]:
            open_["("].pop()
        elif token == "]" and open_["["]:
            open_["["].pop()
    found = [
        f"“{bracket}” at character {places[0]} is never closed: all that follows is weighed by it"
        for bracket, places in open_.items()
        if places
    ]
    words, _, breaks = _weighed(text)
    if words.count("BREAK") > len(breaks):
        found.append("BREAK inside brackets is a word to the web UI, and starts no chunk")
    if _bar_outside(text):
        found.append("“|” outside of [a|b] switches prompt editing off in the whole prompt")
    return tuple(found)


def _bar_outside(text: str) -> bool:
    """Whether a bar stands anywhere but directly in square brackets."""
    open_: list[str] = []
    for token in re.findall(r"\\.|[()\[\]|]", text, re.DOTALL):
        if token in "([":
            open_.append(token)
        elif token in ")]":
            if open_:
                open_.pop()
        elif token == "|" and (not open_ or open_[-1] != "["):
            return True
    return False
