"""Pictures drawn over pictures, sent with OpenAI's client."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from openai import BadRequestError, OpenAI
from openai.types import ImagesResponse
from PIL import Image

from limner.serve.openai.editing import _mask
from limner.types import Record
from tests.serving import Served, png


def mask(side: int = 128) -> bytes:
    """Opaque white, with a hole in it."""
    image = Image.new("RGBA", (side, side), (255, 255, 255, 255))
    image.paste((0, 0, 0, 0), (side // 4, side // 4, side // 2, side // 2))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def record_of(server: Served, answer: ImagesResponse) -> Record:
    assert answer.data is not None
    found = server.service.session.library.get(str((answer.data[0].model_extra or {})["id"])).record
    assert found is not None
    return found


def test_bytes_a_stream_a_file_and_a_list_of_one(client: OpenAI, server: Served, tmp_path: Path) -> None:
    file = tmp_path / "../odd name.exe"
    file.write_bytes(png(128, 128))
    data = png(128, 128)
    for image in (data, io.BytesIO(data), file, [data], ("no suffix", data), ("x.png", data, "image/png")):
        answer = client.images.edit(image=image, prompt="a red fox", extra_body={"seed": 3, "strength": 0.5})  # type: ignore[arg-type]
        request = record_of(server, answer).request
        assert request.init is not None
        assert (request.seed, request.strength, request.mask) == (3, 0.5, None)


def test_what_is_transparent_in_the_mask_is_redrawn(client: OpenAI, server: Served) -> None:
    answer = client.images.edit(image=png(128, 128), mask=mask(), prompt="a red fox", n=2)
    request = record_of(server, answer).request
    assert request.mask is not None
    kept = server.service.settings.library_root / "inputs"
    name = request.mask.removeprefix("sha256:")
    (file,) = [each for each in kept.rglob("*") if each.is_file() and name in each.name]
    pixels = np.asarray(Image.open(file).convert("L"))
    assert (pixels[32:64, 32:64] == 255).all()
    assert pixels.sum() == 255 * 32 * 32


def test_a_stream_of_an_edit_has_events_of_its_own(client: OpenAI) -> None:
    events = list(client.images.edit(image=png(128, 128), prompt="a red fox", stream=True, partial_images=1))
    assert [each.type for each in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_fidelity_is_strength(client: OpenAI, server: Served) -> None:
    answer = client.images.edit(image=png(128, 128), prompt="a red fox", input_fidelity="high")
    assert record_of(server, answer).request.strength == 0.6


def test_a_size_is_had_as_for_a_picture_of_words(client: OpenAI) -> None:
    answer = client.images.edit(image=png(128, 128), prompt="a red fox", size="512x512")
    assert answer.size == "512x512"


def test_an_upright_picture_has_no_mask_of_its_own() -> None:
    half = Image.new("RGBA", (2, 1), (9, 9, 9, 255))
    half.putpixel((1, 0), (9, 9, 9, 0))
    assert [_mask(half).getpixel(place) for place in ((0, 0), (1, 0))] == [0, 255]


def test_what_was_transparent_is_the_mask_with_the_model_of_old(client: OpenAI, server: Served) -> None:
    answer = client.images.edit(image=mask(), prompt="a red fox", model="dall-e-2", response_format="b64_json")
    assert record_of(server, answer).request.mask is not None
    answer = client.images.edit(image=mask(), prompt="a red fox")
    assert record_of(server, answer).request.mask is None


@pytest.mark.parametrize(
    ("said", "param"),
    [
        ({"image": [png(), png()]}, "image"),
        ({"image": b"no picture"}, "image"),
        ({"image": png(), "mask": png()}, "mask"),
        ({"image": png(), "mask": mask(32)}, "mask"),
        ({"image": png(), "markup": png()}, "markup"),
        ({"image": png(), "extra_body": {"init": "sha256:" + "0" * 64}}, "image"),
        ({"image": png(), "extra_body": {"steps": "many"}}, "steps"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(client: OpenAI, said: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.images.edit(prompt="a red fox", **said)  # type: ignore[call-overload]
    assert caught.value.param == param
