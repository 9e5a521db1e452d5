"""Drawing with ``webuiapi``, a client that was written for the web UI."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import webuiapi
from PIL import Image

from limner.library import a1111
from limner.library.metadata import of_image
from tests.builtin import SIDE
from tests.serving import Served

Json = dict[str, Any]
KEYS = (
    "prompt all_prompts negative_prompt all_negative_prompts seed all_seeds subseed all_subseeds subseed_strength "
    "width height sampler_name cfg_scale steps batch_size restore_faces face_restoration_model sd_model_name "
    "sd_model_hash sd_vae_name sd_vae_hash seed_resize_from_w seed_resize_from_h denoising_strength "
    "extra_generation_params index_of_first_image infotexts styles job_timestamp clip_skip "
    "is_using_inpainting_conditioning"
)


def picture(size: tuple[int, int] = (128, 128), colour: str = "red") -> Image.Image:
    return Image.new("RGB", size, colour)


def left_half(size: tuple[int, int] = (128, 128)) -> Image.Image:
    mask = Image.new("L", size, 0)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    return mask


def drawn(http: httpx.Client, **body: object) -> tuple[Json, Json]:
    """The answer of txt2img, and its info."""
    answer = http.post("/txt2img", json={"prompt": "a red fox", "steps": 2, **body})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return said, json.loads(said["info"])


def notices(info: Json) -> str:
    return " ".join(each["message"] for each in info["limner_notices"])


def test_pictures_come_with_all_that_the_web_ui_says_of_them(api: webuiapi.WebUIApi, server: Served) -> None:
    result = api.txt2img(
        prompt="a red fox", negative_prompt="blurry", seed=1003, styles=[], cfg_scale=6, steps=5, width=128, height=128,
        batch_size=2, n_iter=2, sampler_name="Euler a",
    )  # fmt: skip
    info = result.info
    assert [each.size for each in result.images] == [(128, 128)] * 4
    assert info.keys() >= set(KEYS.split())
    assert info["all_seeds"] == [1003, 1004, 1005, 1006]
    assert (info["seed"], info["sampler_name"], info["steps"], info["cfg_scale"]) == (1003, "Euler a", 5, 6)
    assert info["all_negative_prompts"] == ["blurry"] * 4
    fields = a1111.parse(info["infotexts"][1])
    assert fields["seed"] == 1004
    assert fields["solver"] == "Euler a"
    assert of_image(result.images[1]).record is not None
    assert result.images[1].text["parameters"] == info["infotexts"][1]
    assert server.service.session.library.get(info["limner_pictures"][1]).seed == 1004
    record = server.service.session.library.get(info["limner_pictures"][0]).record
    assert record is not None
    assert record.request.compat == "a1111"
    assert record.request.noise_source == "philox"


def test_bare_base64_and_an_info_that_is_a_text(http: httpx.Client) -> None:
    said, info = drawn(http, width=SIDE - 16, height=SIDE)
    data = base64.b64decode(said["images"][0], validate=True)
    assert data.startswith(b"\x89PNG")
    assert said["parameters"]["prompt"] == "a red fox"
    assert said["parameters"]["seed"] == -1
    assert said["parameters"]["cfg_scale"] == info["cfg_scale"]
    assert Image.open(io.BytesIO(data)).size == (SIDE - 16, SIDE)


def test_what_is_not_said_is_the_models_own(http: httpx.Client) -> None:
    said, info = drawn(http, steps=None, negative_prompt=None)
    assert (info["width"], info["height"], info["steps"]) == (SIDE, SIDE, 20)
    assert said["parameters"]["steps"] == 20
    assert info["limner_notices"] == []


def test_a_variation(http: httpx.Client) -> None:
    _, info = drawn(http, seed=5, subseed=9, subseed_strength=0.3, n_iter=2)
    assert info["all_seeds"] == [5, 5]
    assert info["all_subseeds"] == [9, 10]
    assert info["subseed_strength"] == 0.3


def test_braces_and_underscores_are_words(http: httpx.Client) -> None:
    _, info = drawn(http, prompt="a {{red}} fox|__animal__ in {a|b}, \\(lit\\)")
    assert info["prompt"] == "a {{red}} fox|__animal__ in {a|b}, \\(lit\\)"


def test_a_second_pass(api: webuiapi.WebUIApi) -> None:
    result = api.txt2img(
        prompt="a red fox", width=SIDE, height=SIDE, enable_hr=True, hr_scale=2, hr_second_pass_steps=3
    )
    assert result.image.size == (2 * SIDE, 2 * SIDE)
    fields = a1111.parse(result.info["infotexts"][0])
    assert (fields["hires"], fields["hires_steps"], fields["hires_upscaler"]) == (2, 3, "latent")
    assert result.info["denoising_strength"] == 0.7
    assert result.info["width"] == SIDE
    assert [each["code"] for each in result.info["limner_notices"]] == ["second-pass"]


def test_a_second_pass_to_a_size(http: httpx.Client) -> None:
    said, info = drawn(http, width=SIDE, height=SIDE - 64, enable_hr=True, hr_resize_x=SIDE + 64, hr_upscaler="None")
    assert Image.open(io.BytesIO(base64.b64decode(said["images"][0]))).size == (
        SIDE + 64,
        (SIDE + 64) * (SIDE - 64) // SIDE,
    )
    assert info["denoising_strength"] == 0.75
    assert "lanczos" in notices(info)


def test_a_size_that_is_no_multiple_of_eight_is_rounded_down(http: httpx.Client) -> None:
    _, info = drawn(http, width=SIDE + 3, height=SIDE - 9)
    assert (info["width"], info["height"]) == (SIDE, SIDE - 16)
    assert f"{SIDE + 3}x{SIDE - 9} is drawn at {SIDE}x{SIDE - 16}" in notices(info)


def test_a_size_far_from_the_models_own_is_resampled(api: webuiapi.WebUIApi, server: Served) -> None:
    result = api.txt2img(prompt="a red fox")  # the client asks for 512x512
    assert result.image.size == (512, 512)
    assert of_image(result.image).record is not None
    entry = server.service.session.library.get(result.info["limner_pictures"][0])
    assert (entry.width, entry.height) == (SIDE, SIDE)
    assert f"drawn at {SIDE}x{SIDE} and resampled" in json.dumps(result.info["limner_notices"])


def test_drawing_over_a_picture(api: webuiapi.WebUIApi, server: Served) -> None:
    result = api.img2img(images=[picture((120, 100))], prompt="a fox", width=128, height=64, denoising_strength=0.5)
    assert result.image.size == (128, 64)
    assert result.info["denoising_strength"] == 0.5
    assert result.parameters["init_images"] is None
    record = server.service.session.library.get(result.info["limner_pictures"][0]).record
    assert record is not None
    assert record.request.resize == "stretch"
    assert record.recipe.options["init"] == record.request.init


def test_a_masked_part(api: webuiapi.WebUIApi, server: Served) -> None:
    result = api.img2img(
        images=[picture((256, 256))], mask_image=left_half((256, 256)), prompt="a fox", width=128, height=128,
        mask_blur=3, inpaint_full_res=True, inpaint_full_res_padding=16, inpainting_fill=1, inpainting_mask_invert=1,
    )  # fmt: skip
    assert result.image.size == (256, 256)
    record = server.service.session.library.get(result.info["limner_pictures"][0]).record
    assert record is not None
    asked = record.request
    assert (asked.mask_blur, asked.inpaint_padding, asked.mask_invert, asked.inpaint_fill) == (3, 16, True, "original")


def test_a_whole_picture_with_a_transparent_mask(http: httpx.Client, server: Served) -> None:
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    mask.paste((0, 0, 0, 255), (0, 0, 32, 64))
    body = {
        "prompt": "a fox", "steps": 2, "init_images": [webuiapi.raw_b64_img(picture())],
        "mask": webuiapi.b64_img(mask), "inpaint_full_res": False, "inpainting_fill": 0, "width": 128, "height": 128,
    }  # fmt: skip
    answer = http.post("/img2img", json=body)
    info = json.loads(answer.json()["info"])
    assert "inpainting_fill 0 has no effect" in notices(info)
    record = server.service.session.library.get(info["limner_pictures"][0]).record
    assert record is not None
    assert record.request.mask is not None
    assert record.request.inpaint_padding is None
    path = server.service.session.library.root / "inputs"
    kept = Image.open(next(path.rglob(f"*{record.request.mask.partition(':')[2][2:20]}*")))
    assert kept.getpixel((10, 64)) == 255
    assert kept.getpixel((120, 64)) == 0


def test_what_cannot_be_had_is_said(http: httpx.Client) -> None:
    said = {
        "restore_faces": True, "tiling": True, "eta": 0.5, "sampler_name": "Euler a", "seed_resize_from_w": 64,
        "s_noise": 1.1, "s_min_uncond": 1, "unheard_of": 1, "override_settings": {"jpeg_quality": 3, "emphasis": "No"},
        "save_images": True, "n_iter": 2, "prompt": "a fox <lora:nowhere:0.5>",
    }  # fmt: skip
    _, info = drawn(http, **said)
    told = notices(info)
    for each in ("restore_faces", "tiling", "eta 0.5", "seed_resize_from", "s_noise", "s_min_uncond", "unheard_of"):
        assert f"{each} has no effect" in told.replace("parameter ", "")
    for each in ("option jpeg_quality", "option emphasis", "save_images", "<lora:nowhere:0.5>"):
        assert each in told
    assert info["prompt"] == "a fox"


def test_what_every_client_sends_is_not_talked_about(api: webuiapi.WebUIApi) -> None:
    result = api.txt2img(prompt="a red fox", width=SIDE, height=SIDE)
    assert result.info["limner_notices"] == []


def test_settings_of_an_infotext_hold_where_nothing_else_is_said(http: httpx.Client) -> None:
    text = (
        "a cat\nNegative prompt: dull\nSteps: 7, Sampler: Euler, CFG scale: 3, Seed: 77, "
        f"Size: {SIDE - 16}x{SIDE - 16}, Model: elsewhere"
    )
    answer = http.post("/txt2img", json={"infotext": text, "steps": 3})
    info = json.loads(answer.json()["info"])
    assert (info["prompt"], info["negative_prompt"], info["seed"], info["cfg_scale"]) == ("a cat", "dull", 77, 3)
    assert (info["steps"], info["sampler_name"], info["width"]) == (3, "Euler", SIDE - 16)
    assert "'elsewhere' of the infotext is not here" in notices(info)


def test_styles(api: webuiapi.WebUIApi) -> None:
    style = api.get_prompt_styles()[0]
    result = api.txt2img(prompt="a red fox", styles=[style["name"]], width=128, height=128)
    assert result.info["prompt"] != "a red fox"
    assert result.info["styles"] == [style["name"]]


def test_no_pictures_where_none_are_wanted(http: httpx.Client) -> None:
    said, info = drawn(http, send_images=False)
    assert said["images"] == []
    assert len(info["limner_pictures"]) == 1


def test_overrides_hold_for_one_request_unless_they_are_to_stay(http: httpx.Client) -> None:
    _, info = drawn(http, override_settings={"CLIP_stop_at_last_layers": 2, "randn_source": "CPU"})
    assert info["clip_skip"] == 2
    assert "RNG: CPU" in info["infotexts"][0]
    assert http.get("/options").json()["CLIP_stop_at_last_layers"] == 1
    stay = {"override_settings": {"CLIP_stop_at_last_layers": 2}, "override_settings_restore_afterwards": False}
    drawn(http, **stay)
    assert http.get("/options").json()["CLIP_stop_at_last_layers"] == 2
    http.post("/options", json={"CLIP_stop_at_last_layers": 1})


def test_a_model_that_follows_other_rules_draws_what_it_can(http: httpx.Client, server: Served) -> None:
    answer = http.post("/txt2img", json={"prompt": "x", "override_settings": {"sd_model_checkpoint": "dalle-mini"}})
    assert answer.status_code in (404, 409, 422)  # it is not on this machine
    assert set(answer.json()) == {"error", "detail", "body", "errors"}


def within(seconds: float, what: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_progress_while_it_draws_and_an_interrupt(api: webuiapi.WebUIApi, server: Served) -> None:
    answers: list[Any] = []
    other = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1")
    size = {"width": 128, "height": 128}
    asking = threading.Thread(
        target=lambda: answers.append(other.txt2img(prompt="a zzslow fox", steps=40, n_iter=3, seed=1, **size))
    )
    api.util_wait_for_ready(check_interval=0.05)
    asking.start()
    within(20, lambda: api.get_progress()["state"]["sampling_step"] > 2)
    told = api.get_progress()
    assert 0 < told["progress"] < 1
    assert told["eta_relative"] > 0
    state = told["state"]
    assert (state["job_count"], state["sampling_steps"], state["job"]) == (3, 40, told["current_task"])
    assert Image.open(io.BytesIO(base64.b64decode(told["current_image"]))).mode == "RGB"
    assert api.custom_get("progress?skip_current_image=true", baseurl=True)["current_image"] is None
    assert api.skip() is None
    assert api.interrupt() == {}
    asking.join(20)
    (result,) = answers
    said = {each["code"]: each["message"] for each in result.info["limner_notices"]}
    assert result.images == []
    assert said["interrupted"] == "interrupted: 3 of 3 pictures were not drawn"
    assert "skip" in said["not-honoured"]
    api.util_wait_for_ready(check_interval=0.05)
    idle = api.get_progress()
    assert (idle["progress"], idle["state"]["job_count"], idle["current_image"]) == (0, 0, None)
    other.session.close()


def test_an_interrupt_leaves_what_is_finished(api: webuiapi.WebUIApi, http: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    body = {"prompt": "a zzslow fox", "steps": 4, "batch_size": 30, "seed": 1, "force_task_id": "mine"}
    asking = threading.Thread(target=lambda: answers.append(http.post("/txt2img", json=body)))
    asking.start()
    within(20, lambda: api.get_progress()["state"]["job_no"] > 0)
    assert api.get_progress()["current_task"] == "mine"
    api.interrupt()
    asking.join(20)
    info = json.loads(answers[0].json()["info"])
    made = len(info["limner_pictures"])
    assert 0 < made < 30
    assert len(answers[0].json()["images"]) == len(info["infotexts"]) == made
    assert info["all_seeds"] == list(range(1, 1 + made))


def test_an_interrupt_with_nothing_to_stop(api: webuiapi.WebUIApi) -> None:
    assert api.interrupt() == {}
    assert api.skip() is None


def test_who_hangs_up_wants_no_pictures(http: httpx.Client, server: Served) -> None:
    with pytest.raises(httpx.ReadTimeout):
        http.post("/txt2img", json={"prompt": "a zzslow cat", "steps": 100}, timeout=1)
    within(10, lambda: server.call(server.service.jobs(limit=1))[0].state == "cancelled")
