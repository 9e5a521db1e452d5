"""Emphasis, BREAK, scheduling: what a prompt means, for prompts people write and for any string at all."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.prompts.syntax import BREAK, Break, Scheduled, Span, escape, parse_weights, problems, schedule

ANY = st.text(max_size=2000) | st.text(alphabet=r"ab ()[]:|\.,0123456789-+BREAK", max_size=300)


def _flat(text: str) -> list[tuple[str, float] | str]:
    return [
        "BREAK" if isinstance(piece, Break) else (piece.text, round(piece.weight, 4)) for piece in parse_weights(text)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a fox", [("a fox", 1.0)]),
        ("", []),
        ("(fox)", [("fox", 1.1)]),
        ("((fox))", [("fox", 1.21)]),
        ("[fox]", [("fox", 0.9091)]),
        ("(fox:1.3)", [("fox", 1.3)]),
        ("(fox: 1.3 )", [("fox", 1.3)]),
        ("(fox:.5)", [("fox", 0.5)]),
        ("(fox:0)", [("fox", 0.0)]),
        ("(fox:-1)", [("fox", -1.0)]),
        ("a (big [red] fox:1.5), snow", [("a ", 1.0), ("big ", 1.5), ("red", 1.3636), (" fox", 1.5), (", snow", 1.0)]),
        ("(a (b:2):1.5)", [("a ", 1.5), ("b", 3.0)]),
        (r"fox \(animal\)", [("fox (animal)", 1.0)]),
        (r"\[x\] \\ \a", [("[x] \\ \\a", 1.0)]),
        ("(a)(b)", [("ab", 1.1)]),
        ("a BREAK b", [("a", 1.0), "BREAK", ("b", 1.0)]),
        ("(a BREAK b:1.2)", [("a", 1.2), "BREAK", ("b", 1.2)]),
        ("BREAKFAST on a BREAKER", [("BREAKFAST on a BREAKER", 1.0)]),
        ("ratio 16:9, time 5:30", [("ratio 16:9, time 5:30", 1.0)]),
        ("(fox:1.2.3)", [("fox:1.2.3", 1.1)]),
        # without a partner: text
        ("(fox", [("(fox", 1.0)]),
        ("fox) and :)", [("fox) and :)", 1.0)]),
        ("a :1.3) b", [("a :1.3) b", 1.0)]),
        ("(a [b) c]", [("a [b", 1.1), (" c]", 1.0)]),
    ],
)
def test_weights(text: str, expected: list[tuple[str, float] | str]) -> None:
    assert _flat(text) == expected


@pytest.mark.parametrize(
    ("text", "steps", "expected"),
    [
        ("a fox", 10, [(10, "a fox")]),
        ("[cat:dog:0.5]", 10, [(5, "cat"), (10, "dog")]),
        ("[cat:dog:3]", 10, [(3, "cat"), (10, "dog")]),
        ("a [fox:3]", 10, [(3, "a "), (10, "a fox")]),
        ("a [fox::3] b", 10, [(3, "a fox b"), (10, "a  b")]),
        ("[cat:dog:1.0]", 10, [(10, "cat")]),
        ("[cat:dog:1]", 10, [(1, "cat"), (10, "dog")]),
        ("[cat:dog:0]", 10, [(10, "dog")]),
        ("[cat:dog:99]", 10, [(10, "cat")]),
        ("[cat:dog: .25 ]", 8, [(2, "cat"), (8, "dog")]),
        ("[cat|dog]", 3, [(1, "cat"), (2, "dog"), (3, "cat")]),
        ("fe[|male]", 2, [(1, "fe"), (2, "female")]),
        ("[(a:2):b (c:1.5):4]", 8, [(4, "(a:2)"), (8, "b (c:1.5)")]),
        ("a[b:[c:d:2]:1]e", 10, [(1, "abe"), (2, "ace"), (10, "ade")]),
        ("a [[[b]]:2]", 10, [(2, "a "), (10, "a [[b]]")]),
        ("[cat|[dog:owl:2]]", 4, [(1, "cat"), (2, "dog"), (3, "cat"), (4, "owl")]),
        ("[same:same:5]", 10, [(10, "same")]),
        # not scheduling: kept for the weights
        ("[fox]", 5, [(5, "[fox]")]),
        ("[a:b:c]", 5, [(5, "[a:b:c]")]),
        ("[a:b:c:0.5]", 5, [(5, "[a:b:c:0.5]")]),
        ("(a|b)", 5, [(5, "(a|b)")]),
        (r"\[a:b:0.5\]", 5, [(5, r"\[a:b:0.5\]")]),
        ("a [unbalanced", 5, [(5, "a [unbalanced")]),
        ("((a][:b:c [d:3]", 5, [(3, "((a][:b:c "), (5, "((a][:b:c d")]),
    ],
)
def test_schedule(text: str, steps: int, expected: list[tuple[int, str]]) -> None:
    assert schedule(text, steps) == tuple(Scheduled(*entry) for entry in expected)


def test_schedule_refuses_no_steps() -> None:
    with pytest.raises(InvalidRequest, match="0 steps"):
        schedule("a", 0)


def test_problems_name_the_bracket_and_its_place() -> None:
    assert problems(r"a (fine) [fine] \( prompt") == ()
    assert len(problems("a (fox")) == 1
    assert "character 3" in problems("a (fox")[0]
    assert "never closed" in problems("a (fox")[0]
    assert "never opened" in problems("a fox:1.2)")[0]
    assert "character 10" in problems("a fox:1.2)")[0]
    assert "scheduling" in problems("[a:b:half]")[0]
    assert len(problems("(" * 500)) == 6


@settings(deadline=None)
@given(ANY)
def test_any_string_parses_to_finite_weights_and_no_word_is_lost(text: str) -> None:
    pieces = parse_weights(text)
    problems(text)
    for piece in pieces:
        if isinstance(piece, Span):
            assert piece.text
            assert math.isfinite(piece.weight)
            assert piece.weight > 0 or re.search(r":\s*(-|[+]?[0.])", text)
    said = "".join(piece.text for piece in pieces if isinstance(piece, Span))
    kept = {mark for mark in set(said) if mark.isalpha()}
    assert kept >= {mark for mark in text if mark.isalpha() and mark not in "BREAK"}


@settings(deadline=None)
@given(ANY, st.integers(1, 12))
def test_any_string_schedules(text: str, steps: int) -> None:
    found = schedule(text, steps)
    untils = [entry.until for entry in found]
    assert untils == sorted(set(untils))
    assert untils[0] >= 1
    assert untils[-1] == steps
    assert all(a.text != b.text for a, b in itertools.pairwise(found))


@settings(deadline=None)
@given(st.text(max_size=300).filter(lambda text: "BREAK" not in text))
def test_escape_round_trip(text: str) -> None:
    assert parse_weights(escape(text)) == ((Span(text),) if text else ())
    assert schedule(escape(text), 7) == (Scheduled(7, escape(text)),)
    assert problems(escape(text)) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0.1, 9.0).map(lambda w: round(w, 2)), min_size=1, max_size=6))
def test_nested_weights_multiply(weights: list[float]) -> None:
    text = "fox"
    for weight in weights:
        text = f"({text}:{weight})"
    (span,) = parse_weights(text)
    assert isinstance(span, Span)
    assert span.weight == pytest.approx(min(max(math.prod(weights), 1e-6), 1e6))


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30))
def test_depth_is_a_power(round_: int, square: int) -> None:
    (span,) = parse_weights("(" * round_ + "[" * square + "x" + "]" * square + ")" * round_)
    assert isinstance(span, Span)
    assert span.weight == pytest.approx(1.1 ** (round_ - square))


@pytest.mark.parametrize(
    "unit", ["(", "[", ")", "([", "[a:", "[a|", ":", ":1", "1", "\\", " ", "(a:1.1", "BREAK ", "[a:b:1]", "()"]
)
def test_100_kb_of_anything(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    assert all(math.isfinite(p.weight) for p in parse_weights(text) if isinstance(p, Span))
    assert schedule(text, 2)[-1].until == 2
    assert len(problems(text)) <= 11


def test_deep_nesting_stays_finite() -> None:
    (up,) = parse_weights("(" * 50_000 + "x" + ")" * 50_000)
    (down,) = parse_weights("[" * 50_000 + "x" + "]" * 50_000)
    assert up == Span("x", 1e6)
    assert down == Span("x", 1e-6)


def test_break_is_one_value() -> None:
    assert parse_weights("BREAK") == (BREAK,)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50))
def test_alternation_takes_turns(steps: int) -> None:
    options = "red", "green", "blue"
    found = schedule("[red|green|blue] fox", steps)
    assert [entry.text for entry in found] == [f"{options[i % 3]} fox" for i in range(steps)]
