"""Where values merge, what a Plan's identity covers, and what is said before anything is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, UnknownName, UnsupportedField
from limner.session.planning import load_family
from limner.types import Plan
from tests.builtin import FACTOR, SIDE, WIDEST


def session(home: Path, config: str = "", **env: str) -> Session:
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(config)
    return Session(settings=Settings.load(home, env), keep=False, offline=True)


def plan(made: Session, **fields: object) -> Plan:
    (only,) = made.plan(Request.of(**{"prompt": "a red fox", "seed": 1, **fields}))
    return only


def test_the_card_gives_what_is_not_said(tmp_path: Path) -> None:
    made = plan(session(tmp_path))
    assert (made.request.width, made.request.height, made.model.name) == (SIDE, SIDE, "pocket")
    assert made.origins["steps"] == "card"


def test_the_order_of_strength(tmp_path: Path) -> None:
    """defaults < card < [models.NAME] < environment < request."""
    config = "[defaults]\nsteps = 3\nspeed = 'fast'\n[models.pocket]\nguidance = 2.5\nsolver = 'euler'\n"
    made = plan(session(tmp_path, config, LIMNER_SOLVER="heun"), n=2)
    assert made.request.steps == 20, "the card is stronger than [defaults]"
    assert made.request.speed == "fast"
    assert made.request.guidance == 2.5
    assert made.request.solver == "heun"
    assert "config.toml" in made.origins["guidance"]
    assert made.origins["solver"] == "environment LIMNER_SOLVER"
    assert plan(session(tmp_path, config, LIMNER_SOLVER="heun"), solver="lcm").request.solver == "lcm"


def test_a_seed_is_drawn_where_none_is_given(tmp_path: Path) -> None:
    made = session(tmp_path)
    one, two = (plan(made, seed=None).seeds[0].seed for _ in range(2))
    assert one != two
    assert plan(made, seed=5, n=3).seeds[2].seed == 7


def test_identity_covers_what_decides_pixels_and_nothing_else(tmp_path: Path) -> None:
    made = session(tmp_path)
    base = plan(made)
    same = [plan(made, seed=99), plan(made, n=4), plan(made, prompt="a  red fox"), plan(made, negative="")]
    other = [
        plan(made, prompt="a blue fox"),
        plan(made, steps=21),
        plan(made, guidance=3),
        plan(made, solver="euler"),
        plan(made, width=64, height=64),
        plan(made, negative="snow"),
        plan(made, dtype="float32"),
        plan(made, batching="shared"),
    ]
    assert {p.identity for p in same} == {base.identity}
    assert len({p.identity for p in [base, *other]}) == len(other) + 1
    assert plan(made, seed=99).image_key(0) != base.image_key(0)


def test_variants_become_plans_and_the_words_are_recorded(tmp_path: Path) -> None:
    made = session(tmp_path).plan(Request(prompt="a {red|blue|green} fox", seed=0, n=12))
    assert len({p.prompt for p in made}) == 3
    assert [p.first for p in made] == [sum(len(q.seeds) for q in made[:i]) for i in range(len(made))]
    assert [s.seed for p in made for s in p.seeds] == list(range(12))
    (again,) = session(tmp_path).plan(Request(prompt="a {red|blue|green} fox", seed=4))
    assert again.prompt == next(p for p in made if any(s.seed == 4 for s in p.seeds)).prompt
    (literal,) = session(tmp_path).plan(Request(prompt="a {red|blue} fox", seed=0), literal=True)
    assert literal.prompt == "a {red|blue} fox"


def test_what_is_morphed_to_is_treated_as_the_prompt_is(tmp_path: Path) -> None:
    made = plan(session(tmp_path), morph_to="a {xylophone|xylophone}", morph=0.5)
    assert made.request.morph_to == "a xylophone"
    assert [n.code for n in made.notices] == ["unknown-subject"]


def test_styles_reach_the_words(tmp_path: Path) -> None:
    (tmp_path / "styles.toml").write_text("[beachy]\nprompt = '{prompt} on the beach'\nnegative = 'snow'\n")
    made = plan(session(tmp_path), styles=("beachy",))
    assert (made.prompt, made.negative) == ("a red fox on the beach", "snow")
    with pytest.raises(UnknownName, match="beechy") as caught:
        plan(session(tmp_path), styles=("beechy",))
    assert caught.value.nearest == ("beachy",)


def test_long_prompts_lose_nothing(tmp_path: Path) -> None:
    words = "a red fox and a blue cat on the beach " * 8
    stages = plan(session(tmp_path), prompt=words).recipe.prompts
    kept = [i for ids in stages["positive"][0].ids for i in ids if i > 3]
    assert len(kept) == len(words.split())
    assert len(stages["negative"][0].ids) == len(stages["positive"][0].ids)


def test_scheduling_is_planned_by_step(tmp_path: Path) -> None:
    stages = plan(session(tmp_path), prompt="a [cat:dog:0.25]", steps=20).recipe.prompts["positive"]
    assert [s.until for s in stages] == [5, 20]


def test_an_unknown_subject_is_said_before_drawing(tmp_path: Path) -> None:
    codes = [n.code for n in plan(session(tmp_path), prompt="a xylophone in the snow").notices]
    assert codes == ["unknown-subject"]
    assert not plan(session(tmp_path), prompt="a fox in the snow").notices


def test_a_prompt_without_a_known_word_is_said_before_drawing(tmp_path: Path) -> None:
    codes = {text: [n.code for n in plan(session(tmp_path), prompt=text).notices] for text in ("🦊", "🦊 in the ❄️")}
    assert codes == {"🦊": ["no-known-word"], "🦊 in the ❄️": ["unknown-words"]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"solver": "eulr"}, "no solver called 'eulr'"),
        ({"model": "pockett"}, "no model called 'pockett'"),
        ({"width": 100, "height": 128}, f"multiples of {FACTOR}"),
        ({"steps": 0}, "steps"),
        ({"guidance": float("nan")}, "guidance"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": "a\x00b"}, "control character"),
        ({"prompt": "x" * 100_000}, "100,000 characters"),
        ({"n": 0}, "n must be 1 to 1000"),
        ({"seed": -1}, "seed"),
        ({"colour": "red"}, "colour"),
        ({"device": "cuda:banana"}, "device"),
    ],
)
def test_bad_requests_are_refused_in_words(tmp_path: Path, fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(session(tmp_path), **fields)
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_field_the_family_cannot_honour_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = type(load_family("sd"))
    monkeypatch.setattr(family, "honours", family.honours - {"negative"})
    with pytest.raises(UnsupportedField, match="'negative'") as caught:
        plan(session(tmp_path), negative="snow")
    assert caught.value.field == "negative"
    plan(session(tmp_path), prompt="unset is no trouble")


def test_negative_without_guidance_is_said(tmp_path: Path) -> None:
    made = plan(session(tmp_path), negative="snow", guidance=1)
    assert [n.code for n in made.notices] == ["negative-unused"]
    assert "negative" not in made.recipe.prompts


def test_what_a_family_cannot_honour_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedField, match="'steps'"):
        plan(session(tmp_path), model="dalle-mini", steps=4)


def test_the_same_pixels_have_the_same_identity(tmp_path: Path) -> None:
    made = session(tmp_path)
    base = plan(made).identity
    assert plan(made, clip_skip=1).identity == base != plan(made, clip_skip=2).identity
    longer = "a blue cat on the beach " * 20
    assert plan(made, morph_to=longer, morph=0.0).identity == base != plan(made, morph_to=longer, morph=0.1).identity
    assert plan(made, tiled=True).identity == base
    large = {"width": 128 * FACTOR, "height": 128 * FACTOR}
    assert plan(made, **large, tiled=True).identity != plan(made, **large).identity


@pytest.mark.parametrize("compat", [None, "a1111"])
def test_noise_added_for_a_solver_that_draws_none_is_said(tmp_path: Path, compat: str | None) -> None:
    made = session(tmp_path)
    idle = plan(made, solver="euler", noise_delta=31337, compat=compat)
    assert "noise_delta has no effect: Euler draws" in next(
        n.message for n in idle.notices if n.code == "noise-delta-unused"
    )
    assert idle.identity == plan(made, solver="euler", compat=compat).identity
    used = plan(made, solver="euler-a", noise_delta=31337, compat=compat)
    assert "noise-delta-unused" not in [n.code for n in used.notices]
    assert used.identity != plan(made, solver="euler-a", compat=compat).identity


def test_a_field_whose_flag_has_another_name_is_refused_by_both(tmp_path: Path) -> None:
    for fields, said in (
        ({"width": 256, "height": 256}, r"'height' \(--size\)"),
        ({"loras": ("a",)}, r"'loras' \(--lora\)"),
    ):
        with pytest.raises(UnsupportedField, match=said):
            plan(session(tmp_path), model="dalle-mini", **fields)


def test_lora_add_up_in_any_order(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "loras"
    folder.mkdir(parents=True)
    layer = "lora_unet_mid_block_resnets_0_conv1"
    for seed, name in enumerate(("one", "two")):
        made = torch.Generator().manual_seed(seed)
        down, up = torch.randn(4, WIDEST, 3, 3, generator=made), torch.randn(WIDEST, 4, 1, 1, generator=made) / 10
        save_file({f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up}, folder / f"{name}.safetensors")
    made = session(tmp_path)
    base = plan(made, loras=("one:0.5", "two:0.75"))
    same = (
        plan(made, loras=("two:0.75", "one:0.5")),
        plan(made, loras=("one:0.25", "two:0.75", "one:0.25")),
        plan(made, prompt="a red fox <lora:two:0.75>", loras=("one:0.5",)),
    )
    assert {each.identity for each in same} == {base.identity}
    assert {each.adapters for each in same} == {base.adapters}, "what is run is the same, to the last bit"
    assert "add up to 0.5" in next(n.message for n in same[1].notices if n.code == "lora-added-up")
    assert plan(made, loras=("one:0.75", "two:0.5")).identity != base.identity
    assert plan(made, loras=("one:0.25:0.5", "two:0.75")).identity != base.identity
