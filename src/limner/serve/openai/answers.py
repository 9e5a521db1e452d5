"""What ``/v1/images`` answers: pictures, sizes, usage, notices."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from limner.errors import LimnerError
from limner.serve.native.asking import linted
from limner.serve.native.bodies import LintBody
from limner.serve.openai.encoding import Wish, aside, in_base64, written
from limner.serve.openai.sizes import text_of

if TYPE_CHECKING:
    from pydantic import JsonValue
    from starlette.requests import Request

    from limner.library.entries import Entry
    from limner.serve.jobs import Job
    from limner.serve.openai.asked import Asked
    from limner.serve.openai.sizes import Size
    from limner.serve.service import Service

DALLE = "dalle-mini"
What = Literal["image_generation", "image_edit"]


@dataclass(frozen=True, slots=True)
class Answering:
    """How one request is answered. ``base``: the URL that the client called the server by; ``answered``: the size of
    the pictures, where it is not that in which they are drawn."""

    own: Service
    asked: Asked
    base: str
    what: What
    answered: Size | None

    @classmethod
    def of(cls, own: Service, asked: Asked, request: Request, what: What, answered: Size | None) -> Answering:
        return cls(own, asked, str(request.base_url).rstrip("/"), what, answered)

    @property
    def wish(self) -> Wish:
        return Wish(self.asked.format, self.asked.output_compression, self.answered)

    async def whole(self, job: Job) -> dict[str, JsonValue]:
        """The answer to a request that waited for all of its pictures. Raises ``PictureNotFound``, ``LibraryError``."""
        entries = [await self.entry(each) for each in job.made]
        data: list[JsonValue] = list(await asyncio.gather(*(self._item(each) for each in entries)))
        return {
            "created": int(job.created),
            **self.about(entries[0]),
            "data": data,
            "usage": await self.usage(job, entries),
            **self._identifier(),
            "limner": self.extra(job, entries[0]),
        }

    async def entry(self, picture: str) -> Entry:
        return await asyncio.to_thread(self.own.session.library.get, picture)

    def about(self, entry: Entry) -> dict[str, JsonValue]:
        """What is the same in answers and events."""
        return {
            "background": "opaque",
            "output_format": self.asked.output_format,
            "quality": self.asked.level,
            "size": text_of(self.answered or (entry.width, entry.height)),
        }

    async def encoded(self, entry: Entry) -> str:
        return in_base64(await aside(written, self.own, entry, self.wish))

    async def completed(self, job: Job, entry: Entry) -> dict[str, JsonValue]:
        """The last event of a picture."""
        return {
            "type": f"{self.what}.completed",
            "b64_json": await self.encoded(entry),
            "created_at": int(job.created),
            **self.about(entry),
            "usage": await self.usage(job, [entry]),
            **self._identifier(),
            **self._own_words(entry),
            "limner": self.extra(job, entry),
        }

    async def usage(self, job: Job, entries: list[Entry]) -> dict[str, JsonValue]:
        """Tokens: those of the words that the model reads, and of the pictures where it draws with tokens."""
        text = await asyncio.to_thread(partial(_tokens, self.own, entries[0].prompt, entries[0].model))
        image = sum(_drawn_tokens(each) for each in entries)
        return {
            "input_tokens": text,
            "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
            "output_tokens": image,
            "output_tokens_details": {"image_tokens": image, "text_tokens": 0},
            "total_tokens": text + image,
        }

    def extra(self, job: Job, entry: Entry) -> dict[str, JsonValue]:
        """What OpenAI has no word for."""
        drawn: dict[str, JsonValue] = {} if self.answered is None else {"drawn_size": _size_of(entry)}
        notices: list[JsonValue] = [{"code": each.code, "message": each.message} for each in job.notices]
        return {"job": job.id, "model": entry.model, **drawn, "notices": notices}

    async def _item(self, entry: Entry) -> dict[str, JsonValue]:
        if self.asked.by_url:
            return {"url": self._url(entry), **self._own_words(entry)}
        return {"b64_json": await self.encoded(entry), **self._own_words(entry)}

    def _own_words(self, entry: Entry) -> dict[str, JsonValue]:
        """The picture's name and seed, and the words it was drawn from where styles or wildcards changed them."""
        revised: dict[str, JsonValue] = {} if entry.prompt == self.asked.prompt else {"revised_prompt": entry.prompt}
        return {"id": entry.id, "seed": entry.seed, **revised}

    def _url(self, entry: Entry) -> str:
        wish = self.wish
        if wish.size is None and wish.format == entry.format:
            return f"{self.base}/api/v1/pictures/{entry.id}/file"
        size = None if wish.size is None else text_of(wish.size)
        said = {"output_format": wish.format, "output_compression": wish.quality, "size": size}
        query = urlencode({name: value for name, value in said.items() if value is not None})
        return f"{self.base}/v1/images/files/{entry.id}?{query}"

    def _identifier(self) -> dict[str, JsonValue]:
        found = self.asked.safety_identifier or self.asked.user
        return {"safety_identifier": found} if found else {}


def _tokens(own: Service, prompt: str, model: str) -> int:
    """Tokens of the words, as the model counts them; 0 where it does not say."""
    try:
        return linted(own, LintBody(prompt=prompt, model=model)).tokens
    except (LimnerError, ValueError):
        return 0


def _drawn_tokens(entry: Entry) -> int:
    recipe = None if entry.record is None else entry.record.recipe
    return recipe.latent[1] * recipe.latent[2] if recipe is not None and recipe.family == DALLE else 0


def _size_of(entry: Entry) -> str:
    return text_of((entry.width, entry.height))
