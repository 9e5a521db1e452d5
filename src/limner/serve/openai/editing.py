"""The pictures of an edit: decoded, written anew, named by their content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PIL import Image

from limner.errors import UnreadablePicture
from limner.serve.openai.wording import WrongImage, WrongValue
from limner.serve.uploads import take_in, upload

if TYPE_CHECKING:
    from pydantic import JsonValue

    from limner.serve.openai.asked import Asked
    from limner.serve.openai.reading import Form
    from limner.serve.service import Service

PICTURES = frozenset({"init", "mask"})


async def edited(own: Service, asked: Asked, ours: Mapping[str, JsonValue], form: Form) -> dict[str, JsonValue]:
    """The Request's ``init`` and ``mask``. Raises ``InvalidRequest``, ``StorageError``."""
    for name in PICTURES & ours.keys():
        raise WrongValue(f"{name}: an edit's pictures are its files", field=name, hint="send image and mask")
    if len(form.pictures) > 1:
        raise WrongImage(
            f"image: {len(form.pictures)} pictures were sent, and the models here begin with one",
            field="image",
            hint="send the one to be edited",
        )
    image = await _decoded(form.pictures[0], "image")
    mask = None
    if form.mask is not None:
        mask = _mask(await _decoded(form.mask, "mask"))
        if mask.size != image.size:
            raise WrongImage(
                f"mask: it is {mask.width}x{mask.height} and the picture {image.width}x{image.height}",
                field="mask",
                hint="make them the same size",
            )
    elif asked.model == "dall-e-2" and _is_cut_out(image):
        mask = _mask(image)  # with this model, what was transparent in the picture was its mask
    found: dict[str, JsonValue] = {"init": await take_in(own.session, image.convert("RGB"))}
    if mask is not None:
        found["mask"] = await take_in(own.session, mask)
    return found


async def _decoded(data: bytes, name: str) -> Image.Image:
    try:
        return (await upload(data)).image
    except UnreadablePicture as error:
        raise WrongImage(f"{name}: {error.message}", field=name, hint=error.hint) from error


def _mask(image: Image.Image) -> Image.Image:
    """White where the alpha of ``image`` says that it is to be redrawn."""
    if image.mode != "RGBA":
        raise WrongImage("mask: it has no alpha channel", field="mask", hint="make transparent what is to be redrawn")
    return image.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0)


def _is_cut_out(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema()[0] == 0
