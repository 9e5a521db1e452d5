"""What may be asked of ``/v1/images``: OpenAI's parameters, checked, and those of Limner's own beside them.

A parameter that is ``null`` was not said. JSON is taken as it is typed, a form's values are words.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from limner.errors import InvalidRequest
from limner.serve.openai.wording import MissingParameter, UnknownParameter, WrongType, WrongValue
from limner.types import Request

Format = Literal["png", "jpeg", "webp"]
Level = Literal["low", "medium", "high", "xhigh", "max"]
Values: TypeAlias = Mapping[str, JsonValue]

OLD_MODELS = ("dall-e-2", "dall-e-3")
THEIR_MODELS = ("gpt-image-", "chatgpt-image", *OLD_MODELS)
"""Beginnings of the names of OpenAI's own models, which clients send that cannot be told another one."""
OTHER_NAMES: Mapping[str, str] = {
    "negative_prompt": "negative",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "cfg_scale": "guidance",
}
"""What others call fields of a Request."""
OURS = frozenset(Request.model_fields) - {"prompt", "model", "n"}
NOT_OURS: Mapping[str, str] = {
    "svg": "no model here draws vector graphics",
    "frame_count": "no model here makes animations",
    "frame_duration_ms": "no model here makes animations",
    "complexity": "no model here plans a picture before it draws it; quality says how many steps are taken",
    "markup": "no model here reads marks drawn over a picture; send a mask",
}
"""Parameters of OpenAI's that are refused, and why."""


class Asked(BaseModel):
    """A request for pictures. Parameters have OpenAI's names and ranges; ``extra`` are fields of a Limner Request."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prompt: Annotated[str, Field(min_length=1)]
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=10)] = 1
    size: str = "auto"
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] = "auto"
    background: Literal["auto", "opaque", "transparent"] = "auto"
    output_format: Literal["png", "jpeg", "webp", "gif", "svg"] = "png"
    output_compression: Annotated[int | None, Field(ge=0, le=100)] = None
    moderation: Literal["auto", "low"] = "auto"
    stream: bool = False
    partial_images: Annotated[int, Field(ge=0, le=3)] = 0
    response_format: Literal["url", "b64_json"] | None = None
    style: Literal["vivid", "natural"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    user: str | None = None
    safety_identifier: str | None = None

    @property
    def legacy(self) -> bool:
        """Whether a DALL-E model was asked for: their clients expect other answers."""
        return self.model in OLD_MODELS

    @property
    def by_url(self) -> bool:
        """Whether pictures are answered as links: the DALL-E models' way where nothing else was said."""
        return self.response_format == "url" or (self.response_format is None and self.legacy)

    @property
    def their_model(self) -> bool:
        """Whether the model is one of OpenAI's own."""
        return self.model is not None and self.model.startswith(THEIR_MODELS)

    @property
    def format(self) -> Format:
        assert self.output_format != "gif"
        assert self.output_format != "svg"
        return self.output_format

    @property
    def level(self) -> Level:
        """The quality, as it is told in the answer."""
        named: Mapping[str, Level] = {"auto": "medium", "standard": "medium", "hd": "high"}
        return named.get(self.quality) or self.quality  # type: ignore[return-value]

    @classmethod
    def of(cls, values: Values, *, typed: bool = True) -> tuple[Self, dict[str, JsonValue]]:
        """(parameters, fields of a Request) of a body. ``typed``: values have JSON's types, else they are words.

        Raises ``InvalidRequest`` with one of OpenAI's codes, naming the parameter."""
        said = {name: value for name, value in values.items() if value is not None and (name, value) != ("model", "")}
        for name in said.keys() & NOT_OURS.keys():
            raise UnknownParameter(f"{name}: {NOT_OURS[name]}", field=name, hint="leave it out")
        theirs = {name: value for name, value in said.items() if name in cls.model_fields}
        ours = _ours({name: value for name, value in said.items() if name not in theirs})
        try:
            asked = cls.model_validate(theirs, strict=typed)
        except ValidationError as error:
            raise _wrong(error.errors()[0]) from None
        asked._check()
        return asked, ours

    def _check(self) -> None:
        if self.background == "transparent":
            raise WrongValue(
                "background: no model here draws transparent backgrounds",
                field="background",
                hint="use opaque or auto",
            )
        if self.output_format in ("gif", "svg"):
            raise WrongValue(
                f"output_format: {self.output_format} cannot be written", field="output_format", hint="png, jpeg, webp"
            )
        if self.output_format == "png" and self.output_compression not in (None, 100):
            raise WrongValue(
                "output_compression: PNG is always lossless", field="output_compression", hint="use jpeg or webp"
            )
        if self.stream and self.response_format == "url":
            raise WrongValue("response_format: a stream brings pictures, not links", field="response_format")
        if self.partial_images and not self.stream:
            raise WrongValue("partial_images: only a stream brings them", field="partial_images", hint="stream=true")


def _ours(rest: Values) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for given, value in rest.items():
        name = OTHER_NAMES.get(given, given)
        if name not in OURS:
            known = (*Asked.model_fields, *OURS)
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
            hint = f"did you mean {near[0]!r}?" if near else "docs/clients.md lists them"
            raise UnknownParameter(f"unknown parameter: {given[:60]!r}", field=given[:60], hint=hint)
        if name in found:
            raise WrongValue(f"{given}: {name!r} was given too", field=given, hint="give one of them")
        found[name] = value
    return found


def _wrong(first: ErrorDetails) -> InvalidRequest:
    """pydantic's first error, as OpenAI words such errors."""
    name, kind, context = str(first["loc"][0]), first["type"], first.get("ctx", {})
    if kind == "missing":
        return MissingParameter(f"missing required parameter: {name!r}", field=name)
    if kind == "literal_error":
        expected = context.get("expected", "")
        return WrongValue(f"invalid value for {name!r}: supported are {expected}", field=name)
    if kind.endswith(("_type", "_parsing")):
        return WrongType(f"invalid type for {name!r}: {_lower(first['msg'])}", field=name)
    return WrongValue(f"invalid {name!r}: {_lower(first['msg'])}", field=name)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
