"""``<lora:...>`` in prompts and ``NAME:WEIGHT``: what is read, what is left, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.errors import InvalidRequest
from limner.prompts.extra_networks import Named, has_tag, named, parse


@pytest.mark.parametrize(
    ("text", "left", "found"),
    [
        ("a fox", "a fox", []),
        ("a fox <lora:one:0.8>", "a fox", [Named("one", 0.8)]),
        ("<lora:one> a <lora:two:-.5> fox", "a fox", [Named("one"), Named("two", -0.5)]),
        ("a <lora:sub/na me.v2:0.4:0.8>, fox", "a , fox", [Named("sub/na me.v2", 0.8, 0.4)]),
        ("a <LORA:One:te=0.2:unet=0.9>fox", "a fox", [Named("One", 0.9, 0.2)]),
        ("a <lora:one:0.5:te=0.5>", "a", [Named("one", 0.5)]),
        ("a <lyco:one:1>", "a", [Named("one", 1.0)]),
        ("a <b> <3 fox: 2 > 1", "a <b> <3 fox: 2 > 1", []),
        ("(a fox:1.2)  two  spaces", "(a fox:1.2)  two  spaces", []),
    ],
)
def test_tags_are_taken_out(text: str, left: str, found: list[Named]) -> None:
    parsed = parse(text)
    assert parsed.text == left
    assert list(parsed.named) == found
    assert has_tag(text) == bool(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<lora:one:much>", "'much' is no weight"),
        ("<lora:one:1:2:3>", "'3' is no weight"),
        ("<lora:one:lbw=IN01>", "'lbw=IN01' is no weight"),
        ("<lora::1>", "names no LoRA"),
        ("<lora:one:1e9>", "out of range"),
        ("<hypernet:one:1>", "hypernetwork"),
    ],
)
def test_tags_that_cannot_be_read_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as error:
        parse(f"a fox {text}")
    assert error.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one", Named("one")),
        ("one:0.5", Named("one", 0.5)),
        ("one:0.2:0.5", Named("one", 0.5, 0.2)),
        ("a:b:0.5", Named("a:b", 0.5)),
        ("C:\\loras\\one.safetensors", Named("C:\\loras\\one.safetensors")),
        ("one [0123456789abcdef]:-1", Named("one [0123456789abcdef]", -1.0)),
    ],
)
def test_names_with_weights(text: str, expected: Named) -> None:
    assert named(text) == expected


@pytest.mark.parametrize("text", ["", ":0.5", "  ", "one:101"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(InvalidRequest):
        named(text)


scales = st.floats(-100, 100, allow_nan=False)
names = st.text("abcXYZ012 ._-/[]", min_size=1).map(str.strip).filter(bool)


@given(names, scales, st.none() | scales)
def test_what_is_written_is_read_again(name: str, scale: float, text_scale: float | None) -> None:
    text = "" if text_scale is None else f"{text_scale!r}:"
    found = named(f"{name}:{text}{scale!r}")
    assert (found.name, found.scale) == (name, scale)
    assert (scale if found.text_scale is None else found.text_scale) == (scale if text_scale is None else text_scale)


@given(st.text("ab <>:lor0.5", max_size=60))
def test_no_tag_is_left_and_nothing_else_is_lost(text: str) -> None:
    try:
        parsed = parse(text)
    except InvalidRequest:
        return
    assert not has_tag(parsed.text) or parsed.named
    if not parsed.named:
        assert parsed.text == text
