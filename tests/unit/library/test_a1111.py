"""Infotext: written as the web UI reads it, read tolerantly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from limner.library import a1111
from limner.library.a1111 import infotext, model_hash, parse
from limner.types import ModelRef, Recipe, Seed
from tests.unit.library.making import SAMPLERS, record


def test_an_ordinary_picture() -> None:
    text = infotext(record("a fox", "blurry"), SAMPLERS)
    assert text == (
        "a fox\nNegative prompt: blurry\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 48x32, "
        "Model hash: ababababab, Model: pocket, Version: limner 0.1.0"
    )
    assert a1111.is_infotext(text)


def test_variation_schedule_and_quoted_values() -> None:
    base = record("a fox", model="a, b: c")
    varied = base.model_copy(
        update={
            "seed": Seed(seed=1, variation_seed=9),
            "recipe": Recipe(**(base.recipe.model_dump() | {"variation": 0.25})),
            "request": base.request.but(schedule="karras"),
        }
    )
    fields = parse(infotext(varied))
    assert fields["variation_seed"] == 9
    assert fields["variation"] == 0.25
    assert fields["schedule"] == "Karras"
    assert fields["model"] == "a, b: c"


def test_model_hash_prefers_the_denoiser() -> None:
    def ref(**files: str) -> ModelRef:
        return ModelRef(
            name="m", family="sd", files={name.replace("_", "/"): f"sha256:{h * 64}" for name, h in files.items()}
        )

    assert model_hash(ref(vae_w="1", unet_w="2")) == "2" * 10
    assert model_hash(ref(vae_w="1", transformer_w="3")) == "3" * 10
    assert model_hash(ref(whole="4")) == "4" * 10
    assert len(model_hash(ref(a="1", b="2"))) == 10


def test_negative_prompt_over_several_lines() -> None:
    fields = parse(
        "one\ntwo\nNegative prompt: three\nfour\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x768"
    )
    assert fields == {
        "prompt": "one\ntwo",
        "negative": "three\nfour",
        "steps": 20,
        "solver": "Euler a",
        "guidance": 7,
        "seed": 5,
        "width": 512,
        "height": 768,
    }


def test_only_a_negative_prompt() -> None:
    fields = parse("Negative prompt: blur\nSteps: 1, Seed: 2, Size: 8x8")
    assert "prompt" not in fields
    assert fields["negative"] == "blur"


def test_a_last_line_with_two_pairs_is_prompt() -> None:
    assert parse("a clock: ten, a hand: small") == {"prompt": "a clock: ten, a hand: small"}
    assert parse("") == {}


def test_quoted_values_keep_commas_and_unknown_settings_keep_their_name() -> None:
    fields = parse('x\nSteps: 3, Seed: 7, Lora hashes: "a: 12, b: 34", Hires upscale: 2, Model: m')
    assert fields["Lora hashes"] == "a: 12, b: 34"
    assert fields["Hires upscale"] == "2"
    assert fields["model"] == "m"


def test_floats_where_other_programs_write_them() -> None:
    fields = parse("x\nSteps: 20.0, CFG scale: 7.000000, Seed: 42, Guidance: 3.5")
    assert (fields["steps"], fields["guidance"], fields["seed"]) == (20, 7, 42)


def test_numbers_that_are_none_stay_text() -> None:
    fields = parse("x\nSteps: many, CFG scale: inf, Seed: nan, Size: big")
    assert fields["steps"] == "many"
    assert fields["guidance"] == "inf"
    assert fields["seed"] == "nan"


@given(st.text(max_size=400))
def test_parse_never_raises(text: str) -> None:
    parse(text)


_LINES = st.lists(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs", "Zl", "Zp", "Zs", "Cc"]),
        min_size=1,
    ),
    min_size=1,
    max_size=4,
).map("\n".join)


@given(_LINES, _LINES)
def test_words_survive_where_the_format_can_say_them(prompt: str, negative: str) -> None:
    fields = parse(infotext(record(prompt, negative)))
    assert (fields["prompt"], fields["negative"], fields["seed"]) == (prompt, negative, 42)
