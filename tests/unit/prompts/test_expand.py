"""Wildcards and variants: which prompts one template stands for, and that drawing is repeatable and bounded."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest, UnknownName
from limner.prompts.expand import Wildcards, count, every, expand

CARDS = Wildcards(
    lists={
        "colour": ["red", "green", "blue"],
        "animal": ["cat", "__bird__", "big {dog|wolf}"],
        "bird": ["owl", "hen"],
        "solo": ["x"],
    }
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a fox", ["a fox"]),
        ("", [""]),
        ("a {red|blue} fox", ["a red fox", "a blue fox"]),
        ("{a|b}{c|d}", ["ac", "ad", "bc", "bd"]),
        ("{a {b|c}|d}", ["a b", "a c", "d"]),
        ("{|a} b", [" b", "a b"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, c"]),
        ("{1-2$$ and $$a|b|c}", ["a", "b", "c", "a and b", "a and c", "b and c"]),
        ("{2-$$a|b|c}", ["a, b", "a, c", "b, c", "a, b, c"]),
        ("{-1$$a|b}", ["", "a", "b"]),
        ("{0$$a|b}", [""]),
        ("{0-9$$a}", ["", "a"]),
        ("{2::a|1::b|0::c}", ["a", "b"]),
        ("__bird__ in __colour__", [f"{b} in {c}" for b in ("owl", "hen") for c in ("red", "green", "blue")]),
        ("__animal__", ["cat", "owl", "hen", "big dog", "big wolf"]),
        ("{1::__bird__}", ["owl", "hen"]),
        ("{2$$__colour__}", ["red, green", "red, blue", "green, blue"]),
        # A1111's syntax passes
        ("({a|b}:1.2) [c:d:0.5] [e|f] \\(g\\) \\\\", [f"({x}:1.2) [c:d:0.5] [e|f] \\(g\\) \\\\" for x in "ab"]),
        ("{[a|b]|c}", ["[a|b]", "c"]),
        ("{a [b|c}", ["a [b", "c"]),
        # escapes and lone braces are text
        (r"\{a|b\}", ["{a|b}"]),
        (r"{a\|b|c}", ["a|b", "c"]),
        (r"\_\_bird\_\_", ["__bird__"]),
        ("a { b", ["a { b"]),
        ("a | b } c", ["a | b } c"]),
        ("snake_case __ and ____", ["snake_case __ and ____"]),
    ],
)
def test_every(text: str, expected: list[str]) -> None:
    assert list(every(text, CARDS)) == expected
    assert count(text, CARDS) == len(expected)
    assert expand(text, random.Random(0), CARDS) in expected


def test_the_same_seed_draws_the_same_prompt() -> None:
    text = "a {1-2$$__colour__|bright|dark} __animal__ {in the snow|on the beach|}"
    drawn = [expand(text, random.Random(seed), CARDS) for seed in range(20)]
    assert drawn == [expand(text, random.Random(seed), CARDS) for seed in range(20)]
    assert len(set(drawn)) > 8


def test_drawing_is_pinned() -> None:
    """A stored seed must give the same prompt in later versions."""
    assert expand("{a|b|c|d|e|f} __colour__ {2$$p|q|r|s}", random.Random(7), CARDS) == "b red p, r"


def test_weights_weigh() -> None:
    rng = random.Random(1)
    drawn = Counter(expand("{3::a|1::b|0::c}", rng) for _ in range(4000))
    assert drawn["c"] == 0
    assert 0.70 < drawn["a"] / 4000 < 0.80


def test_count_needs_no_listing() -> None:
    assert count("{a|b|c|d|e|f|g|h|i|j}" * 30) == 10**30


def test_every_refuses_more_than_the_limit() -> None:
    with pytest.raises(InvalidRequest, match="stands for 27 prompts"):
        every("{a|b|c}" * 3, limit=26)
    assert len(every("{a|b|c}" * 3, limit=27)) == 27
    with pytest.raises(InvalidRequest, match="more than"):
        every("{a|b|c}" * 300)


def test_unknown_wildcard_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        expand("a __color__ fox", random.Random(0), CARDS)
    assert caught.value.kind == "wildcard"
    assert caught.value.nearest[0] == "colour"
    with pytest.raises(UnknownName):
        expand("__init__", random.Random(0))


def test_a_bad_wildcard_fails_also_when_it_is_not_drawn() -> None:
    cards = Wildcards(lists={"a": ["x"] * 1000 + ["__nowhere__"]})
    with pytest.raises(UnknownName, match="nowhere"):
        expand("__a__", random.Random(0), cards)


def test_cycles_are_named() -> None:
    cards = Wildcards(lists={"a": ["x", "__b__"], "b": ["y", "{z|__c__}"], "c": ["__a__"]})
    with pytest.raises(InvalidRequest, match="a > b > c > a"):
        count("__a__", cards)


def test_depth_is_limited() -> None:
    chain = Wildcards(lists={f"w{i}": [f"__w{i + 1}__"] for i in range(2000)} | {"w2000": ["end"]})
    assert expand("__w1970__", random.Random(0), chain) == "end"
    for text in ("__w0__", " ".join(f"__w{i}__" for i in range(2000, -1, -10))):
        with pytest.raises(InvalidRequest, match="deep"):
            expand(text, random.Random(0), chain)
    with pytest.raises(InvalidRequest, match="deep"):
        count("{a|" * 50 + "b" + "}" * 50)


@pytest.mark.parametrize("end", ["word ", "{}"])
def test_doubling_wildcards_stop(end: str) -> None:
    lists = {f"w{i}": [f"__w{i + 1}____w{i + 1}__"] for i in range(35)} | {"w35": [end]}
    with pytest.raises(InvalidRequest, match="grows"):
        expand("__w0__", random.Random(0), Wildcards(lists=lists))
    if end == "word ":
        with pytest.raises(InvalidRequest, match="grows"):
            every("__w0__", Wildcards(lists=lists))
    else:
        assert every("__w0__", Wildcards(lists=lists)) == ("",)


@pytest.mark.parametrize("text", ["{3$$a|b}", "{5-2$$a|b}", "{0::a|0::b}", "{9$$__colour__}"])
def test_choices_that_cannot_be_made(text: str) -> None:
    with pytest.raises(InvalidRequest):
        expand(text, random.Random(0), CARDS)


def test_a_folder_of_wildcards(tmp_path: Path) -> None:
    (tmp_path / "animals").mkdir()
    (tmp_path / "animals" / "cats.txt").write_bytes("\ufeff# felines\r\nlion\r\n\r\n  tiger \r\n3::lynx".encode())
    (tmp_path / "hair_color.txt").write_text("red\nblack\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    cards = Wildcards(tmp_path)
    assert cards.names() == ("animals/cats", "empty", "hair_color")
    assert every("__animals/cats__", cards) == ("lion", "tiger", "lynx")
    assert count("__hair_color__ hair", cards) == 2
    with pytest.raises(InvalidRequest, match="no entries"):
        count("__empty__", cards)


def test_names_stay_inside_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "wild"
    folder.mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    cards = Wildcards(folder)
    for name in ("../secret", "a/../../secret", "./../secret", str(tmp_path / "secret"), "link", ".."):
        with pytest.raises(InvalidRequest):
            expand(f"__{name}__", random.Random(0), cards)
        with pytest.raises(InvalidRequest):
            cards.entries(name)


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\nk\xe4se\n")
    with pytest.raises(InvalidRequest, match="line 2"):
        Wildcards(tmp_path).entries("bad")


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    assert Wildcards(tmp_path / "none").names() == ()
    assert expand("a fox", random.Random(0), Wildcards(tmp_path / "none")) == "a fox"


@settings(deadline=None)
@given(st.text(alphabet=r"ab {}|[]$$:12-_\\", max_size=60), st.integers(0, 5))
def test_any_string_expands_or_says_why(text: str, seed: int) -> None:
    try:
        total = count(text, CARDS)
        drawn = expand(text, random.Random(seed), CARDS)
    except InvalidRequest:
        return
    if total <= 200:
        found = every(text, CARDS)
        assert len(found) == total
        assert drawn in found


@pytest.mark.parametrize("unit", ["{a}", "}", "_", "__", "\\", "[", "|", "$$", "{a|b}", "{", "[{"])
def test_100_kb_of_anything(unit: str) -> None:
    assert expand(unit * (100_000 // len(unit)), random.Random(0))
