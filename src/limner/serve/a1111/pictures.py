"""Pictures that are sent: start pictures and masks, as the web UI reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

from limner.errors import InvalidRequest, UnreadablePicture
from limner.serve.a1111.wording import InitImageNotFound
from limner.serve.uploads import Upload, of_base64, take_in, upload

if TYPE_CHECKING:
    from limner.serve.a1111.bodies import Img2Img
    from limner.serve.service import Service

HALF = 128


async def taken_in(own: Service, body: Img2Img) -> dict[str, str]:
    """The Request's ``init`` and ``mask``. Raises ``InvalidRequest``, ``StorageError``."""
    given = [each for each in body.init_images if each.strip()]
    if not given:
        raise InitImageNotFound("Init image not found", field="init_images", hint="send one as base64")
    if len(given) > 1:
        raise InvalidRequest(
            f"init_images: {len(given)} pictures were sent, and one is drawn over at a time",
            field="init_images",
            hint="send a request for each",
        )
    image = flattened((await decoded(given[0], "init_images")).image)
    pictures = {"init": await take_in(own.session, image)}
    mask = body.mask or body.latent_mask
    if mask is not None:
        drawn = redrawn((await decoded(mask, "mask")).image)
        if drawn.size != image.size:
            drawn = drawn.resize(image.size, Image.Resampling.LANCZOS)
        pictures["mask"] = await take_in(own.session, drawn)
    return pictures


async def decoded(text: str, field: str) -> Upload:
    """A picture in base64. Raises ``InvalidRequest`` that names ``field``."""
    try:
        return await upload(of_base64(text))
    except (InvalidRequest, UnreadablePicture) as error:
        raise InvalidRequest(f"{field}: {error.message}", field=field, hint=error.hint) from error


def flattened(image: Image.Image) -> Image.Image:
    """Mode RGB; what is transparent is white, the web UI's usual background."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def redrawn(image: Image.Image) -> Image.Image:
    """White where a mask says that it is redrawn: its alpha, where that is not the same everywhere, else its light."""
    if image.mode == "RGBA":
        alpha = image.getchannel("A")
        if alpha.getextrema() != (255, 255):
            return alpha.point(lambda value: 255 if value > HALF else 0)
    return image.convert("L")
