r"""Prompts with choices: variants ``{red|green}`` and wildcards ``__animal__`` become plain prompts.

``{a|b}`` one of them; ``{2::a|1::b}`` a twice as often; ``{2$$a|b|c}`` two of them joined by ", ", in written order;
``{1-2$$ and $$a|b|c}`` one or two joined by " and "; ``__animals/cats__`` a line of that wildcard file. They nest, also
in the lines of wildcard files. ``\{ \} \| \_`` are the characters themselves. Emphasis, scheduling and BREAK pass
through untouched. ``{2$$__colour__}`` picks two different lines.
Notation: https://github.com/adieyal/dynamicprompts (syntax guide); learned, not its code.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import prod
from typing import Final

from limner.errors import InvalidRequest
from limner.prompts.template import DEEPEST, Option, Part, Variant, Wildcard, names, parse
from limner.prompts.wildcards import Wildcards

__all__ = ["Wildcards", "count", "every", "expand"]

LONGEST: Final = 100_000  # characters of an expanded prompt
_WORK: Final = 200_000  # parts visited by a draw: wildcards that name wildcards can double at each level
_WIDEST: Final = 1_000_000  # options x picks of one variant


def expand(text: str, rng: random.Random, wildcards: Wildcards | None = None) -> str:
    """One prompt drawn from ``text``; the same state of ``rng`` gives the same prompt on every Python version.

    Raises UnknownName for a wildcard that does not exist, InvalidRequest for one that includes itself, for counts that
    cannot be met, nesting beyond 40 levels, or a result above 100,000 characters.
    """
    expander, parts = _opened(text, wildcards)
    return expander.draw(parts, rng)


def count(text: str, wildcards: Wildcards | None = None) -> int:
    """In how many ways ``text`` can be chosen (equal options count each). Raises as `expand` does."""
    expander, parts = _opened(text, wildcards)
    return expander.count(parts)


def every(text: str, wildcards: Wildcards | None = None, limit: int = 1000) -> tuple[str, ...]:
    """All `count` prompts, in written order. Raises as `expand` does, and InvalidRequest beyond ``limit``."""
    expander, parts = _opened(text, wildcards)
    total = expander.count(parts)
    if total > limit:
        shown = f"{total:,}" if total < 10**12 else "more than 10^12"
        raise InvalidRequest(
            f"the prompt stands for {shown} prompts; the limit is {limit:,}",
            field="prompt",
            hint="use fewer options, or draw some at random",
        )
    return tuple(expander.every(parts))


def _opened(text: str, wildcards: Wildcards | None) -> tuple[_Expander, tuple[Part, ...]]:
    expander = _Expander(wildcards or Wildcards())
    parts = parse(text)
    expander.check(tuple(names(parts)), ())
    return expander, parts


class _Expander:
    """One expansion: what it learned of the wildcards, and how much work it may still do."""

    def __init__(self, wildcards: Wildcards) -> None:
        self._wildcards = wildcards
        self._heights: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._texts: dict[str, tuple[str, ...]] = {}
        self._work = _WORK

    def check(self, wanted: Sequence[str], chain: tuple[str, ...]) -> int:
        """Load every wildcard within reach, so that a bad one fails always and not only when drawn. Levels below."""
        height = 0
        for name in dict.fromkeys(wanted):
            if name in chain:
                circle = " > ".join((*chain[chain.index(name) :], name))
                raise InvalidRequest(
                    f"the wildcard {name!r} includes itself: {circle}", field="prompt", hint="take one of them out"
                )
            if len(chain) + self._heights.get(name, 1) > DEEPEST:
                raise InvalidRequest(f"wildcards are nested more than {DEEPEST} deep", field="prompt", hint="use fewer")
            if name not in self._heights:
                self._heights[name] = 1 + self.check(self._wildcards.includes(name), (*chain, name))
            height = max(height, self._heights[name])
        return height

    def draw(self, parts: Sequence[Part], rng: random.Random) -> str:
        words: list[str] = []
        length = 0
        for part in parts:
            self._work -= 1
            if isinstance(part, str):
                words.append(part)
            else:
                low, high, options, joint = self._choice(part)
                size = low if low == high else low + int(rng.random() * (high - low + 1))
                words.append(joint.join(self.draw(option.parts, rng) for option in _pick(options, size, rng)))
            length += len(words[-1])
            if length > LONGEST or self._work < 0:
                raise _too_long()
        return "".join(words)

    def count(self, parts: Sequence[Part]) -> int:
        return prod(self._ways(part) for part in parts)

    def every(self, parts: Sequence[Part]) -> Iterator[str]:
        """Each wildcard is worked out once, so this costs no more than its result."""
        columns = [self._all(part) for part in parts]
        for row in product(*columns):
            if sum(map(len, row)) > LONGEST:
                raise _too_long()
            yield "".join(row)

    def _ways(self, part: Part) -> int:
        if isinstance(part, str):
            return 1
        if isinstance(part, Wildcard) and part.name in self._counts:
            return self._counts[part.name]
        low, high, options, _ = self._choice(part)
        ways = _subsets([self.count(option.parts) for option in options], low, high)
        if isinstance(part, Wildcard):
            self._counts[part.name] = ways
        return ways

    def _all(self, part: Part) -> tuple[str, ...]:
        if isinstance(part, str):
            return (part,)
        if isinstance(part, Wildcard) and part.name in self._texts:
            return self._texts[part.name]
        low, high, options, joint = self._choice(part)
        texts = [tuple(self.every(option.parts)) for option in options] if high else []
        found = tuple(
            joint.join(row)
            for size in range(low, high + 1)
            for group in combinations(texts, size)
            for row in product(*group)
        )
        if isinstance(part, Wildcard):
            self._texts[part.name] = found
        return found

    def _choice(self, part: Variant | Wildcard) -> tuple[int, int, Sequence[Option], str]:
        """(fewest picks, most picks, options that can be drawn, joint)."""
        variant = part if isinstance(part, Variant) else Variant(self._wildcards.options(part.name))
        options = variant.options
        if len(options) == 1 and len(options[0].parts) == 1 and isinstance(only := options[0].parts[0], Wildcard):
            options = self._wildcards.options(only.name)
        options = tuple(option for option in options if option.weight > 0)
        high = len(options) if variant.high is None else min(variant.high, len(options))
        if variant.low > high:
            raise InvalidRequest(
                f"the prompt picks {variant.low} of {len(options)} options", field="prompt", hint="pick fewer"
            )
        if high > 1 and high * len(options) > _WIDEST:
            raise InvalidRequest(
                f"the prompt picks up to {high:,} of {len(options):,} options", field="prompt", hint="pick fewer"
            )
        return variant.low, high, options, variant.joint


def _too_long() -> InvalidRequest:
    return InvalidRequest(
        f"the prompt grows beyond {LONGEST:,} characters when expanded", field="prompt", hint="nest fewer wildcards"
    )


def _pick(options: Sequence[Option], size: int, rng: random.Random) -> list[Option]:
    """``size`` different options by weight, in written order. Uses only ``rng.random``, which Python keeps stable."""
    left = list(range(len(options)))
    picked: set[int] = set()
    for _ in range(size):
        mark = rng.random() * sum(options[index].weight for index in left)
        chosen = left[-1]
        for index in left:
            mark -= options[index].weight
            if mark < 0:
                chosen = index
                break
        left.remove(chosen)
        picked.add(chosen)
    return [options[index] for index in sorted(picked)]


def _subsets(ways: Sequence[int], low: int, high: int) -> int:
    """Sum over all subsets of low..high options of the product of their ways: elementary symmetric polynomials."""
    sums = [1] + [0] * high
    for way in ways:
        for size in range(high, 0, -1):
            sums[size] += sums[size - 1] * way
    return sum(sums[low:])
