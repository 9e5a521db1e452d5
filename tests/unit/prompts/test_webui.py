"""The grammar as the web UI reads it: its documented examples, its oddities, and a naive reading of its rules."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.prompts import syntax
from limner.prompts.lint import lint
from limner.prompts.reading import Reading
from limner.prompts.syntax import BREAK, Break, Scheduled, Span
from limner.prompts.vocabulary import TokenVocabulary
from limner.prompts.webui import parse_weights, problems, schedule

# From the web UI's own documentation of its parser.
DOCUMENTED = [
    ("normal text", [("normal text", 1.0)]),
    ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
    ("(unbalanced", [("unbalanced", 1.1)]),
    (r"\(literal\]", [("(literal]", 1.0)]),
    ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
    (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
            ("a ", 1.0),
            ("house", 1.573),
            (" ", 1.1),
            ("on", 1.0),
            (" a ", 1.1),
            ("hill", 0.55),
            (", sun, ", 1.1),
            ("sky", 1.4641),
            (".", 1.1),
        ],
    ),
]


def read(text: str) -> list[tuple[str, float] | None]:
    return [None if isinstance(piece, Break) else (piece.text, piece.weight) for piece in parse_weights(text)]


@pytest.mark.parametrize(("text", "pieces"), DOCUMENTED)
def test_documented_examples(text: str, pieces: list[tuple[str, float]]) -> None:
    found = read(text)
    assert [piece[0] for piece in found if piece] == [words for words, _ in pieces]
    assert [piece[1] for piece in found if piece] == pytest.approx([weight for _, weight in pieces])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a BREAK b", [("a", 1.0), None, ("b", 1.0)]),
        ("BREAK BREAK b", [None, None, ("b", 1.0)]),
        ("(a BREAK b:1.2)", [("a", 1.2), ("BREAK", -1.2), ("b", 1.2)]),  # no break: it is weighed too
        ("(a BREAK b:1)", [("a", 1.0), None, ("b", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b", 1.0), (" c", 1 / 1.1)]),  # they overlap
        ("a) b]", [("a) b]", 1.0)]),
        ("a\\b", [("ab", 1.0)]),
        ("(a:1.2.3)", [("a:1.2.3)", 1.1)]),
        ("(a: -0.5 )", [("a", -0.5)]),
        ("", []),
    ],
)
def test_oddities(text: str, pieces: list[tuple[str, float] | None]) -> None:
    found = read(text)
    assert [p and p[0] for p in found] == [p and p[0] for p in pieces]
    assert [p[1] for p in found if p] == pytest.approx([p[1] for p in pieces if p])


@given(st.lists(st.sampled_from(["(", ")", "[", "]", ":1.3)", "x", " ", ",", "\\(", "0"]), max_size=40).map("".join))
def test_like_a_naive_reading(text: str) -> None:
    """Each closing bracket multiplies everything since its opening one; what stays open, everything to the end."""
    pieces: list[list[object]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(start: int, factor: float) -> None:
        for piece in pieces[start:]:
            piece[1] = float(str(piece[1])) * factor

    for token, number in re.findall(r"(\\[()]|:([0-9.]+)\)|[()\[\]:]|[^()\[\]:\\]+)", text):
        if token in opened:
            opened[token].append(len(pieces))
        elif number and opened["("]:
            multiply(opened["("].pop(), float(number))
        elif token == ")" and opened["("]:
            multiply(opened["("].pop(), 1.1)
        elif token == "]" and opened["["]:
            multiply(opened["["].pop(), 1 / 1.1)
        else:
            pieces.append([token.removeprefix("\\"), 1.0])
    for start in opened["("]:
        multiply(start, 1.1)
    for start in opened["["]:
        multiply(start, 1 / 1.1)
    found = [piece for piece in parse_weights(text) if isinstance(piece, Span)]
    assert "".join(piece.text for piece in found) == "".join(str(words) for words, _ in pieces)
    flat = [weight for words, weight in ((str(w), float(str(x))) for w, x in pieces) for _ in words]
    assert [piece.weight for piece in found for _ in piece.text] == pytest.approx(flat)


plain = st.text("abc, ", min_size=1, max_size=8)


@given(st.lists(st.tuples(plain, st.sampled_from([None, "", ":1.4"])), max_size=6))
def test_ordinary_prompts_read_the_same_in_both(parts: list[tuple[str, str | None]]) -> None:
    text = "".join(words if weight is None else f"({words}{weight})" for words, weight in parts)
    ours = syntax.parse_weights(text)
    assert [(p.text, pytest.approx(p.weight)) for p in ours if isinstance(p, Span)] == read(text)


@given(st.text("()[]\\:|.1a BREAK", max_size=60), st.integers(1, 8))
def test_any_text_is_read(text: str, calls: int) -> None:
    for piece in parse_weights(text):
        assert piece is BREAK or abs(piece.weight) <= 1e6  # type: ignore[union-attr]
    stages = schedule(text, calls)
    assert stages[-1].until == calls
    assert [s.until for s in stages] == sorted({s.until for s in stages})


def shown(text: str, calls: int, before: int | None = None) -> list[str]:
    stages = schedule(text, calls, before=before)
    return [next(s.text for s in stages if call <= s.until) for call in range(1, calls + 1)]


def test_times_count_evaluations_from_0() -> None:
    assert shown("[a:b:2]", 6) == ["a", "a", "a", "b", "b", "b"]
    assert shown("[a:b:0.5]", 6) == ["a"] * 4 + ["b"] * 2
    assert shown("[a|b]", 6) == ["a", "a", "b", "a", "b", "a"]
    assert shown("[a:b:0]", 3) == ["b"] * 3
    assert shown("[a:b:9]", 3) == ["a"] * 3
    assert shown("[a:b:5]", 6) == ["a"] * 6
    assert shown("[|b]", 4) == ["", "", "b", ""]
    assert shown("plain", 1) == ["plain"]


def test_a_second_pass_goes_on_counting() -> None:
    assert shown("[a:b:0.5]", 4, before=6) == ["b"] * 4
    assert shown("[a:b:1.5]", 4, before=6) == ["a"] * 3 + ["b"]
    assert shown("[a:b:7]", 4, before=6) == ["a"] * 2 + ["b"] * 2


def test_a_bar_outside_of_brackets_switches_editing_off() -> None:
    assert schedule("x | [a:b:2]", 4) == (Scheduled(4, "x | [a:b:2]"),)
    assert schedule("([a|b]:1.2)", 2)[0].text == "(a:1.2)"
    assert schedule("(a|b) [c:d:1]", 4) == (Scheduled(4, "(a|b) [c:d:1]"),)


def test_thousands_of_brackets() -> None:
    assert parse_weights("(a" * 10_000)[-1].weight == 1e6  # type: ignore[union-attr]
    assert len(parse_weights("(a BREAK " * 2_000)) > 1


def test_problems_are_the_web_uis_own() -> None:
    assert problems("a (fox:1.2) in [snow] \\( x") == ()
    assert "never closed" in problems("a (fox in snow")[0]
    assert "BREAK inside" in problems("(a BREAK b)")[0]
    assert "switches prompt editing off" in problems("a | b")[0]


def test_lint_fills_chunks_as_they_are_drawn() -> None:
    """A comma within twenty tokens of the end ends a chunk early, so there may be more of them."""

    def encode(text: str) -> list[int]:
        return [0 if word == "," else 1 for word in text.replace(",", " , ").split()]

    vocabulary = TokenVocabulary(encode, 75)
    text = "fox " * 60 + ", " + "fox " * 74
    assert lint(text, vocabulary).chunks == 2
    assert lint(text, vocabulary, Reading(webui=True)).chunks == 2
    longer = text + "fox " * 10
    assert lint(longer, vocabulary).chunks == 2
    assert lint(longer, vocabulary, Reading(webui=True)).chunks == 3
