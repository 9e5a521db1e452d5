"""Infotext: written as the web UI reads it, read tolerantly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from limner.library import a1111
from limner.library.a1111 import infotext, model_hash, parse
from limner.sampling import compat
from limner.types import Adapter, ModelRef, Recipe, Request, Seed
from tests.unit.library.making import SAMPLERS, record


def test_an_ordinary_picture() -> None:
    text = infotext(record("a fox", "blurry"), SAMPLERS)
    assert text == (
        "a fox\nNegative prompt: blurry\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 48x32, "
        "Model hash: ababababab, Model: pocket, RNG: CPU, Version: limner 0.1.0"
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
    assert len({model_hash(ref(unet_w="2", **worn)) for worn in ({}, {"lora_w": "6"}, {"lora_w": "7"})}) == 3
    folder = {"unet/config.json": f"sha256:{'5' * 64}", "unet/model.safetensors": f"sha256:{'6' * 64}"}
    assert model_hash(ModelRef(name="m", family="sd", files=folder)) == "6" * 10, "a config is the same for many models"
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
    fields = parse('x\nSteps: 3, Seed: 7, Lora hashes: "a: 12, b: 34", Hires prompt: 2, Model: m')
    assert fields["Lora hashes"] == "a: 12, b: 34"
    assert fields["Hires prompt"] == "2"
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


# What the text has a place for. A strength and a second pass share one; 1 is what is meant where no clip skip is said.
_TOLD = st.fixed_dictionaries(
    {},
    optional={
        "clip_skip": st.integers(2, 12),
        "noise_delta": st.integers(1, 10**6),
        "noise_source": st.sampled_from(["cpu", "philox"]),
        "compat": st.just("a1111"),
        "mask_blur": st.integers(0, 2560).map(lambda tenths: tenths / 10),
        "mask_invert": st.just(True),
        "inpaint_fill": st.sampled_from(["original", "noise"]),
        "inpaint_padding": st.integers(0, 1024),
        "upscale": st.sampled_from(["lanczos", "4x-UltraSharp", "a, b: c"]),
        "schedule": st.sampled_from(["karras", "exponential", "sgm-uniform", "simple", "align-your-steps"]),
    },
)
_SHARE = st.integers(0, 100).map(lambda percent: percent / 100)
_STRENGTH = st.one_of(
    st.fixed_dictionaries({}),
    st.fixed_dictionaries({"strength": _SHARE}),
    st.fixed_dictionaries(
        {
            "hires": st.integers(11, 80).map(lambda tenths: tenths / 10),
            "hires_strength": _SHARE,
            "hires_steps": st.integers(1, 1000),
            "hires_upscaler": st.sampled_from(["latent", "latent-bicubic", "lanczos", "4x-UltraSharp", "R-ESRGAN 4x+"]),
        }
    ),
)


@given(_TOLD, _STRENGTH)
def test_every_field_written_is_read_again(told: dict[str, object], strength: dict[str, object]) -> None:
    base = record("a fox")
    request = Request.model_construct(**(base.request.model_dump() | told | strength))  # a mask's fields without a mask
    fields = parse(infotext(base.model_copy(update={"request": request}), SAMPLERS))
    fields = _read_back(fields)
    fields["schedule"] = compat.schedule_of(str(fields.get("schedule", ""))) or "model"
    for name, value in (told | strength).items():
        assert fields[name] == value, name
    others = {"clip_skip", "noise_delta", "strength", "hires", "hires_steps", "mask_blur", "mask_invert", "upscale"}
    assert not (others - (told | strength).keys()) & fields.keys()


def _read_back(fields: dict[str, object]) -> dict[str, object]:
    return fields | ({"hires_strength": fields.pop("strength")} if "hires" in fields and "strength" in fields else {})


def test_adapters_are_named_with_their_hashes() -> None:
    adapters = (
        Adapter(kind="lora", name="detail", hash="sha256:" + "ab" * 32, scale=0.8),
        Adapter(kind="lora", name="more", hash="sha256:" + "cd" * 32, text_scale=0.5),
        Adapter(kind="embedding", name="bad.safetensors", word="bad", hash="sha256:" + "ef" * 32),
        Adapter(kind="vae", name="mse", hash="sha256:" + "01" * 32),
    )
    text = infotext(record("a <lora:more:.5:1> fox").model_copy(update={"adapters": adapters}))
    fields = parse(text)
    assert fields["prompt"] == "a fox <lora:detail:0.8> <lora:more:0.5:1>"
    assert a1111.hashes(str(fields["Lora hashes"])) == {"detail": "ab" * 6, "more": "cd" * 6}
    assert a1111.hashes(str(fields["TI hashes"])) == {"bad": "ef" * 6}
    assert (fields["vae"], fields["VAE hash"]) == ("mse", "01" * 5)


def test_uniform_is_said_where_the_web_ui_takes_karras_for_granted() -> None:
    base = record("a fox")
    for solver, said in (("dpmpp-2m", "Uniform"), ("euler", None), ("dpmpp-2m-sde", "Uniform")):
        recipe = Recipe(**(base.recipe.model_dump() | {"solver": solver}))
        request = base.request.but(schedule="model")
        fields = parse(infotext(base.model_copy(update={"recipe": recipe, "request": request})))
        assert fields.get("schedule") == said


def test_a_picture_of_the_web_ui() -> None:
    fields = parse(
        "1girl, <lora:style:0.7>\nNegative prompt: bad\nSteps: 28, Sampler: DPM++ 2M, Schedule type: SGM Uniform, "
        "CFG scale: 7, Seed: 1, Size: 512x768, Model hash: 31e35c80fc, Model: sd_xl_base, VAE hash: 235745af8d, "
        "VAE: sdxl_vae.safetensors, Denoising strength: 0.45, Clip skip: 2, ENSD: 31337, RNG: NV, Hires upscale: 1.5, "
        'Hires steps: 10, Hires upscaler: Latent (bicubic), Lora hashes: "style: 0a1b2c3d4e5f", Version: v1.10.1'
    )
    assert {name: fields[name] for name in ("strength", "clip_skip", "noise_delta", "noise_source")} == {
        "strength": 0.45,
        "clip_skip": 2,
        "noise_delta": 31337,
        "noise_source": "philox",
    }
    assert (fields["hires"], fields["hires_steps"], fields["hires_upscaler"]) == (1.5, 10, "latent-bicubic")
    assert (fields["vae"], fields["schedule"]) == ("sdxl_vae.safetensors", "SGM Uniform")
