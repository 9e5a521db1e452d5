"""The door of a server with a token: a page that takes it from the link's fragment, and sets the cookie.

A fragment never leaves the browser, so the token is in no log and no history of a proxy.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from limner.serve.errors import fault
from limner.serve.shell import shell
from limner.types.base import Frozen

router = APIRouter(include_in_schema=False)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Limner</title>
<link rel="stylesheet" href="/login.css">
<script src="/login.js" type="module"></script>
<main>
<h1>Limner</h1>
<form id="door">
<label for="token">Token</label>
<input id="token" type="password" autocomplete="current-password" required autofocus>
<button>Enter</button>
<p id="said" role="status"></p>
</form>
<p>The link that the server showed when it started carries it.</p>
</main>
</html>
"""
SCRIPT = """const door = document.getElementById("door");
const field = document.getElementById("token");
const said = document.getElementById("said");

async function enter(token) {
  const answer = await fetch("/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  if (answer.ok) {
    location.replace("/");
    return;
  }
  const { error } = await answer.json();
  said.textContent = error.message;
  field.select();
}

door.addEventListener("submit", (event) => {
  event.preventDefault();
  enter(field.value);
});

const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", location.pathname);
  enter(given);
}
"""
STYLE = """:root { color-scheme: light dark; font: 16px/24px system-ui, sans-serif; }
main { max-width: 24rem; margin: 20vh auto 0; padding: 0 16px; }
h1 { font-size: 28px; line-height: 36px; font-weight: 600; }
label { display: block; margin-bottom: 4px; }
input, button { font: inherit; min-height: 44px; padding: 0 12px; border-radius: 6px; border: 1px solid; }
input { width: 100%; box-sizing: border-box; margin-bottom: 12px; }
:focus-visible { outline: 2px solid; outline-offset: 2px; }
"""


class Door(Frozen):
    """What the page sends."""

    token: Annotated[str, StringConstraints(max_length=1_000)]


@router.get("/login")
async def page() -> Response:
    """The page that asks for the token."""
    return HTMLResponse(PAGE)


@router.get("/login.js")
async def script() -> Response:
    """Its script."""
    return Response(SCRIPT, media_type="text/javascript")


@router.get("/login.css")
async def style() -> Response:
    """Its looks."""
    return Response(STYLE, media_type="text/css")


@router.post("/login")
async def enter(request: Request, door: Annotated[Door, Body()]) -> Response:
    """Set the cookie, where the token is right."""
    tokens = shell(request).guard.tokens
    client = request.client.host if request.client else ""
    if tokens is None:
        return Response(status_code=204)
    word = request.app.state.word
    if tokens.wait(client) > 0:
        return _said(word(request, fault(429, "too many wrong tokens", hint="wait a minute")))
    if not tokens.right(door.token, client):
        return _said(word(request, fault(401, "this is not the token", code="unauthorized")))
    secure = request.url.scheme == "https"
    return Response(status_code=204, headers={"set-cookie": tokens.set_cookie(secure=secure)})


def _said(response: object) -> Response:
    assert isinstance(response, Response)
    return response
