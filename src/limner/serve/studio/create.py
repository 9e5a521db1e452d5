"""The Create page: a picture now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from limner.serve.studio.templating import page

router = APIRouter()


@router.get("/")
async def create(request: Request) -> Response:
    """The page."""
    return page(request, "create/page.html", "create")
