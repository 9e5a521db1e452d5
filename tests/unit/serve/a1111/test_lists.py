"""What there is to choose from, options, what files say, and enlarging."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import torch
import webuiapi
from PIL import Image
from safetensors.torch import save_file

from limner.config import Settings
from limner.library.metadata import of_image
from limner.models.catalog import Catalog
from limner.models.hashes import Hashes
from limner.models.links.links import Links
from limner.sampling.catalog import A1111_NAMES
from limner.serve.a1111.asking import draft
from limner.serve.a1111.bodies import Txt2Img
from limner.serve.a1111.checkpoints import Checkpoint
from limner.serve.a1111.settings import Kept
from tests.builtin import SIDE
from tests.serving import Served, live


def test_samplers_and_schedulers(api: webuiapi.WebUIApi, http: httpx.Client) -> None:
    assert api.util_get_sampler_names() == sorted(A1111_NAMES.values())
    by_name = {each["name"]: each for each in api.get_samplers()}
    assert "k_euler_a" in by_name["Euler a"]["aliases"]
    for each in by_name.values():
        for name in (each["name"], *each["aliases"]):
            answer = http.post("/txt2img", json={"prompt": "a fox", "steps": 3, "sampler_name": name})
            assert answer.status_code == 200, name
    assert {"automatic", "uniform", "karras", "sgm_uniform", "align_your_steps"} <= set(api.util_get_scheduler_names())


def test_every_scheduler_that_is_listed_is_heeded(http: httpx.Client) -> None:
    for each in http.get("/schedulers").json():
        for name in (each["name"], each["label"], *(each["aliases"] or ())):
            body = {"prompt": "a fox", "steps": 4, "sampler_name": "Euler", "scheduler": name}
            info = json.loads(http.post("/txt2img", json=body).json()["info"])
            said = info["extra_generation_params"].get("Schedule type", "Automatic")
            assert said == each["label"] or each["label"] in ("Uniform", "Automatic"), name
            assert info["limner_notices"] == []


@pytest.mark.parametrize(
    ("sampler", "scheduler", "steps_are", "told"),
    [
        ("DPM++ 2M Karras", None, ("DPM++ 2M", "Karras"), ""),
        ("DPM++ 2M SDE Exponential", "Automatic", ("DPM++ 2M SDE", "Exponential"), ""),
        ("Euler SGM Uniform", "SGM Uniform", ("Euler", "SGM Uniform"), ""),
        ("DPM++ 2M Karras", "Exponential", ("DPM++ 2M", "Karras"), "the sampler's name says Karras"),
        ("DDIM", "Karras", ("DDIM", None), "DDIM places its own steps"),
        ("Euler", "Beta", ("Euler", None), "it is not here; spaced as Automatic does"),
    ],
)
def test_a_schedule_in_a_samplers_name(
    http: httpx.Client, sampler: str, scheduler: str | None, steps_are: tuple[str, str | None], told: str
) -> None:
    body = {"prompt": "a fox", "steps": 4, "sampler_name": sampler, "scheduler": scheduler}
    answer = http.post("/txt2img", json=body)
    assert answer.status_code == 200, answer.text
    info = json.loads(answer.json()["info"])
    assert (info["sampler_name"], info["extra_generation_params"].get("Schedule type")) == steps_are
    messages = [each["message"] for each in info["limner_notices"]]
    assert len(messages) == bool(told)
    assert told in "".join(messages)


def test_a_schedule_without_a_sampler(http: httpx.Client) -> None:
    answer = http.post("/txt2img", json={"prompt": "a fox", "steps": 3, "scheduler": "SGM Uniform"})
    assert json.loads(answer.json()["info"])["extra_generation_params"]["Schedule type"] == "SGM Uniform"


def test_lists_that_are_never_wrong(api: webuiapi.WebUIApi) -> None:
    assert api.get_scripts() == {"txt2img": [], "img2img": []}
    assert api.has_controlnet is False
    for found in (api.get_hypernetworks(), api.get_face_restorers(), api.get_realesrgan_models(), api.get_loras()):
        assert found == []
    assert api.custom_get("script-info", baseurl=True) == []
    assert api.get_sd_vae() == []
    assert api.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert [each["name"] for each in api.get_upscalers()] == ["None", "Lanczos"]
    assert [each["name"] for each in api.get_latent_upscale_modes()] == ["Latent", "Latent (bicubic)"]
    assert api.refresh_checkpoints() is None
    assert api.get_cmd_flags()["api"] is True
    memory = api.get_memory()
    assert memory["ram"]["free"] + memory["ram"]["used"] == memory["ram"]["total"] > 0
    assert {"name", "prompt", "negative_prompt"} <= api.get_prompt_styles()[0].keys()
    for path in ("loras", "vae", "embeddings"):
        assert api.session.post(f"{api.baseurl}/refresh-{path}").json() is None


def test_models_and_options(api: webuiapi.WebUIApi) -> None:
    first = api.get_sd_models()[0]
    assert set(first) == {"title", "model_name", "hash", "sha256", "filename", "config"}
    assert first["title"] == api.util_get_current_model() == "pocket"
    assert api.set_options({"sd_model_checkpoint": "Pocket.safetensors", "CLIP_stop_at_last_layers": 2}) is None
    options = api.get_options()
    assert (options["sd_model_checkpoint"], options["CLIP_stop_at_last_layers"]) == ("pocket", 2)
    result = api.txt2img(prompt="a fox", width=128, height=128)
    assert (result.info["clip_skip"], result.info["sd_model_name"]) == (2, "pocket")
    assert api.set_options(options | {"CLIP_stop_at_last_layers": 1}) is None  # what many do: all of it back
    assert api.get_options()["CLIP_stop_at_last_layers"] == 1
    api.util_set_model("pocket")


def test_options_that_change_nothing_are_kept_and_said(tmp_path: Path) -> None:
    with live(tmp_path) as server, httpx.Client(base_url=f"{server.url}/sdapi/v1", timeout=60) as http:
        assert http.post("/options", json={"hide_samplers": ["Heun"], "return_grid": False}).json() is None
        assert http.get("/options").json()["hide_samplers"] == ["Heun"]
        info = json.loads(http.post("/txt2img", json={"prompt": "a fox", "steps": 2}).json()["info"])
        assert [each["message"] for each in info["limner_notices"]] == [
            "option hide_samplers has no effect: it changes nothing here"
        ]
        many = {f"option_{k}": k for k in range(600)}
        assert http.post("/options", json=many).status_code == 422
        assert http.post("/options", json={"long": "x" * 30_000}).status_code == 422


def test_a_title_a_name_and_a_hash_call_a_model() -> None:
    found = Checkpoint("dream", "31e35c80fc4829d14f90153f4c74cd59c90b779f6afe05a74cd6120b893f7e5b")
    assert found.title == "dream [31e35c80fc]"
    for text in ("dream", "dream [31e35c80fc]", "Dream.safetensors", "31e35c80fc", found.sha256 or ""):
        assert found.answers_to(text)
    for text in ("31e3", "dreamer", "dream [00000000]"):
        assert not found.answers_to(text)


@pytest.fixture
def stocked(tmp_path: Path) -> Settings:
    """A home with a LoRA, a textual inversion, one that cannot be read, and a checkpoint that was hashed before."""
    models = tmp_path / "models"
    files: dict[str, dict[str, torch.Tensor]] = {
        "loras/water.safetensors": {"lora_unet_x.lora_down.weight": torch.zeros(2, 2)},
        "embeddings/cat.safetensors": {"emb_params": torch.zeros(3, 768)},
        "checkpoints/dream.safetensors": {"x": torch.zeros(2)},
    }
    settings = Settings.load(tmp_path, env={})
    links = Links(settings)
    kinds: dict[str, Any] = {"loras": "lora", "embeddings": "embedding", "checkpoints": "checkpoint"}
    for name, tensors in files.items():
        folder, _, file = name.partition("/")
        path = links.own(kinds[folder]) / file
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
    (links.own("embedding") / "broken.safetensors").write_bytes(b"nothing")
    Hashes(settings.cache_root).of([links.own("checkpoint") / "dream.safetensors"])
    assert not models.exists() or models.is_dir()
    return settings


def test_the_users_own_files(stocked: Settings) -> None:
    with live(stocked.home, settings=stocked) as server:
        api = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1")
        (lora,) = api.get_loras()
        assert lora == {"name": "water", "alias": "water", "path": "water", "metadata": {}}
        found = api.get_embeddings()
        assert found["loaded"]["cat"]["vectors"] == 3
        assert found["loaded"]["cat"]["shape"] == 768
        assert list(found["skipped"]) == ["broken"]
        titles = {each["model_name"]: each for each in api.get_sd_models()}
        dream = titles["dream"]
        assert dream["title"] == f"dream [{dream['sha256'][:10]}]"
        assert dream["hash"] == dream["sha256"][:10]
        everything = json.dumps([api.get_loras(), api.get_sd_models(), api.get_options(), api.get_cmd_flags()])
        assert str(stocked.home) not in everything
        api.session.close()


def test_a_lora_in_a_prompt(stocked: Settings) -> None:
    session = SimpleNamespace(catalog=Catalog.load(), offline=True)
    own: Any = SimpleNamespace(settings=stocked, session=session)
    body = Txt2Img(prompt="a <lora:water:0.5:0.8> fox <lora:fire:1>", width=SIDE, height=SIDE)
    drafted = draft(own, body, Kept(), {})
    assert drafted.request.prompt == "a fox"
    assert drafted.request.loras == ("water:0.5:0.8",)
    (notice,) = drafted.notices
    assert "<lora:fire:1>" in notice.message
    left_out = draft(own, body.model_copy(update={"disable_extra_networks": True}), Kept(), {})
    assert left_out.request.loras == ()
    assert "disable_extra_networks" in left_out.notices[0].message


def test_png_info(api: webuiapi.WebUIApi) -> None:
    made = api.txt2img(prompt="a red fox", seed=3, width=SIDE, height=SIDE, sampler_name="Euler a")
    found = api.png_info(made.image)
    assert found.info == made.info["infotexts"][0]
    assert found.parameters["Prompt"] == "a red fox"
    assert (found.parameters["Size-1"], found.parameters["Seed"]) == (str(SIDE), "3")
    assert "limner" in found.json["items"]
    bare = api.png_info(Image.new("RGB", (8, 8)))
    assert (bare.info, bare.parameters, bare.json["items"]) == ("", {}, {})


def test_enlarging(api: webuiapi.WebUIApi, http: httpx.Client) -> None:
    small = Image.new("RGB", (40, 20), "red")
    twice = api.extra_single_image(small, upscaler_1="Lanczos", upscaling_resize=2, gfpgan_visibility=0.5)
    assert twice.image.size == (80, 40)
    assert "gfpgan_visibility has no effect" in twice.info
    assert of_image(twice.image).record is not None
    cut = api.extra_single_image(
        small, upscaler_1="Lanczos", resize_mode=1, upscaling_resize_w=100, upscaling_resize_h=100
    )
    assert cut.image.size == (100, 100)
    same = api.extra_single_image(small)
    assert same.image.size == (40, 20)
    assert "no upscaler was named" in same.info
    both = api.extra_batch_images([small, small.resize((20, 20))], upscaler_1="Lanczos", upscaling_resize=1.5)
    assert [each.size for each in both.images] == [(60, 30), (30, 30)]
    body = {"image": webuiapi.b64_img(small), "upscaler_1": "Lanczos", "<b>": 1}
    assert "&lt;b&gt;" in http.post("/extra-single-image", json=body).json()["html_info"]


def test_letting_go_of_models(server: Served, http: httpx.Client) -> None:
    before = server.worker
    assert http.post("/unload-checkpoint").json() == {}
    server.call(_another(server, before))
    assert http.post("/reload-checkpoint").json() == {}
    assert server.wait(server.draw().id).state == "done"


async def _another(server: Served, before: int | None) -> None:
    import asyncio

    while server.worker in (None, before):
        await asyncio.sleep(0.02)
    await server.service.inside.crew.wait_ready()
