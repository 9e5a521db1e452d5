"""Styles: what they add, and that files of them survive a round trip."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import InvalidRequest, UnknownName
from limner.prompts.expand import count
from limner.prompts.styles import Style, apply, builtin_styles, choose, import_a1111, load_styles, to_toml
from limner.prompts.syntax import problems


@pytest.mark.parametrize(
    ("styles", "prompt", "negative", "expected"),
    [
        ([], "a fox", "bad", ("a fox", "bad")),
        ([Style("s", "film of {prompt}, grainy", "flat")], "a fox", "", ("film of a fox, grainy", "flat")),
        ([Style("s", "grainy", "flat")], "a fox", "blurry", ("a fox, grainy", "blurry, flat")),
        ([Style("s", "", "")], "a fox", "", ("a fox", "")),
        ([Style("s", "grainy")], "", "", ("grainy", "")),
        ([Style("s", "{prompt}, grainy")], " ", "", ("grainy", "")),
        ([Style("s", "a {prompt} b", "no {prompt}!")], "fox", "cat", ("a fox b", "no cat!")),
        ([Style("1", "ink {prompt}"), Style("2", "{prompt}, dark")], "fox", "", ("ink fox, dark", "")),
        ([Style("s", "{prompt} and {prompt}")], "a {prompt}", "", ("a {prompt} and a {prompt}", "")),
    ],
)
def test_apply(styles: list[Style], prompt: str, negative: str, expected: tuple[str, str]) -> None:
    assert apply(styles, prompt, negative) == expected


def test_builtin_styles_are_whole_and_well_formed() -> None:
    styles = builtin_styles()
    assert {"photo", "cinematic", "watercolor", "ink", "pixel-art", "line-art", "3d-render", "isometric"} <= set(styles)
    for style in styles.values():
        prompt, negative = apply([style], "a red fox", "text")
        assert "a red fox" in prompt
        assert negative.startswith("text, ")
        assert style.description
        assert problems(prompt) == problems(negative) == ()
        assert count(prompt) == count(negative) == 1


def test_choose_names_the_nearest() -> None:
    assert [style.name for style in choose(["ink", "photo"], builtin_styles())] == ["ink", "photo"]
    with pytest.raises(UnknownName) as caught:
        choose(["cinematik"], builtin_styles())
    assert caught.value.kind == "style"
    assert caught.value.nearest[0] == "cinematic"


def test_load_styles(tmp_path: Path) -> None:
    file = tmp_path / "styles.toml"
    file.write_text('[mine]\nprompt = "{prompt}, mine"\n["two words"]\nnegative = "x"\n')
    assert load_styles(file) == {"mine": Style("mine", "{prompt}, mine"), "two words": Style("two words", "", "x")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[a\n", "line 1"),
        ("a = 1\n", "'a' is not a table"),
        ("[a]\nprompt = 3\n", "'a' is not a table"),
        ("[a]\nprompts = 'x'\n", "prompts"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "styles.toml"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match=message) as caught:
        load_styles(file)
    assert "styles.toml" in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"none\.toml cannot be read"):
        load_styles(tmp_path / "none.toml")


def test_import_a1111(tmp_path: Path) -> None:
    file = tmp_path / "styles.csv"
    file.write_bytes(
        "\ufeffname,prompt,negative_prompt\r\n"
        "--- Media ---,,\r\n"
        'Film,"cinematic, {prompt}","flat, ""dull"""\r\n'
        '"Two\nlines","one\ntwo",\r\n'
        "Short,only a prompt\r\n"
        "\r\n"
        "Film,later,\r\n".encode()
    )
    assert import_a1111(file) == [
        Style("Two\nlines", "one\ntwo"),
        Style("Short", "only a prompt"),
        Style("Film", "later"),
    ]


def test_import_a1111_of_the_older_kind(tmp_path: Path) -> None:
    file = tmp_path / "styles.csv"
    file.write_text("name,text\nOld,oil painting\n")
    assert import_a1111(file) == [Style("Old", "oil painting")]


@pytest.mark.parametrize("content", ["", "prompt;negative\na;b\n", '{"name": 1}'])
def test_import_refuses_other_tables(tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.csv"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match="not a styles"):
        import_a1111(file)


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None)
@given(st.lists(st.builds(Style, WORDS, WORDS, WORDS, WORDS), max_size=5, unique_by=lambda style: style.name))
def test_toml_round_trip(styles: list[Style]) -> None:
    from limner.prompts.styles import _parsed

    assert list(_parsed(to_toml(styles), "test").values()) == styles
