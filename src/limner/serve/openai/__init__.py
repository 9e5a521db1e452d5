"""OpenAI's images API, below ``/v1``: generations, edits, models; streaming, and errors in its shape.

Written against the client library ``openai`` 3.54. What a client may send, and what it gets, is in ``docs/clients.md``.
"""

from __future__ import annotations

from fastapi import APIRouter

from limner.serve.openai import files, images, models
from limner.serve.openai.wording import worded
from limner.serve.shell import Dialect

PREFIX = "/v1"
dialect = Dialect(PREFIX, worded)
router = APIRouter(prefix=PREFIX, tags=["openai"])
for _each in (images, files, models):
    router.include_router(_each.router)

__all__ = ["dialect", "files", "images", "models", "router"]
