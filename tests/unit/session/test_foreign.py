"""Pictures of other programs: what of their settings is honoured, and our own without a Record come out identical."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.numpy import save_file

from limner import Request, Session
from limner.config import Settings
from limner.errors import InvalidRequest, ModelNotFound, PictureNotFound
from limner.models.hashes import Hashes
from limner.models.links.names import tensors_hash
from limner.session.foreign import Restored


@pytest.fixture
def session(own_home: Path) -> Iterator[Session]:
    # Without a Record nobody can say what a watermark changed: these pictures are saved as they were drawn.
    with Session(settings=Settings.load(own_home, {}), keep=False, offline=True, marks="metadata") as made:
        yield made


def picture(path: Path, **texts: str) -> Path:
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    Image.fromarray(np.full((64, 64, 3), 90, "u1")).save(path, pnginfo=chunks)
    return path


def webui(tmp_path: Path, settings: str, prompt: str = "a red fox") -> Path:
    common = "Steps: 3, CFG scale: 5, Seed: 42, Size: 64x64, Model: pocket"
    return picture(tmp_path / "foreign.png", parameters=f"{prompt}\n{common}, {settings}")


def restored(session: Session, path: Path, model: str | None = None) -> Restored:
    found = session.restored(path, model)
    assert found is not None
    return found


def fates(found: Restored) -> dict[str, str]:
    return {told.name: told.fate for told in found.told}


# Everything our infotext can say of a picture from words.
WAYS: list[dict[str, object]] = [
    {},
    {"compat": "a1111", "solver": "euler-a", "noise_delta": 31337},
    {"compat": "a1111", "solver": "dpmpp-2m", "schedule": "exponential", "clip_skip": 2},
    {"compat": "a1111", "solver": "dpmpp-2m", "schedule": "model", "noise_source": "cpu"},
    {"compat": "a1111", "solver": "ddim"},
    {"solver": "dpmpp-2m-karras", "noise_source": "philox"},
    {"solver": "heun", "schedule": "karras", "negative": "snow"},
    {"solver": "euler", "variation_seed": 9, "variation": 0.25, "compat": "a1111"},
    {"hires": 1.5, "hires_upscaler": "latent", "hires_strength": 0.5, "hires_steps": 3, "compat": "a1111"},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))
def test_our_own_picture_without_its_record_is_identical(
    session: Session, tmp_path: Path, way: dict[str, object]
) -> None:
    request = Request.of(prompt="a (red:1.3) [fox:cat:0.5]", seed=7, steps=4, width=64, height=64, **way)
    drawn = session.generate(request).result()[0]
    drawn.save(tmp_path / "whole.png")
    with Image.open(tmp_path / "whole.png") as opened:
        text, pixels = opened.info["parameters"], np.asarray(opened)
    bare = PngInfo()
    bare.add_text("parameters", text)
    Image.fromarray(pixels).save(tmp_path / "bare.png", pnginfo=bare)
    found = session.replay(tmp_path / "bare.png")
    assert found.verdict == "identical", text
    assert {told.name for told in found.told if told.fate != "honoured"} <= {"model"}


def test_what_is_here_is_honoured_and_what_is_not_is_said(session: Session, tmp_path: Path) -> None:
    found = restored(
        session,
        webui(
            tmp_path,
            "Sampler: DPM++ 2M, Schedule type: SGM Uniform, Clip skip: 2, ENSD: 31337, RNG: NV, "
            "VAE: kl-f8.pt, ADetailer model: face.pt, ControlNet 0: canny, Denoising strength: 0.4, "
            'Mask blur: 4, Lora hashes: "none: 0a1b2c3d4e5f", Version: v1.10.1',
            "a fox <lora:none:0.8>, <hypernet:old:1>",
        ),
    )
    assert found.request.model_dump(exclude_unset=True, exclude={"loras"}) == {
        "prompt": "a fox ,",
        "model": "pocket",
        "steps": 3,
        "guidance": 5,
        "seed": 42,
        "width": 64,
        "height": 64,
        "solver": "dpmpp-2m",
        "schedule": "sgm-uniform",
        "clip_skip": 2,
        "noise_delta": 31337,
        "noise_source": "philox",
        "compat": "a1111",
    }
    told = fates(found)
    missing = {"VAE", "ADetailer model", "ControlNet 0", "Denoising strength", "mask blur", "LoRA"}
    assert {name for name, fate in told.items() if fate == "not honoured"} == missing
    assert told["model"] == "approximated"
    assert all(each.why for each in found.told if each.fate != "honoured")


@pytest.mark.parametrize(
    ("settings", "solver", "schedule"),
    [
        ("Sampler: DPM++ 2M, Version: v1.6.0", "dpmpp-2m", "model"),
        ("Sampler: DPM++ 2M Karras, Version: v1.6.0", "dpmpp-2m", "karras"),
        ("Sampler: DPM++ 2M SDE Exponential, Version: v1.6.0", "dpmpp-2m-sde", "exponential"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic, Version: v1.10.1", "dpmpp-2m", None),
        ("Sampler: DPM++ 2M, Schedule type: Beta, Version: v1.10.1", "dpmpp-2m", None),
        ("Sampler: Euler a", "euler-a", "model"),
        ("Sampler: DDIM, Version: v1.6.0", "ddim", None),
        ("Sampler: LMS, Version: v1.6.0", None, "model"),
    ],
)
def test_samplers_of_all_versions(
    session: Session, tmp_path: Path, settings: str, solver: str | None, schedule: str | None
) -> None:
    request = restored(session, webui(tmp_path, settings)).request
    assert (request.solver, request.schedule) == (solver, schedule)


def test_a_model_by_name_and_hash(session: Session, tmp_path: Path) -> None:
    path = session.settings.data / "models" / "checkpoints" / "dream.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"a": np.zeros(4, "f4")}, path)
    digest = Hashes(session.settings.cache_root).of([path])[path].removeprefix("sha256:")[:10]
    right = picture(
        tmp_path / "a.png", parameters=f"x\nSteps: 3, Seed: 1, Size: 64x64, Model hash: {digest}, Model: dream"
    )
    wrong = picture(
        tmp_path / "b.png", parameters="x\nSteps: 3, Seed: 1, Size: 64x64, Model hash: 0123456789, Model: dream"
    )
    other = picture(
        tmp_path / "c.png", parameters="x\nSteps: 3, Seed: 1, Size: 64x64, Model hash: 0123456789, Model: nope"
    )
    assert restored(session, right).request.model == f"dream [{digest}]"
    assert fates(restored(session, right))["model"] == "honoured"
    assert restored(session, wrong).request.model == "dream"
    assert fates(restored(session, wrong))["model"] == "approximated"
    with pytest.raises(ModelNotFound, match=r"nope \[0123456789\]"):
        session.restored(other)
    assert restored(session, other, "pocket").request.model == "pocket"


def test_a_lora_by_the_hash_of_its_tensors(session: Session, tmp_path: Path) -> None:
    path = session.settings.data / "models" / "loras" / "style.safetensors"
    path.parent.mkdir(parents=True)
    save_file({"lora_unet_x.lora_up.weight": np.zeros((4, 2), "f4")}, path, {"made": "up"})
    text = f'Sampler: Euler, Lora hashes: "style: {tensors_hash(path)[:12]}"'
    found = restored(session, webui(tmp_path, text, "a fox <lora:style:0.7>"))
    assert found.request.loras == (f"style [{tensors_hash(path)[:12]}]:0.7",)
    assert found.request.prompt == "a fox"
    assert fates(found)["LoRA"] == "honoured"
    unhashed = restored(session, webui(tmp_path, "Sampler: Euler", "a fox <lora:style:0.5:0.7>"))
    assert unhashed.request.loras == ("style:0.5:0.7",)
    assert fates(unhashed)["LoRA"] == "approximated"


def test_a_second_pass(session: Session, tmp_path: Path) -> None:
    text = "Sampler: Euler, Denoising strength: 0.5, Hires upscale: 2, Hires steps: 4, Hires upscaler: "
    for name, taken, fate in (
        ("Latent", "latent", "honoured"),
        ("Latent (bicubic antialiased)", "latent", "approximated"),
        ("4x-UltraSharp", "lanczos", "not honoured"),
    ):
        found = restored(session, webui(tmp_path, text + name))
        request = found.request
        assert (request.hires, request.hires_strength, request.hires_steps) == (2, 0.5, 4)
        assert (request.hires_upscaler, fates(found)["Hires upscaler"]) == (taken, fate)
    resized = restored(session, webui(tmp_path, "Sampler: Euler, Denoising strength: 0.5, Hires resize: 96x96"))
    assert resized.request.hires == 1.5


def test_comfyui_and_invokeai(session: Session, tmp_path: Path) -> None:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "pocket.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["1", 1]}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "seed": 5,
                "steps": 3,
                "cfg": 4.5,
                "sampler_name": "dpmpp_2m",
                "scheduler": "karras",
                "denoise": 1,
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["2", 0],
                "latent_image": ["3", 0],
            },
        },
        "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}},
    }
    comfy = restored(session, picture(tmp_path / "comfy.png", prompt=json.dumps(graph)))
    assert (comfy.request.solver, comfy.request.schedule, comfy.request.noise_source) == ("dpmpp-2m", "karras", "cpu")
    assert comfy.request.compat == "a1111"
    assert fates(comfy)["emphasis"] == "approximated"
    invoke = {"positive_prompt": "a fox", "seed": 3, "steps": 3, "scheduler": "euler_a", "model": {"name": "pocket"}}
    found = restored(session, picture(tmp_path / "i.png", invokeai_metadata=json.dumps(invoke)))
    assert (found.request.solver, found.request.compat) == ("euler-a", None)


def test_what_says_nothing_or_nonsense_is_refused(session: Session, tmp_path: Path) -> None:
    with pytest.raises(PictureNotFound, match="nothing of how it was drawn"):
        session.replay(picture(tmp_path / "plain.png"))
    with pytest.raises(PictureNotFound):
        session.replay(picture(tmp_path / "words.png", comment="hello"))
    with pytest.raises(InvalidRequest, match="the file's settings cannot be drawn"):
        session.restored(webui(tmp_path, "Sampler: Euler, Clip skip: 99"))


def test_a_picture_of_ours_is_not_restored(session: Session, tmp_path: Path) -> None:
    session.draw("a fox", steps=2, width=32, height=32).save(tmp_path / "own.png")
    assert session.restored(tmp_path / "own.png") is None
    assert session.replay(tmp_path / "own.png").verdict == "identical"
