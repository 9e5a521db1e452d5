"""Light, dark, or as the system has it: a cookie, so that the first paint is right."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from limner.serve.studio.templating import THEME, THEMES, form_of, see, theme_of, wants_fragment

router = APIRouter()
YEAR = 365 * 86_400


@router.post("/ui/theme")
async def choose(request: Request) -> Response:
    """Keep the choice; without one, the next of system, dark, light."""
    following = {"": "dark", "dark": "light", "light": ""}
    wanted = (await form_of(request)).get("theme", [following[theme_of(request)]])[0]
    answer = Response(status_code=204) if wants_fragment(request) else see("/")
    if wanted in THEMES:
        answer.set_cookie(THEME, wanted, max_age=YEAR, samesite="lax", httponly=True)
    else:
        answer.delete_cookie(THEME)
    return answer
