"""Bodies: JSON, and forms with pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from pydantic import JsonValue
from starlette.datastructures import UploadFile
from starlette.requests import Request

from limner.serve.openai.wording import MissingParameter, WrongBody, WrongImage, WrongValue
from limner.serve.uploads import MOST_BYTES

MOST_PICTURES = 16
MOST_FIELDS = 100
MOST_WORDS = 128 * 1024  # bytes of a field that is no file
FILES = ("image", "image[]", "mask")


@dataclass(frozen=True, slots=True)
class Form:
    """What a form brings: its fields, as words, and its pictures' bytes in their order."""

    fields: Mapping[str, JsonValue]
    pictures: tuple[bytes, ...]
    mask: bytes | None

    @property
    def sent(self) -> dict[str, JsonValue]:
        """All of it, pictures by their hash."""
        files = [hashlib.sha256(each).hexdigest() for each in (*self.pictures, self.mask or b"")]
        return {**self.fields, "files": [*files]}


async def read_json(request: Request) -> dict[str, JsonValue]:
    """The body, a JSON object. Raises ``InvalidRequest``."""
    try:
        found = json.loads(await request.body(), parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # half a character passes as JSON
    except (ValueError, RecursionError):
        raise WrongBody("the body is not valid JSON", hint="send a JSON object with at least a prompt") from None
    if not isinstance(found, dict):
        raise WrongBody("the body is not a JSON object", hint="send a JSON object with at least a prompt")
    return found


async def read_form(request: Request) -> Form:
    """The body, a form with one or more pictures. Raises ``InvalidRequest``, ``HTTPException`` for what is no form."""
    fields: dict[str, JsonValue] = {}
    pictures: list[bytes] = []
    mask: bytes | None = None
    async with request.form(max_files=MOST_PICTURES + 2, max_fields=MOST_FIELDS, max_part_size=MOST_WORDS) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                data = await value.read(MOST_BYTES + 1)
                if name == "mask":
                    if mask is not None:
                        raise WrongImage("mask: there are two", field="mask", hint="send one")
                    mask = data
                elif name in FILES:
                    pictures.append(data)
                else:
                    raise WrongValue(f"{name[:60]}: it is a file", field=name[:60], hint="files are image and mask")
            elif name in FILES:
                raise WrongImage(f"{name}: it is no file", field=name, hint="send it as a file of the form")
            else:
                _add(fields, name, value)
    if not pictures:
        raise MissingParameter("missing required parameter: 'image'", field="image", hint="send a form with a file")
    if len(pictures) > MOST_PICTURES:
        raise WrongImage(f"image: at most {MOST_PICTURES} pictures may be sent", field="image")
    return Form(fields, tuple(pictures), mask)


def _add(fields: dict[str, JsonValue], name: str, value: str) -> None:
    """``name[]`` is one of a list; the same name twice is a mistake."""
    bare = name.removesuffix("[]")
    if bare != name:
        several = fields.setdefault(bare, [])
        if not isinstance(several, list):
            raise WrongValue(f"{bare[:60]}: it was given twice", field=bare[:60])
        several.append(value)
    elif name in fields:
        raise WrongValue(f"{name[:60]}: it was given twice", field=name[:60])
    else:
        fields[name] = value


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)
