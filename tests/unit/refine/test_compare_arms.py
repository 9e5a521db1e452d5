"""Sides from words: axes, models, prompt files."""

from __future__ import annotations

import pytest

from limner.errors import InvalidRequest, UnknownName
from limner.prompts.files import PromptLine
from limner.refine.arms import Arm
from limner.refine.compare_arms import arms_of, axis_of, texts_of
from limner.refine.compare_study import references_of
from limner.types import Request


def test_axes_multiply_and_are_named() -> None:
    arms = arms_of(["a fox"], [], [axis_of("steps=10,20"), axis_of("size=64,64x128")], {"negative": "blur"})
    assert [arm.name for arm in arms] == [
        "steps 10, size 64",
        "steps 10, size 64x128",
        "steps 20, size 64",
        "steps 20, size 64x128",
    ]
    assert arms[1].request.model_dump(exclude_unset=True, exclude_none=True) == {
        "prompt": "a fox",
        "negative": "blur",
        "steps": 10,
        "width": 64,
        "height": 128,
        "n": 1,
    }


def test_an_empty_value_leaves_the_setting_to_the_model() -> None:
    plain, styled = arms_of(["a fox"], [], [axis_of("styles=,anime")], {})
    assert plain.request.styles == ()
    assert styled.request.styles == ("anime",)
    assert plain.name == "styles default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps", "NAME=VALUE"),
        ("steps=", "NAME=VALUE"),
        ("stepz=1,2", "stepz"),
        ("seed=1,2", "no axis"),
        ("prompt=a,b", "no axis"),
        ("model=sd15,sdxl", "no axis"),
        ("steps=1,1", "twice"),
        ("steps=one,2", "steps"),
        ("steps=0,2", "steps"),
        ("guidance=nan,2", "guidance"),
        ("size=big", "size"),
    ],
)
def test_axes_that_are_none(text: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        axis_of(text)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_a_misspelt_axis_names_the_nearest() -> None:
    with pytest.raises(UnknownName) as caught:
        axis_of("guidence=1,2")
    assert "guidance" in caught.value.hint


def test_too_many_sides() -> None:
    with pytest.raises(InvalidRequest, match="66 sides"):
        arms_of(["a", "b"], [], [axis_of("steps=" + ",".join(map(str, range(1, 34))))], {})


def test_each_side_is_compared_within_its_model() -> None:
    arms = arms_of(["a fox", "a red fox"], ["one", "two"], [], {})
    assert [arm.name for arm in arms] == ["A, one", "B, one", "A, two", "B, two"]
    assert references_of(arms) == (0, 0, 2)
    with pytest.raises(InvalidRequest, match="twice"):
        arms_of(["a fox", "a fox"], [], [], {})


def line(prompt: str, number: int = 1, **tags: str) -> PromptLine:
    return PromptLine(prompt, tags=tags, line=number)


ARMS = [Arm.of("A", Request(prompt="-", steps=3)), Arm.of("B", Request(prompt="-", steps=4))]


def test_categories_are_the_column_of_that_name_or_the_one_asked_for() -> None:
    lines = [line("a", Note="x", Category="animals"), line("b", 2, Note="y", Category="places")]
    assert [text.category for text in texts_of(lines, ARMS)[0]] == ["animals", "places"]
    assert [text.category for text in texts_of(lines, ARMS, "Note")[0]] == ["x", "y"]
    with pytest.raises(UnknownName, match="Notes"):
        texts_of(lines, ARMS, "Notes")


def test_what_of_a_file_is_not_used_is_told() -> None:
    lines = [PromptLine("a", "blur", {"seed": 3, "steps": 9, "guidance": 2.0}), line("a b", 2)]
    texts, notices = texts_of(lines, ARMS)
    assert texts[0].fields == {"steps": 9, "guidance": 2.0, "negative": "blur"}
    assert any("'seed'" in notice for notice in notices)
    assert any("steps" in notice and "overruled" in notice for notice in notices)


def test_a_prompt_counts_once() -> None:
    texts, notices = texts_of([line("a"), line("b", 2), line("a", 3)], ARMS)
    assert [text.words for text in texts] == ["a", "b"]
    assert "1 prompt" in notices[0]
    with pytest.raises(InvalidRequest, match="line 3"):
        texts_of([line("a"), line("b", 2), PromptLine("a", "blur", line=3)], ARMS)
