"""Every route there is, with something in place of its parameters."""

from __future__ import annotations

import re

import fastapi.routing
from fastapi import FastAPI

ID = "0" * 14


def routes(app: FastAPI, fill: str = ID) -> list[tuple[str, str]]:
    """(method, path) of every way into the application; ``fill`` stands in for each path parameter."""
    return [(method, re.sub(r"\{[^}]*\}", fill, path)) for method, path in templates(app)]


def templates(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path as it is written) of every way into the application."""
    contexts = getattr(fastapi.routing, "iter_route_contexts", list)(app.routes)  # older versions flatten routers
    return sorted((method, each.path) for each in contexts for method in getattr(each, "methods", None) or ())
