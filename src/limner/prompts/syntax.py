"""The prompt grammar people know from AUTOMATIC1111's web UI: emphasis, BREAK, scheduling and alternation.

=====================  ==========================================================================================
``(word)``             weight x 1.1; nests, so ``((word))`` is 1.21
``(word:1.3)``         weight x 1.3
``[word]``             weight / 1.1
``\\( \\) \\[ \\] \\\\``    the character itself
``BREAK``              the next text starts a new chunk
``[a:b:0.5]``          a, and b after half of the steps; a number with a dot is a fraction, else a step: ``[a:b:12]``
``[a:0.5]``            nothing, then a; ``[a::0.5]`` is a, then nothing
``[a|b]``              a and b by turns, a step each
=====================  ==========================================================================================

Brackets nest properly; one without a partner is text, and `problems` reports it. (In A1111 an unclosed round bracket
weighs all that follows.) All functions take any string, never recurse, and run in linear time.
Grammar: https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features (attention, prompt editing, alternation).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from limner.errors import InvalidRequest

STEP_UP: Final = 1.1
LARGEST_WEIGHT: Final = 1e6  # deep nesting must stay finite; nothing useful lies beyond
SMALLEST_WEIGHT: Final = 1e-6

# Possessive quantifiers: a failed match must not be retried at each shorter length, or ":1111..." costs n**2.
_TOKEN = re.compile(
    r"(?P<escape>\\[()\[\]\\])"
    r"|(?P<weight>:\s*+(?P<number>[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++))\s*+\))"
    r"|(?P<mark>[()\[\]:|\\])"
    r"|(?P<plain>[^()\[\]:|\\]++)",
    re.DOTALL,
)
_WHEN = re.compile(r"\s*+([0-9]++(?:\.[0-9]*+)?|\.[0-9]++)\s*+\Z")
_BREAK = re.compile(r"\bBREAK\b")
_REPORTED: Final = 5  # brackets named by `problems`; the rest are counted


@dataclass(frozen=True, slots=True)
class Span:
    """Text with one weight. ``text`` has its escapes resolved; ``weight`` is finite, 1.0 when nothing was said."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Break:
    """Where the prompt says BREAK: the next text starts a new chunk."""


Piece = Span | Break
BREAK: Final = Break()


@dataclass(frozen=True, slots=True)
class Scheduled:
    """The text in force up to and including step ``until``, counted from 1."""

    until: int
    text: str


class _Token(NamedTuple):
    kind: str  # "text", "escape", or the character itself: ( ) [ ] : |
    text: str
    start: int
    factor: float | None = None  # the number of a closing ":1.3)"


def parse_weights(text: str) -> tuple[Piece, ...]:
    """Spans of equal weight in the order written, and `BREAK` between chunks. Never raises.

    Neighbours of equal weight are one span; an empty prompt has none. White space around BREAK is dropped, everything
    else is kept. Weights are positive and within 1e-6..1e6 (by magnitude) unless the prompt names 0 or a negative
    number. Scheduling is not read here: call `schedule` first, or ``[a:b:0.5]`` is only de-emphasised text.
    """
    tokens = _tokens(text)
    partner = _partners(tokens)
    weights = [1.0]
    pieces: list[tuple[str, float] | Break] = []
    for index, token in enumerate(tokens):
        other = partner.get(index)
        if other is not None and other > index:
            weights.append(_bounded(weights[-1] * _factor(token, tokens[other])))
        elif other is not None:
            weights.pop()
        elif token.kind == "escape":
            pieces.append((token.text[1], weights[-1]))
        elif token.kind == "text":
            pieces.extend(_split_breaks(token.text, weights[-1]))
        else:
            pieces.append((token.text, weights[-1]))
    return tuple(_merged(pieces))


def schedule(text: str, steps: int, *, merged: bool = True, before: int | None = None) -> tuple[Scheduled, ...]:
    """What the prompt says at each of ``steps`` steps (>= 1), equal neighbours merged; the last ends at ``steps``.

    ``[a:b:when]`` shows a while step <= when. The texts keep their emphasis and escapes for `parse_weights`.
    Brackets that are no scheduling stay as written. In a second pass, ``before`` steps came before: whole numbers count
    on from there, and fractions of it begin at 1.0. Raises InvalidRequest for ``steps`` < 1.
    """
    if steps < 1:
        raise InvalidRequest(f"a prompt cannot be scheduled over {steps} steps", field="steps", hint="use 1 or more")
    tokens = _tokens(text)
    choices = _choices(tokens, steps, before)
    ends = {steps}
    for choice in choices.values():
        ends.update(range(1, steps) if choice.when is None else [choice.when] if choice.when > 0 else [])
    found: list[Scheduled] = []
    for until in sorted(ends):
        words = "".join(_walk(tokens, choices, until))
        if merged and found and found[-1].text == words:
            found.pop()
        found.append(Scheduled(until, words))
    return tuple(found)


def problems(text: str) -> tuple[str, ...]:
    """Sentences about brackets taken as text: without a partner, or almost scheduling. Empty when all is well."""
    tokens = _tokens(text)
    partner = _partners(tokens)
    lone = [token for index, token in enumerate(tokens) if token.kind in "()[]" and index not in partner]
    found = [_lone_bracket(token) for token in lone[:_REPORTED]]
    if len(lone) > _REPORTED:
        found.append(f"{len(lone) - _REPORTED} more brackets have no partner and are taken as text")
    return tuple(found + [_odd_schedule(inside) for inside in _odd_schedules(tokens, partner)][:_REPORTED])


def escape(text: str) -> str:
    """``text`` such that `parse_weights` gives it back as it is (except the word BREAK, which has no escape)."""
    return re.sub(r"([()\[\]\\])", r"\\\1", text)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    for match in _TOKEN.finditer(text):
        kind, words = match.lastgroup, match.group()
        if kind == "weight":
            found.append(_Token(")", words, match.start(), float(match.group("number"))))
        elif kind == "escape":
            found.append(_Token("escape", words, match.start()))
        elif kind == "mark" and words != "\\":
            found.append(_Token(words, words, match.start()))
        else:
            found.append(_Token("text", words, match.start()))
    return found


def _partners(tokens: Sequence[_Token]) -> dict[int, int]:
    """Index of the partner of each bracket that has one, in both directions; pairs never cross."""
    partner: dict[int, int] = {}
    open_: list[int] = []
    waiting = {"(": 0, "[": 0}
    for index, token in enumerate(tokens):
        if token.kind in waiting:
            open_.append(index)
            waiting[token.kind] += 1
        elif token.kind in (")", "]"):
            wanted = "(" if token.kind == ")" else "["
            while waiting[wanted]:  # opened in between and not closed: text
                last = open_.pop()
                waiting[tokens[last].kind] -= 1
                if tokens[last].kind == wanted:
                    partner[last], partner[index] = index, last
                    break
    return partner


def _factor(opening: _Token, closing: _Token) -> float:
    if opening.kind == "[":
        return 1 / STEP_UP
    return STEP_UP if closing.factor is None else _bounded(closing.factor)


def _bounded(weight: float) -> float:
    if weight == 0:
        return 0.0
    size = min(max(abs(weight), SMALLEST_WEIGHT), LARGEST_WEIGHT)
    return size if weight > 0 else -size


def _split_breaks(text: str, weight: float) -> Iterator[tuple[str, float] | Break]:
    parts = _BREAK.split(text)
    for index, part in enumerate(parts):
        if index:
            yield BREAK
            part = part.lstrip()
        yield part.rstrip() if index < len(parts) - 1 else part, weight


def _merged(pieces: Sequence[tuple[str, float] | Break]) -> Iterator[Piece]:
    words, weight = list[str](), 1.0
    for piece in [*pieces, None]:
        if isinstance(piece, tuple) and (not piece[0] or (words and piece[1] == weight)):
            words.append(piece[0])
            continue
        if any(words):
            yield Span("".join(words), weight)
        words = []
        if isinstance(piece, Break):
            yield piece
        elif piece is not None:
            words, weight = [piece[0]], piece[1]


class _Choice(NamedTuple):
    """A bracket pair that shows one of its parts at a time."""

    close: int
    starts: tuple[int, ...]  # token index at which each part begins
    separators: tuple[int, ...]
    when: int | None  # last step of the first part; None: by turns

    def start(self, step: int) -> int:
        if self.when is None:
            return self.starts[(step - 1) % len(self.starts)]
        return self.starts[0] if step <= self.when else self.starts[1]


def _choices(tokens: Sequence[_Token], steps: int, before: int | None = None) -> dict[int, _Choice]:
    """By the index of its opening bracket, each pair that is scheduling or alternation."""
    found: dict[int, _Choice] = {}
    for opening, close, colons, bars in _squares(tokens, _partners(tokens)):
        if bars:
            starts = (opening + 1, *(bar + 1 for bar in bars))
            found[opening] = _Choice(close, starts, tuple(bars), None)
        elif (when := _when(tokens, close, colons, steps, before)) is not None:
            # "[a:0.5]" has an empty first part: start it at its own end.
            starts = (opening + 1, colons[0] + 1) if len(colons) == 2 else (close, opening + 1)
            found[opening] = _Choice(close, starts, tuple(colons), when)
    return found


def _squares(
    tokens: Sequence[_Token], partner: dict[int, int]
) -> Iterator[tuple[int, int, Sequence[int], Sequence[int]]]:
    """(opening, closing, its colons, its bars) of each square pair; a round pair hides what is in it."""
    inside: list[tuple[int, list[int], list[int]]] = []
    for index, token in enumerate(tokens):
        other = partner.get(index)
        if other is not None and other > index:
            inside.append((index, [], []))
        elif other is not None:
            opening, colons, bars = inside.pop()
            if token.kind == "]":
                yield opening, index, colons, bars
        elif inside and token.kind == ":":
            inside[-1][1].append(index)
        elif inside and token.kind == "|":
            inside[-1][2].append(index)


def _when(
    tokens: Sequence[_Token], close: int, colons: Sequence[int], steps: int, before: int | None = None
) -> int | None:
    """The last step of the first part, 0 or less where it never shows; None if this is no scheduling."""
    if len(colons) not in (1, 2) or close - colons[-1] != 2:
        return None
    number = _WHEN.match(tokens[colons[-1] + 1].text)
    if number is None:
        return None
    fraction, value = "." in number.group(1), float(number.group(1))
    if before is not None:
        value -= 1 if fraction else before
    return int(min(value * (steps if fraction else 1), steps))


def _walk(tokens: Sequence[_Token], choices: dict[int, _Choice], step: int) -> Iterator[str]:
    """The words of one step: jump to the part that shows, and from its end past the bracket."""
    leave = {separator: choice.close for choice in choices.values() for separator in choice.separators}
    leave |= {choice.close: choice.close for choice in choices.values()}
    index = 0
    while index < len(tokens):
        if index in choices:
            index = choices[index].start(step)
        elif index in leave:
            index = leave[index] + 1
        else:
            yield tokens[index].text
            index += 1


def _lone_bracket(token: _Token) -> str:
    bracket = token.kind
    fate = "is never closed" if bracket in "([" else "was never opened"
    place = token.start + len(token.text)
    return f"“{bracket}” at character {place} {fate}; it is taken as text (write \\{bracket} to say so)"


def _odd_schedules(tokens: Sequence[_Token], partner: dict[int, int]) -> Iterator[str]:
    for opening, close, colons, bars in _squares(tokens, partner):
        if len(colons) >= 2 and not bars and _when(tokens, close, colons, 1) is None:
            yield "".join(token.text for token in tokens[opening : min(close + 1, opening + 40)])


def _odd_schedule(inside: str) -> str:
    shown = inside if len(inside) <= 60 else inside[:57] + "..."
    return f"{shown} looks like scheduling but does not end in one number, as [a:b:0.5] does; it is taken as [text]"
