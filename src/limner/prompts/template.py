r"""The grammar of variants, parsed: ``{a|b}``, ``{2::a|b}``, ``{2$$a|b|c}``, ``{1-2$$ and $$a|b|c}``, ``__name__``.

Braces without a partner are text. A ``|`` inside a square pair belongs to A1111's alternation ``[a|b]`` and splits
nothing here. ``\{ \} \| \_`` are the characters; every other backslash stays for `limner.prompts.syntax`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from limner.errors import InvalidRequest

DEEPEST: Final = 40  # braces within braces; also the nesting of wildcards

_TOKEN = re.compile(
    r"\\.|__(?P<name>(?:[^\W_]|[./])(?:[^\W_]|[-./ ]|_(?!_))*+)__|[{}\[\]|]|[^\\{}\[\]|_]++|.", re.DOTALL
)
_WEIGHT = re.compile(r"\s*+([0-9]++(?:\.[0-9]++)?)\s*+::")
_RANGE = re.compile(r"\s*+(?:(?P<low>[0-9]{1,6})(?P<dash>-(?P<high>[0-9]{1,6})?)?|-(?P<most>[0-9]{1,6}))\s*+\$\$")
_JOINT = re.compile(r"([^$|{}\\]*+)\$\$")


@dataclass(frozen=True, slots=True)
class Wildcard:
    name: str


@dataclass(frozen=True, slots=True)
class Option:
    parts: tuple[Part, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Variant:
    """Between ``low`` and ``high`` of the options, joined in the order written. ``high`` None: all of them."""

    options: tuple[Option, ...]
    low: int = 1
    high: int | None = 1
    joint: str = ", "


Part = str | Wildcard | Variant


@dataclass(slots=True)
class _Open:
    """A brace being read: its finished options, and the parts of the current one."""

    options: list[list[Part]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    squares: int = 0


def parse(text: str) -> tuple[Part, ...]:
    """The parts of a prompt. Raises InvalidRequest for weights or counts that make no sense, and beyond DEEPEST."""
    tokens = list(_TOKEN.finditer(text))
    partner = _partners([token.group() for token in tokens])
    stack = [_Open()]
    for index, token in enumerate(tokens):
        words, other = token.group(), partner.get(index)
        here = stack[-1]
        if other is not None and words == "{":
            if len(stack) > DEEPEST:
                raise InvalidRequest(f"braces are nested more than {DEEPEST} deep", field="prompt", hint="use fewer")
            stack.append(_Open())
        elif other is not None and words == "}":
            stack.pop()
            stack[-1].parts.append(_variant([*here.options, here.parts]))
        elif words == "|" and len(stack) > 1 and not here.squares:
            here.options.append(here.parts)
            here.parts = []
        else:
            if other is not None:
                here.squares += 1 if words == "[" else -1
            name = token.group("name")
            here.parts.append(Wildcard(name) if name else _unescaped(words))
    return tuple(_joined(stack[0].parts))


def entry(text: str) -> Option:
    """A line of a wildcard file; ``3::red`` has weight 3."""
    return _option(list(parse(text)))


def names(parts: Sequence[Part]) -> Iterator[str]:
    """The wildcards named in ``parts``, also within variants."""
    for part in parts:
        if isinstance(part, Wildcard):
            yield part.name
        elif isinstance(part, Variant):
            for option in part.options:
                yield from names(option.parts)


def _partners(tokens: Sequence[str]) -> dict[int, int]:
    """Braces match first; square brackets match within one level of braces."""
    partner: dict[int, int] = {}
    open_: list[int] = []
    braces = 0
    for index, token in enumerate(tokens):
        if token in ("{", "["):
            open_.append(index)
            braces += token == "{"
        elif token == "]" and open_ and tokens[open_[-1]] == "[":
            last = open_.pop()
            partner[last], partner[index] = index, last
        elif token == "}" and braces:
            braces -= 1
            while tokens[last := open_.pop()] == "[":
                pass
            partner[last], partner[index] = index, last
    return partner


def _unescaped(words: str) -> str:
    return words[1:] if len(words) == 2 and words[0] == "\\" and words[1] in "{}|_" else words


def _joined(parts: Sequence[Part]) -> Iterator[Part]:
    words: list[str] = []
    for part in parts:
        if isinstance(part, str):
            words.append(part)
            continue
        if any(words):
            yield "".join(words)
        words = []
        yield part
    if any(words):
        yield "".join(words)


def _option(parts: list[Part]) -> Option:
    joined = list(_joined(parts))
    first = joined[0] if joined else ""
    if isinstance(first, str) and (match := _WEIGHT.match(first)):
        rest = first[match.end() :]
        return Option((*([rest] if rest else []), *joined[1:]), min(float(match[1]), 1e12))
    return Option(tuple(joined))


def _variant(options: list[list[Part]]) -> Variant:
    low, high, joint = 1, 1, ", "
    first = list(_joined(options[0]))
    head = first[0] if first else ""
    limit: int | None = high
    if isinstance(head, str) and (match := _RANGE.match(head)):
        head = head[match.end() :]
        low, limit = _range(match)
        if separator := _JOINT.match(head):
            joint, head = separator[1], head[separator.end() :]
        options[0] = [head, *first[1:]]
    found = tuple(_option(option) for option in options)
    if all(option.weight == 0 for option in found):
        raise InvalidRequest("every option of a variant has weight 0", field="prompt", hint="give one a weight above 0")
    return Variant(found, low, limit, joint)


def _range(match: re.Match[str]) -> tuple[int, int | None]:
    if match["most"] is not None:
        return 0, int(match["most"])
    low = int(match["low"])
    high = low if match["dash"] is None else None if match["high"] is None else int(match["high"])
    if high is not None and high < low:
        raise InvalidRequest(
            f"{match[0].strip()} picks at least {low} and at most {high}", field="prompt", hint="swap them"
        )
    return low, high
