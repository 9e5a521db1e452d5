"""The API of AUTOMATIC1111's web UI, below ``/sdapi/v1``, for programs that were written for it.

What a request asks is drawn by the web UI's rules (``compat="a1111"``), and what of it cannot be had is said in the
answer's ``info`` as ``limner_notices``. What differs is in ``docs/a1111.md``.
"""

from __future__ import annotations

from fastapi import APIRouter

from limner.serve.a1111 import drawing, extras, inspecting, lists, networks, options, progress, workings
from limner.serve.a1111.wording import worded
from limner.serve.shell import Dialect

PREFIX = "/sdapi/v1"
dialect = Dialect("/sdapi", worded)
router = APIRouter(prefix=PREFIX, tags=["a1111"])
for _each in (drawing, progress, options, lists, networks, extras, inspecting, workings):
    router.include_router(_each.router)

__all__ = [
    "dialect",
    "drawing",
    "extras",
    "inspecting",
    "lists",
    "networks",
    "options",
    "progress",
    "router",
    "workings",
]
