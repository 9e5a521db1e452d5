"""What a foreign pipeline will do, from config files alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from limner import Session
from limner.config import Settings
from limner.errors import InvalidRequest, MissingExtra, ModelError, UnsupportedField
from limner.models.catalog import Card
from limner.models.family import Files, Planned
from limner.models.machine import probe
from limner.models.pipeline import AnyPipeline
from limner.models.pipelines import plan as pipeline_plan
from limner.types import Request

KL8 = {"block_out_channels": [128, 256, 512, 512]}
PUBLISHED: Mapping[str, tuple[str, Mapping[str, Mapping[str, object]]]] = {
    "sigma": ("PixArtSigmaPipeline", {"transformer": {"sample_size": 128, "patch_size": 2}, "vae": KL8}),
    "sana": (
        "SanaPipeline",
        {
            "transformer": {"sample_size": 32, "patch_size": 1},
            "vae": {"encoder_block_out_channels": [128, 256, 512, 512, 1024, 1024]},
        },
    ),
    "sd3": ("StableDiffusion3Pipeline", {"transformer": {"sample_size": 128, "patch_size": 2}, "vae": KL8}),
    "schnell": ("FluxPipeline", {"transformer": {"patch_size": 1, "guidance_embeds": False}, "vae": KL8}),
    "dev": ("FluxPipeline", {"transformer": {"patch_size": 1, "guidance_embeds": True}, "vae": KL8}),
    "z": ("ZImagePipeline", {"transformer": {"in_channels": 16}, "vae": KL8}),
    "qwen": ("QwenImagePipeline", {"transformer": {"patch_size": 2}, "vae": {"temperal_downsample": [0, 1, 1]}}),
    "ovis": ("OvisImagePipeline", {"transformer": {"patch_size": 1}, "vae": KL8}),
}  # fmt: skip


def written(folder: Path, name: str, **index: object) -> Files:
    pipeline, configs = PUBLISHED[name]
    folder.mkdir(exist_ok=True)
    said = {"_class_name": pipeline, **{part: ["diffusers", "Some"] for part in configs}, **index}
    paths = {"model_index.json": said, **{f"{part}/config.json": config for part, config in configs.items()}}
    for place, content in paths.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(json.dumps(content), "utf-8")
    return Files(folder, {place: folder / place for place in paths})


def planned(folder: Path, name: str, *, card: Mapping[str, object] = {}, **fields: object) -> Planned:
    files = written(folder, name)
    shown = Card(
        name=name, title=name if not card else f"{name} as published", family="pipeline", folder=str(folder), **card
    )
    return AnyPipeline().plan(Request.of(prompt="a red fox", **fields), shown, files, probe())


@pytest.mark.parametrize(
    ("name", "side", "steps", "guidance"),
    [
        ("sigma", 1024, 20, 4.5),
        ("sana", 1024, 20, 4.5),
        ("sd3", 1024, 28, 7.0),
        ("schnell", 1024, 28, None),
        ("dev", 1024, 28, 3.5),
        ("z", 1024, 50, 5.0),
        ("qwen", 1024, 50, 1.0),
    ],
)
def test_what_is_left_open_is_the_pipelines_default(
    tmp_path: Path, name: str, side: int, steps: int, guidance: float | None
) -> None:
    made = planned(tmp_path, name)
    assert (made.request.width, made.request.height) == (side, side)
    assert (made.recipe.width, made.recipe.height) == (side, side)
    assert made.request.steps == made.recipe.options["steps"] == steps
    assert made.request.guidance == made.recipe.options.get("guidance") == guidance
    assert made.recipe.options["class"] == PUBLISHED[name][0]


def test_a_card_knows_better_than_the_class_and_the_request_than_the_card(tmp_path: Path) -> None:
    card = {"steps": 4, "guidance": 0.0, "width": 512, "height": 768}
    made = planned(tmp_path, "z", card=card)
    assert (made.request.steps, made.request.guidance, made.request.width, made.request.height) == (4, 0.0, 512, 768)
    read = Card.for_unknown("z", family="pipeline", folder=tmp_path, unet={"sample_size": 64}, vae=KL8)
    assert read.width == 512
    unread = AnyPipeline().plan(Request.of(prompt="a fox"), read, written(tmp_path, "z"), probe())
    assert unread.request.width == 1024, "a card read from the configs knows less than the class"
    made = planned(tmp_path, "z", card=card, steps=9, guidance=2, width=64, height=64)
    assert (made.request.steps, made.request.guidance, made.request.width, made.request.height) == (9, 2.0, 64, 64)


@pytest.mark.parametrize(
    ("name", "multiple", "near"),
    [("sigma", 16, "512x1008"), ("sana", 32, "512x992"), ("sd3", 16, "512x1008"), ("schnell", 16, "512x1008")],
)
def test_a_size_it_cannot_make_is_refused_with_the_nearest(tmp_path: Path, name: str, multiple: int, near: str) -> None:
    with pytest.raises(InvalidRequest, match=f"multiples of {multiple}") as caught:
        planned(tmp_path, name, width=513, height=1001)
    assert near in caught.value.hint
    width, height = map(int, near.split("x"))
    assert planned(tmp_path, name, width=width, height=height).recipe.height == height


def test_where_no_config_says_the_size_it_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="do not say what it was trained on"):
        planned(tmp_path, "ovis")
    made = planned(tmp_path, "ovis", width=1328, height=1328)
    assert made.recipe.options.get("steps") is None, "its own default, which is not known without diffusers"
    assert "untried-pipeline" in [notice.code for notice in made.notices]


def test_a_negative_prompt_is_kept_where_the_class_takes_one(tmp_path: Path) -> None:
    made = planned(tmp_path, "sd3", negative="rain")
    assert made.recipe.options["negative"] == "rain"
    assert "negative" not in planned(tmp_path, "sd3").recipe.options
    assert "negative" not in planned(tmp_path, "sd3", negative="").recipe.options


def test_flux_refuses_a_negative_prompt_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedField, match="schnell cannot honour 'negative'") as caught:
        planned(tmp_path, "schnell", negative="rain")
    assert caught.value.field == "negative"


def test_a_catalogs_flux_refuses_it_before_anything_is_fetched(tmp_path: Path) -> None:
    with Session(settings=Settings.load(tmp_path, {}), keep=False, offline=True) as session:
        with pytest.raises(UnsupportedField, match="FluxPipeline takes no negative prompt"):
            session.plan(Request.of(prompt="a fox", model="flux-schnell", negative="rain"))
        with pytest.raises(UnsupportedField, match="scheduler of its own") as caught:
            session.plan(Request.of(prompt="a fox", model="sana", solver="euler"))
    assert caught.value.field == "solver"


def test_what_a_style_adds_is_told_not_refused(tmp_path: Path) -> None:
    made = planned(tmp_path, "schnell", negative="rain", styles=("night",))
    assert "negative-unused" in [notice.code for notice in made.notices]
    assert "negative" not in made.recipe.options


@pytest.mark.parametrize(
    ("name", "guidance", "told"), [("sd3", 1, True), ("sd3", 2, False), ("z", 0, True), ("z", 1, False)]
)
def test_a_negative_prompt_without_guidance_is_told(tmp_path: Path, name: str, guidance: float, told: bool) -> None:
    made = planned(tmp_path, name, negative="rain", guidance=guidance)
    assert ("negative-unused" in [notice.code for notice in made.notices]) is told


def test_guidance_that_needs_a_negative_prompt(tmp_path: Path) -> None:
    made = planned(tmp_path, "qwen", guidance=3)
    assert (made.request.guidance, "guidance-unused" in [n.code for n in made.notices]) == (1.0, True)
    made = planned(tmp_path, "qwen", guidance=3, negative="rain")
    assert (made.request.guidance, "guidance-unused" in [n.code for n in made.notices]) == (3.0, False)
    assert planned(tmp_path, "qwen", negative="rain").request.guidance == 4.0


def test_a_checkpoint_distilled_without_guidance_says_so(tmp_path: Path) -> None:
    assert "guidance-unused" in [n.code for n in planned(tmp_path, "schnell", guidance=3.5).notices]
    assert "guidance-unused" not in [n.code for n in planned(tmp_path, "schnell", guidance=0).notices]
    assert "guidance-unused" not in [n.code for n in planned(tmp_path, "dev", guidance=3.5).notices]


@pytest.mark.parametrize(
    ("prompt", "told"),
    [("a (red:1.3) fox", True), ("a fox BREAK a castle", True), ("a [red:blue:0.5] fox", True), ("a red fox", False)],
)
def test_limners_notation_is_read_as_words_and_that_is_told(tmp_path: Path, prompt: str, told: bool) -> None:
    files = written(tmp_path, "sd3")
    card = Card(name="sd3", title="sd3", family="pipeline", folder=str(tmp_path))
    made = AnyPipeline().plan(Request.of(prompt=prompt), card, files, probe())
    assert ("syntax-as-words" in [notice.code for notice in made.notices]) is told
    assert made.recipe.options["prompt"] == prompt


def test_the_words_are_part_of_what_decides_the_pixels(tmp_path: Path) -> None:
    assert planned(tmp_path, "sd3").recipe != planned(tmp_path, "sd3", negative="rain").recipe


def test_that_it_blocks_others_is_said(tmp_path: Path) -> None:
    (notice,) = [n for n in planned(tmp_path, "sd3").notices if n.code == "foreign-pipeline"]
    assert "other pictures wait" in notice.message
    assert "StableDiffusion3Pipeline" in notice.message


def test_a_safety_checker_is_not_left_out_silently(tmp_path: Path) -> None:
    index = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    files = written(tmp_path, "sd3", **index)
    described = pipeline_plan.describe("sd3", files)
    assert "safety-checker-left-out" in [notice.code for notice in described.notices]
    parts = AnyPipeline().layout({"_class_name": "StableDiffusion3Pipeline", **index, "vae": ["diffusers", "A"]}).parts
    assert [part.name for part in parts] == ["vae"]


def test_a_class_that_makes_no_pictures_from_words_is_refused_before_its_files_are_asked_for() -> None:
    family = AnyPipeline()
    assert family.recognise({"_class_name": "WanPipeline"}) > 0, "recognised, so that it can be refused with the reason"
    with pytest.raises(ModelError, match="makes videos"):
        family.layout({"_class_name": "WanPipeline"})


def test_planning_loads_neither_torch_nor_diffusers(tmp_path: Path) -> None:
    written(tmp_path, "sd3")
    code = f"""
import sys
from pathlib import Path
from limner.models.pipeline import AnyPipeline
from limner.models.catalog import Card
from limner.models.family import Files
from limner.types import Request
root = Path({str(tmp_path)!r})
files = Files(root, {{p.relative_to(root).as_posix(): p for p in root.rglob("*.json")}})
card = Card(name="sd3", title="sd3", family="pipeline", folder=str(root))
AnyPipeline().plan(Request.of(prompt="a fox"), card, files, None)
print([name for name in ("torch", "diffusers", "transformers") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_libraries_planning_warns_and_drawing_says_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limner.models.pipelines.load import require

    monkeypatch.setattr(pipeline_plan, "find_spec", lambda name: None)
    (notice,) = [n for n in planned(tmp_path, "sd3").notices if n.code == "missing-extra"]
    assert "diffusers and transformers must be installed" in notice.message
    with pytest.raises(MissingExtra) as caught:
        require()
    assert "pip install" in caught.value.hint
    assert "[models]" in caught.value.hint
