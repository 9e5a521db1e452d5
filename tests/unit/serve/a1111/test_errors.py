"""What is wrong is said in the web UI's shape, never by a 500."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import httpx
import pytest
import webuiapi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from limner.serve.a1111.bodies import Img2Img, Txt2Img
from tests.serving import Served, live, png

SHAPE = {"error", "detail", "body", "errors"}
PIXEL = base64.b64encode(png(16, 16)).decode()


def refused(answer: httpx.Response, status: int) -> str:
    """The words of an error, checked for its shape."""
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert set(said) == SHAPE
    return str(said["detail"])


def test_an_unknown_sampler_is_not_found(http: httpx.Client, api: webuiapi.WebUIApi) -> None:
    answer = http.post("/txt2img", json={"prompt": "x", "sampler_name": "Eular a"})
    assert "Sampler not found: 'Eular a'; did you mean" in refused(answer, 404)
    with pytest.raises(RuntimeError, match="Sampler not found"):
        api.txt2img(prompt="x", sampler_name="DPM adaptive")


def test_an_unknown_model_is_not_found(http: httpx.Client) -> None:
    for name in ("nowhere [31e35c80fc]", "nowhere"):
        refused(http.post("/options", json={"sd_model_checkpoint": name}), 404)
        body = {"prompt": "x", "override_settings": {"sd_model_checkpoint": name}}
        refused(http.post("/txt2img", json=body), 404)
    assert http.get("/options").json()["sd_model_checkpoint"] == "pocket"


def test_paths_are_no_names(http: httpx.Client, tmp_path: Path) -> None:
    for name in ("/etc/passwd", "../../etc/passwd", "C:\\Windows", str(tmp_path), "~/x", "\\\\server\\share"):
        refused(http.post("/options", json={"sd_model_checkpoint": name}), 422)
        refused(http.post("/txt2img", json={"prompt": "x", "override_settings": {"sd_model_checkpoint": name}}), 422)
        refused(http.post("/extra-single-image", json={"image": PIXEL, "upscaler_1": name}), 422)
        refused(http.post("/options", json={"sd_vae": name}), 422)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"alwayson_scripts": {"ADetailer": {"args": [True]}}}, "always on script 'ADetailer' not found"),
        ({"script_name": "x/y/z plot"}, "Script 'x/y/z plot' not found"),
        ({"refiner_checkpoint": "sdxl-refiner"}, "refiner_checkpoint: no model takes over"),
        ({"enable_hr": True, "hr_checkpoint_name": "sdxl"}, "hr_checkpoint_name"),
        ({"enable_hr": True, "hr_scale": 1}, "hr_scale"),
        ({"enable_hr": True, "hr_resize_x": 256}, "say width and height"),
        ({"prompt": "  "}, "the prompt is empty"),
        ({"steps": 0}, "steps"),
        ({"steps": "many"}, "steps"),
        ({"seed": -7}, "seed"),
        ({"width": 4}, "width"),
        ({"batch_size": 1_000, "n_iter": 1_000}, "1000000 pictures at once"),
        ({"styles": ["nowhere"]}, "nowhere"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 99}}, "CLIP_stop_at_last_layers"),
        ({"override_settings": []}, "override_settings"),
        ({"alwayson_scripts": "x"}, "alwayson_scripts"),
        ({"sampler_name": ["Euler"]}, "sampler_name"),
    ],
)
def test_what_cannot_be_drawn_is_refused(http: httpx.Client, body: dict[str, object], words: str) -> None:
    assert words in refused(http.post("/txt2img", json={"prompt": "x", **body}), 422)


def test_controlnet_is_not_here(api: webuiapi.WebUIApi) -> None:
    unit = webuiapi.ControlNetUnit(image=Image.new("RGB", (8, 8)), module="canny")
    with pytest.raises(RuntimeError, match="ControlNet"):
        # the client would keep the unit in its own default for every call that follows
        api.txt2img(prompt="x", width=128, height=128, controlnet_units=[unit], alwayson_scripts={})


def test_interrogation_is_an_error_that_says_so(api: webuiapi.WebUIApi, http: httpx.Client) -> None:
    with pytest.raises(RuntimeError, match="no model here puts pictures into words"):
        api.interrogate(Image.new("RGB", (8, 8)))
    refused(http.post("/interrogate", json={}), 501)


@pytest.mark.parametrize(
    "picture",
    [
        *("http://127.0.0.1:1/x.png", "file:///etc/passwd", "data:text/html;base64,AAAA"),
        *("not base64!", "AAAA", PIXEL[:-30]),
        base64.b64encode(b"GIF89a" + bytes(40)).decode(),
        base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(),
    ],
)  # fmt: skip
def test_what_is_no_picture(http: httpx.Client, picture: str) -> None:
    assert refused(http.post("/img2img", json={"prompt": "x", "init_images": [picture]}), 422)
    assert refused(http.post("/img2img", json={"prompt": "x", "init_images": [PIXEL], "mask": picture}), 422)
    assert refused(http.post("/png-info", json={"image": picture}), 422)
    assert refused(http.post("/extra-single-image", json={"image": picture, "upscaler_1": "Lanczos"}), 422)


def test_a_bomb(http: httpx.Client) -> None:
    out = io.BytesIO()
    Image.new("1", (8_000, 8_000)).save(out, "PNG")
    answer = http.post("/png-info", json={"image": base64.b64encode(out.getvalue()).decode()})
    assert "million may be sent" in refused(answer, 422)


def test_start_pictures(http: httpx.Client) -> None:
    assert "Init image not found" in refused(http.post("/img2img", json={"prompt": "x"}), 404)
    two = {"prompt": "x", "init_images": [PIXEL, PIXEL]}
    assert "one is drawn over at a time" in refused(http.post("/img2img", json=two), 422)
    black = {"prompt": "x", "init_images": [PIXEL], "mask": base64.b64encode(png(16, 16, "L", 0)).decode()}
    assert "mask" in refused(http.post("/img2img", json=black), 422)


def test_enlarging_what_cannot_be(http: httpx.Client) -> None:
    for body in ({"upscaler_1": "R-ESRGAN 4x+"}, {"upscaler_1": "Lanczos", "upscaling_resize": 0.5}):
        refused(http.post("/extra-single-image", json={"image": PIXEL, **body}), 422)
    refused(http.post("/extra-batch-images", json={"imageList": []}), 422)


def test_bodies_that_are_none(http: httpx.Client) -> None:
    json_type = {"content-type": "application/json"}
    for content in (b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 50_000, b'{"seed": 1' + b"0" * 5_000 + b"}"):
        for path in ("txt2img", "img2img", "options", "png-info", "extra-single-image", "interrogate"):
            answer = http.post(f"/{path}", content=content, headers=json_type)
            assert 400 <= answer.status_code < 500, (path, content[:20], answer.text)
            assert set(answer.json()) == SHAPE
    refused(http.post("/txt2img", content=b"prompt=x", headers={"content-type": "text/plain"}), 415)
    refused(http.post("/nowhere", json={}), 404)
    refused(http.get("/txt2img"), 405)


def test_what_json_cannot_say_is_no_fault_of_the_server(http: httpx.Client) -> None:
    body = '{"prompt": "x", "steps": 2, "odd": NaN, "comments": {"a": "\\ud800"}}'
    answer = http.post("/txt2img", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert "parameter odd has no effect" in answer.json()["info"]
    for field in ("prompt", "force_task_id", "sampler_name"):
        answer = http.post("/txt2img", content=f'{{"prompt": "x", "steps": 2, "{field}": "\\ud800"}}',
                           headers={"content-type": "application/json"})  # fmt: skip
        assert answer.status_code < 500, answer.text


def test_what_goes_wrong_later(http: httpx.Client) -> None:
    assert "the stand-in failed" in refused(http.post("/txt2img", json={"prompt": "a zzfail fox", "steps": 3}), 500)
    assert "refused" in refused(http.post("/txt2img", json={"prompt": "a zzrefuse fox", "steps": 3}), 403)
    assert "does not fit" in refused(http.post("/txt2img", json={"prompt": "a zzoom fox", "steps": 3}), 507)


def test_basic_authentication(tmp_path: Path) -> None:
    with live(tmp_path, token="a-long-enough-token") as server:
        with httpx.Client(base_url=f"{server.url}/sdapi/v1") as http:
            answer = http.get("/options")
            refused(answer, 401)
            assert "www-authenticate" in answer.headers
        known = webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", username="me", password="a-long-enough-token")
        assert known.get_options()["sd_model_checkpoint"] == "pocket"
        known.session.close()


def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    with live(tmp_path, most_waiting=2, grace=0.2) as server, httpx.Client(base_url=f"{server.url}/sdapi/v1") as http:
        refused(http.post("/txt2img", json={"prompt": "x", "batch_size": 3}), 422)
        for k in range(2):
            server.draw(f"a zzslow fox {k}", steps=100)
        answer = http.post("/txt2img", json={"prompt": "x"})
        refused(answer, 429)
        assert int(answer.headers["retry-after"]) > 0


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(sorted({*Txt2Img.model_fields, *Img2Img.model_fields}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(["txt2img", "img2img"]), body=st.dictionaries(FIELDS, ANYTHING, max_size=5))
def test_no_body_breaks_it(server: Served, path: str, body: dict[str, object]) -> None:
    small = {"prompt": "x", "steps": 1, "init_images": [PIXEL]}
    content = json.dumps({**small, **body, "n_iter": 1, "batch_size": 1, "hr_scale": 1.5})
    answer = server.client.post(f"/sdapi/v1/{path}", content=content, headers={"content-type": "application/json"})
    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        assert set(answer.json()) == SHAPE
