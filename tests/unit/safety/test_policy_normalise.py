"""Normalisation: laws, and the way back to the user's own words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.errors import Refused
from limner.safety.normalise import folded, forms, normalise
from limner.safety.policy import Policy
from limner.safety.said import Said

INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u0301", "\u034f")
BETWEEN = (" ", ".", "-", "_", " . ", "*", "~")
WORDS = ("naked", "nude", "hentai", "blowjob", "genitals", "masturbating")
SAFE = ("landscape", "windmill", "breakfast", "titmouse", "cockpit")


def refused(prompt: str) -> bool:
    try:
        Policy().review(Said(prompt))
    except Refused:
        return True
    return False


@given(st.text(max_size=60))
def test_folding_twice_is_folding_once(text: str) -> None:
    once = folded(text)[0]
    assert folded(once)[0] == once


@given(st.text(max_size=60))
def test_every_character_has_an_origin(text: str) -> None:
    normal = normalise(text)
    assert len(normal.origin) == len(normal.text)
    assert all(0 <= place < len(text) for place in normal.origin)
    assert list(normal.origin) == sorted(normal.origin)
    for word in (*normal.words, *normal.joined):
        assert normal.quote(word.start, word.end) in text


@given(st.text(max_size=300))
@settings(max_examples=60)
def test_any_text_can_be_reviewed(text: str) -> None:
    refused(text)


@given(st.sampled_from(WORDS + SAFE), st.data())
def test_invisible_characters_change_no_verdict(word: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(word)), max_size=4))
    disguised = word
    for place in sorted(places, reverse=True):
        disguised = disguised[:place] + data.draw(st.sampled_from(INVISIBLE)) + disguised[place:]
    assert refused(f"a {disguised} scene") is (word in WORDS)


@given(st.sampled_from(WORDS + SAFE[:3]), st.sampled_from(BETWEEN))
def test_letters_pulled_apart_change_no_verdict(word: str, between: str) -> None:
    assert refused(f"a scene: {between.join(word)}, at dusk") is (word in WORDS)


@given(st.sampled_from(WORDS + SAFE), st.integers(0, 3), st.integers(3, 6))
def test_repeated_letters_change_no_verdict(word: str, place: int, times: int) -> None:
    assert refused(f"a {word[:place]}{word[place] * times}{word[place + 1 :]} scene") is (word in WORDS)


@given(st.sampled_from(WORDS), st.sampled_from([str.upper, str.title, str.swapcase]))
def test_case_changes_no_verdict(word: str, cased: object) -> None:
    assert callable(cased)
    assert refused(f"a {cased(word)} scene")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ＮＵＤＥ", "nude"),
        ("𝓃𝓊𝒹𝑒", "nude"),
        ("🅽🆄🅳🅴", "nude"),
        ("ɴᴜᴅᴇ", "nude"),
        ("nüdé", "nude"),
        ("ﾇｰﾄﾞ", "ヌード"),
        ("ＭＡẞ", "mass"),
    ],
)
def test_folded(text: str, wanted: str) -> None:
    assert folded(text)[0] == wanted


@pytest.mark.parametrize(("word", "wanted"), [("n4k3d", "naked"), ("nаkеd", "naked"), ("nuuude", "nude")])
def test_forms(word: str, wanted: str) -> None:
    assert wanted in forms(word)


def test_russian_stays_russian() -> None:
    assert forms("зима")[0] == "зима"
