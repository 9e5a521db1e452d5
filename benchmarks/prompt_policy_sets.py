"""The released test sets of the prompt policy: how many of their lines the rules refuse.

    python -m benchmarks.prompt_policy_sets [--misses] [--set NAME ...]

Prints recall and false blocks by category with 95 % intervals (Clopper-Pearson), and with ``--misses`` the lines that
went wrong. Text only: no picture is drawn. See tests/safety/README.md for the sets, and for the first result on each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from pathlib import Path
from typing import Final

from limner.errors import Refused
from limner.safety.policy import Policy
from limner.safety.said import Said

SETS: Final = Path(__file__).parents[1] / "tests" / "safety"
RELEASED: Final = ("test_prompts", "absolute", "second_prompts", "third_prompts")
_TAIL: Final = 0.025
_HALVINGS: Final = 40  # 1e-12: far finer than is told


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a set; ``refused`` is what is expected."""

    said: Said
    refused: bool
    category: str
    note: str
    language: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy said of a line: the category of its refusal, or ``None``."""

    line: Line
    category: str | None

    @property
    def right(self) -> bool:
        return (self.category is not None) == self.line.refused


def lines(name: str) -> list[Line]:
    """The lines of a released set."""
    found = []
    for text in (SETS / f"{name}.jsonl").read_text("utf-8").splitlines():
        row = json.loads(text)
        said = Said(row["prompt"], row.get("negative", ""), guidance=row.get("guidance"))
        category = row.get("category") or f"innocent_{row['note'].partition(':')[0]}"  # the third names refusals only
        found.append(Line(said, row["expect"] == "refused", category, row["note"], row["language"]))
    return found


def review(asked: Iterable[Line], policy: Policy) -> list[Verdict]:
    """What the policy says of each line."""
    return [Verdict(line, _refusal(line.said, policy)) for line in asked]


def exact_interval(hits: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson's 95 % interval of a share: never too narrow. Source: Biometrika 26 (1934)."""

    def bisected(too_low: Callable[[float], bool]) -> float:
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if too_low(middle) else (low, middle)
        return (low + high) / 2

    low = 0.0 if hits == 0 else bisected(lambda p: _at_most(n - hits, n, 1 - p) < _TAIL)
    high = 1.0 if hits == n else bisected(lambda p: _at_most(hits, n, p) > _TAIL)
    return low, high


def _at_most(k: int, n: int, p: float) -> float:
    """The chance of at most ``k`` of ``n``."""
    odds, none = log(p / (1 - p)), n * log1p(-p)  # by logarithms: the coefficients alone are beyond a float
    return sum(exp(lgamma(n + 1) - lgamma(j + 1) - lgamma(n - j + 1) + j * odds + none) for j in range(k + 1))


def _refusal(said: Said, policy: Policy) -> str | None:
    try:
        policy.review(said)
    except Refused as refused:
        return refused.category
    return None


def table(verdicts: Sequence[Verdict], of: Callable[[Line], str]) -> list[str]:
    """Per group: how many lines were refused, with the interval."""
    groups: dict[tuple[bool, str], list[bool]] = {}
    for verdict in verdicts:
        line = verdict.line
        for group in (of(line), "all"):
            groups.setdefault((line.refused, group), []).append(verdict.category is not None)
    rows = []
    for (expected, group), refused in sorted(groups.items(), key=lambda each: (not each[0][0], each[0][1])):
        low, high = exact_interval(sum(refused), len(refused))
        kind = "to refuse" if expected else "to allow "
        share = 100 * sum(refused) / len(refused)
        rows.append(
            f"{kind} {group:40} {sum(refused):4} of {len(refused):4} refused: {share:5.1f} % "
            f"({100 * low:.1f} to {100 * high:.1f} %)"
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--misses", action="store_true", help="show the lines that went wrong")
    parser.add_argument("--set", dest="names", nargs="+", choices=RELEASED, help="(default: all that are here)")
    parser.add_argument("--by", choices=("category", "note", "language"), default="category")
    asked = parser.parse_args()
    policy = Policy("standard")
    for name in asked.names or [name for name in RELEASED if (SETS / f"{name}.jsonl").exists()]:
        verdicts = review(lines(name), policy)
        print(f"{name}:", *table(verdicts, lambda line: str(getattr(line, asked.by))), sep="\n  ")
        other = [v for v in verdicts if v.line.refused and v.category not in (None, v.line.category)]
        print(f"  refused under another category than the set's: {len(other)}")
        for verdict in verdicts if asked.misses else ():
            if not verdict.right:
                line = verdict.line
                print(
                    f"    {line.category:20} {verdict.category or 'allowed':20} {line.note}: {line.said.prompt!r}",
                    end="",
                )
                print(f" without {line.said.negative!r} at {line.said.guidance}" if line.said.negative else "")


if __name__ == "__main__":
    main()
