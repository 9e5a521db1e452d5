"""The studio: server-rendered pages, fragments for htmx, and static files. See README.md for how to add one.

Every module here that has a ``router`` is part of it.
"""

from __future__ import annotations

import importlib
import pkgutil

from fastapi import APIRouter

from limner.serve.shell import Dialect
from limner.serve.studio.worded import worded

router = APIRouter(include_in_schema=False)
dialect = Dialect("", worded)
"""Pages are at the root, so this dialect words every error that no other dialect does."""

for _each in sorted(pkgutil.iter_modules(__path__, f"{__name__}."), key=lambda found: found.name):
    _module = importlib.import_module(_each.name)
    _routes = getattr(_module, "router", None)
    if isinstance(_routes, APIRouter):
        router.include_router(_routes)
