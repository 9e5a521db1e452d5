"""Pictures of a prompt, asked for with OpenAI's client."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import ImagesResponse
from PIL import Image

from limner.library.metadata import of_image
from tests.builtin import FACTOR, SIDE
from tests.serving import Served


def picture(answer: ImagesResponse, k: int = 0) -> Image.Image:
    assert answer.data is not None
    return Image.open(io.BytesIO(base64.b64decode(answer.data[k].b64_json or "")))


def extra(answer: ImagesResponse) -> dict[str, Any]:
    assert answer.model_extra is not None
    found = answer.model_extra["limner"]
    assert isinstance(found, dict)
    return found


def codes(answer: ImagesResponse) -> set[str]:
    return {each["code"] for each in extra(answer)["notices"]}


def test_n_pictures_with_their_seeds_and_ids(client: OpenAI, server: Served) -> None:
    answer = client.images.generate(prompt="a red fox", n=3, extra_body={"seed": 7})
    assert answer.data is not None
    extras = [each.model_extra or {} for each in answer.data]
    assert [each["seed"] for each in extras] == [7, 8, 9]
    library = server.service.session.library
    assert [library.get(str(each["id"])).seed for each in extras] == [7, 8, 9]
    assert [each.revised_prompt for each in answer.data] == [None] * 3
    assert (answer.size, answer.quality, answer.background, answer.output_format) == (
        *(f"{SIDE}x{SIDE}", "medium", "opaque"),
        "png",
    )
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.text_tokens == answer.usage.total_tokens == 3


def test_the_picture_is_the_librarys_own_file(client: OpenAI, server: Served) -> None:
    answer = client.images.generate(prompt="a red fox")
    assert answer.data is not None
    entry = server.service.session.library.get(str((answer.data[0].model_extra or {})["id"]))
    assert base64.b64decode(answer.data[0].b64_json or "") == entry.path.read_bytes()


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_another_format_says_what_it_is(client: OpenAI, format: str) -> None:
    answer = client.images.generate(
        prompt="a red fox",
        output_format=format,  # type: ignore[arg-type]
        output_compression=60,
        extra_body={"seed": 5},
    )
    found = picture(answer)
    assert found.format == format.upper()
    record = of_image(found).record
    assert record is not None
    assert record.seed.seed == 5


def test_compression_makes_smaller_files(client: OpenAI) -> None:
    def size(quality: int) -> int:
        answer = client.images.generate(
            prompt="a red fox", size="512x512", output_format="webp", output_compression=quality, extra_body={"seed": 1}
        )
        assert answer.data is not None
        return len(answer.data[0].b64_json or "")

    assert size(10) < size(100)


def test_a_size_that_is_not_the_models_is_resampled_and_said(client: OpenAI) -> None:
    answer = client.images.generate(prompt="a red fox", size="1024x512")
    assert picture(answer).size == (1024, 512)
    assert answer.size == "1024x512"
    width, height = (round(SIDE * share**0.5 / FACTOR) * FACTOR for share in (2, 1 / 2))
    assert extra(answer)["drawn_size"] == f"{width}x{height}"
    assert "resampled" in codes(answer)
    record = of_image(picture(answer)).record
    assert record is not None
    assert "resampled" in {each.code for each in record.notices}


def test_a_size_that_the_model_draws_is_drawn(client: OpenAI) -> None:
    width, height = SIDE + 2 * FACTOR, SIDE - 2 * FACTOR
    answer = client.images.generate(prompt="a red fox", size=f"{width}x{height}")
    assert picture(answer).size == (width, height)
    assert "drawn_size" not in extra(answer)


def test_width_and_height_are_drawn_as_they_are(client: OpenAI, server: Served) -> None:
    own = {"width": 2 * SIDE, "height": 2 * SIDE, "steps": 2}
    answer = client.images.generate(prompt="a red fox", extra_body=own)
    assert answer.size == f"{2 * SIDE}x{2 * SIDE}"
    assert "drawn_size" not in extra(answer)


@pytest.mark.parametrize(
    ("quality", "steps", "told"),
    [("auto", 20, "medium"), ("standard", 20, "medium"), ("low", 10, "low"), ("hd", 30, "high"), ("max", 60, "max")],
)
def test_quality_says_how_many_steps(client: OpenAI, server: Served, quality: Any, steps: int, told: str) -> None:
    answer = client.images.generate(prompt="a red fox", quality=quality)
    assert answer.data is not None
    record = server.service.session.library.get(str((answer.data[0].model_extra or {})["id"])).record
    assert record is not None
    assert len(record.recipe.levels) - 1 == steps
    assert answer.quality == told


def test_limners_own_parameters_go_in_by_extra_body(client: OpenAI, server: Served) -> None:
    extras = {"steps": 3, "guidance_scale": 2.5, "negative_prompt": "rain", "solver": "euler", "seed": 4}
    answer = client.images.generate(prompt="a red fox", extra_body=extras)
    assert answer.data is not None
    request = server.service.session.library.get(str((answer.data[0].model_extra or {})["id"])).record.request  # type: ignore[union-attr]
    assert (request.steps, request.guidance, request.negative, request.solver) == (3, 2.5, "rain", "euler")


def test_words_that_were_changed_are_told(client: OpenAI) -> None:
    answer = client.images.generate(prompt="a {red|red} fox")
    assert answer.data is not None
    assert answer.data[0].revised_prompt == "a red fox"


def test_what_has_no_effect_is_told(client: OpenAI) -> None:
    answer = client.images.generate(
        prompt="a red fox", moderation="low", style="vivid", user="me", quality="high", extra_body={"steps": 2}
    )
    assert [each["code"] for each in extra(answer)["notices"]].count("without-effect") == 3
    assert answer.safety_identifier == "me"


def test_openais_own_models_are_drawn_by_what_is_here_and_links_are_given(client: OpenAI) -> None:
    answer = client.images.generate(prompt="a red fox", model="dall-e-3", quality="standard")
    assert "other-model" in codes(answer)
    assert extra(answer)["model"] == "pocket"
    assert answer.data is not None
    found = httpx.get(answer.data[0].url or "")
    assert found.headers["content-type"] == "image/png"
    assert answer.data[0].b64_json is None


def test_a_link_has_the_format_and_size_that_were_asked_for(client: OpenAI) -> None:
    answer = client.images.generate(
        prompt="a red fox", response_format="url", size="300x200", output_format="jpeg", output_compression=70
    )
    assert answer.data is not None
    found = httpx.get(answer.data[0].url or "")
    image = Image.open(io.BytesIO(found.content))
    assert (image.format, image.size, found.headers["content-type"]) == ("JPEG", (300, 200), "image/jpeg")


def test_a_stream_brings_partial_pictures_and_then_the_whole_one(client: OpenAI) -> None:
    stream = client.images.generate(prompt="a red fox", stream=True, partial_images=3, size="256x256")
    events = list(stream)
    assert [each.type for each in events] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    assert [each.partial_image_index for each in events[:3]] == [0, 1, 2]  # type: ignore[union-attr]
    assert {Image.open(io.BytesIO(base64.b64decode(each.b64_json))).size for each in events} == {(256, 256)}
    assert {each.size for each in events} == {"256x256"}
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert last.usage.input_tokens == 3


def test_a_stream_of_several_without_partial_pictures(client: OpenAI) -> None:
    events = list(client.images.generate(prompt="a red fox", stream=True, n=2, extra_body={"seed": 3}))
    assert [each.type for each in events] == ["image_generation.completed"] * 2
    assert [(each.model_extra or {})["seed"] for each in events] == [3, 4]


async def _asynchronous(url: str) -> list[str]:
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any") as client:
        stream = await client.images.generate(prompt="a red fox", stream=True, partial_images=1)
        return [each.type async for each in stream]


def test_the_asynchronous_client_streams(server: Served) -> None:
    import asyncio

    assert asyncio.run(_asynchronous(server.url))[-1] == "image_generation.completed"


def test_models_are_listed_and_found(client: OpenAI) -> None:
    listed = client.models.list().data
    assert listed[0].id == "pocket"
    assert (listed[0].model_extra or {})["default"] is True
    assert client.models.retrieve("pocket") == listed[0]
