"""``/png-info``: what a picture's file says of itself; and ``/interrogate``, which nothing here can do."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from limner.library import a1111
from limner.library.metadata import Found
from limner.serve.a1111.bodies import Encoded, Lenient
from limner.serve.a1111.pictures import decoded
from limner.serve.a1111.wording import NotHere, answer

router = APIRouter()


class PngInfo(Lenient):
    """A picture."""

    image: Encoded


class Interrogate(Lenient):
    """A picture to be put into words."""

    image: Encoded = ""
    model: str = "clip"


@router.post("/png-info", response_class=JSONResponse)
async def png_info(body: PngInfo) -> Response:
    """Settings in a PNG, JPEG or WebP file: ``info`` as text, ``items`` all that stands there, ``parameters`` by the
    web UI's names."""
    return answer(said((await decoded(body.image, "image")).found))


@router.post("/interrogate", response_class=JSONResponse)
async def interrogate(body: Interrogate) -> Response:
    """Always an error: no model here puts pictures into words."""
    raise NotHere(
        "interrogate: no model here puts pictures into words",
        field="model",
        hint="png-info reads the words of a picture that carries them",
    )


def said(found: Found) -> dict[str, JsonValue]:
    """What a file says, as the web UI tells it."""
    text = found.raw.get("parameters") or found.raw.get("UserComment") or ""
    items: dict[str, JsonValue] = dict(found.raw.items())
    return {"info": text, "items": items, "parameters": _parameters(text) if text else {}}


def _parameters(text: str) -> dict[str, JsonValue]:
    prompt, negative, settings = a1111.read(text)
    found: dict[str, JsonValue] = {"Prompt": prompt, "Negative prompt": negative}
    for name, value in settings:
        width, by, height = value.partition("x")
        if by and width.isdigit() and height.isdigit():  # the web UI takes sizes apart
            found |= {f"{name}-1": width, f"{name}-2": height}
        else:
            found[name] = value
    return found
