"""What is wrong, in OpenAI's shape: the class of the client's error, its code, its parameter."""

from __future__ import annotations

import json

import httpx
import openai
import pytest
from openai import OpenAI

from tests.serving import Served, live, png


def generate(client: OpenAI, **said: object) -> None:
    client.images.generate(**{"prompt": "a red fox", **said})  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("said", "code", "param"),
    [
        ({"prompt": ""}, "invalid_value", "prompt"),
        ({"prompt": " "}, "invalid_value", "prompt"),
        ({"prompt": "x" * 20_001}, "invalid_value", "prompt"),
        ({"n": 0}, "invalid_value", "n"),
        ({"n": 11}, "invalid_value", "n"),
        ({"n": "2"}, "invalid_type", "n"),
        ({"size": "large"}, "invalid_value", "size"),
        ({"size": "9999x16"}, "invalid_value", "size"),
        ({"size": "1600x200"}, "invalid_value", "size"),
        ({"quality": "ultra"}, "invalid_value", "quality"),
        ({"background": "transparent"}, "invalid_value", "background"),
        ({"output_format": "svg"}, "invalid_value", "output_format"),
        ({"output_format": "gif"}, "invalid_value", "output_format"),
        ({"output_compression": 101, "output_format": "jpeg"}, "invalid_value", "output_compression"),
        ({"output_compression": 50}, "invalid_value", "output_compression"),
        ({"partial_images": 4, "stream": True}, "invalid_value", "partial_images"),
        ({"partial_images": 1}, "invalid_value", "partial_images"),
        ({"moderation": "none"}, "invalid_value", "moderation"),
        ({"extra_body": {"frame_count": 3}}, "unknown_parameter", "frame_count"),
        ({"extra_body": {"stepz": 3}}, "unknown_parameter", "stepz"),
        ({"extra_body": {"steps": 0}}, "invalid_value", "steps"),
        ({"extra_body": {"steps": [1]}}, "invalid_value", "steps"),
        ({"extra_body": {"solver": "no such"}}, "unknown_name", "solver"),
        ({"extra_body": {"vae": "/etc/passwd"}}, "invalid_value", "vae"),
        ({"extra_body": {"negative": "a", "negative_prompt": "b"}}, "invalid_value", "negative_prompt"),
    ],
)
def test_a_wrong_value_is_a_400_with_code_and_parameter(
    client: OpenAI, said: dict[str, object], code: str, param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        generate(client, **said)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("word", "kind", "code"),
    [
        ("zzrefuse", openai.BadRequestError, "moderation_blocked"),
        ("zzfail", openai.InternalServerError, "generation"),
        ("zzoom", openai.InternalServerError, "out_of_memory"),
        ("zzbug", openai.InternalServerError, "server_error"),
    ],
)
def test_a_failed_job_is_the_clients_error_and_asked_for_once(
    counted: object, word: str, kind: type[openai.APIStatusError], code: str
) -> None:
    client, asked = counted()  # type: ignore[operator]
    with pytest.raises(kind) as caught:
        generate(client, prompt=f"a red fox {word}")
    assert caught.value.code == code
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(asked) == 1


def test_a_refusal_names_its_category_as_openai_does(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=r"safety_violations=\[sexual\]") as caught:
        generate(client, prompt="a red fox zzrefuse")
    assert caught.value.type == "image_generation_user_error"
    with pytest.raises(openai.BadRequestError) as caught:
        generate(client, prompt="a red fox zzrefuse", model="dall-e-3")
    assert caught.value.code == "content_policy_violation"


def test_words_are_refused_before_anything_is_drawn(client: OpenAI, server: Served) -> None:
    before = server.service.queue.listed()
    with pytest.raises(openai.BadRequestError) as caught:
        generate(client, prompt="a naked child")
    assert caught.value.code == "moderation_blocked"
    assert server.service.queue.listed() == before


@pytest.mark.parametrize("word", ["zzrefuse", "zzfail"])
def test_in_a_stream_an_error_is_data(client: OpenAI, word: str) -> None:
    with pytest.raises(openai.APIError) as caught:
        list(client.images.generate(prompt=f"a red fox {word}", stream=True))
    assert not isinstance(caught.value, openai.APIStatusError)
    assert caught.value.code == ("moderation_blocked" if word == "zzrefuse" else "generation")


def test_what_is_not_there_is_a_404(client: OpenAI, server: Served) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        generate(client, model="nope")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/model")
    with pytest.raises(openai.NotFoundError, match="Invalid URL"):
        client.chat.completions.create(model="pocket", messages=[])
    answer = httpx.post(f"{server.url}/v1/images/variations", files={"image": png()})
    assert answer.status_code == 404
    assert "retired" in answer.json()["error"]["message"]


def test_a_wrong_token_and_none(tmp_path_factory: pytest.TempPathFactory) -> None:
    with live(tmp_path_factory.mktemp("home"), token="a-long-token-of-mine", ready=False) as server:
        with (
            OpenAI(base_url=f"{server.url}/v1", api_key="wrong") as client,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            client.models.list()
        assert caught.value.code == "invalid_api_key"
        with OpenAI(base_url=f"{server.url}/v1", api_key="a-long-token-of-mine") as client:
            assert client.models.list().data
        site = {"origin": "http://evil.example", "authorization": "Bearer a-long-token-of-mine"}
        answer = httpx.get(f"{server.url}/v1/models", headers=site)
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")


HALF = b'{"prompt": "a fox \\ud800"}'
NUMBERS = (b'{"n": NaN}', b'{"n": ' + b"9" * 5_000 + b"}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"n": NaN}',
        b'{"n": ' + b"9" * 5_000 + b"}",
        HALF,
    ],
)
def test_a_body_that_is_no_object_is_a_400(server: Served, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}/v1/images/generations", content=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, set(error)) == (400, {"message", "type", "param", "code"})


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/plain", b"{}", 415),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"--b\r\nnonsense", 400),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", 400),
        ("application/x-www-form-urlencoded", b"image=x&prompt=y", 400),
        ("application/json", b'{"prompt": "a fox"}', 400),
    ],
)
def test_a_form_that_is_none_is_refused(server: Served, kind: str, body: bytes, status: int) -> None:
    answer = httpx.post(f"{server.url}/v1/images/edits", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_body_that_is_too_large_is_a_413(server: Served) -> None:
    body = json.dumps({"prompt": "x" * 300_000}).encode()
    headers = {"content-type": "application/json"}
    answer = httpx.post(f"{server.url}/v1/images/generations", content=body, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_seventeen_pictures_are_too_many(server: Served) -> None:
    files = [("image[]", ("a.png", png(8, 8))) for _ in range(17)]
    answer = httpx.post(f"{server.url}/v1/images/edits", files=files, data={"prompt": "a fox"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "image"
