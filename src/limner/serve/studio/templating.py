"""Pages and fragments: one Jinja2 environment, everything escaped, nothing undefined."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from limner import __version__
from limner.serve.shell import service
from limner.serve.studio.statics import BASE
from limner.serve.studio.words import FILTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection, Request

THEME = "limner_theme"
THEMES = ("light", "dark")
NAV = (("create", "/", "Create"), ("gallery", "/gallery", "Gallery"), ("compare", "/compare", "Compare"))
MODELS = ("models", "/models", "Models")


@cache
def environment() -> Environment:
    """The templates of ``templates/``."""
    made = Environment(
        loader=PackageLoader("limner.serve.studio"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    made.globals.update(static=BASE, version=__version__, nav=(*NAV, MODELS))
    return made


def page(
    request: HTTPConnection,
    template: str,
    here: str,
    context: Mapping[str, object] | None = None,
    *,
    status: int = 200,
) -> Response:
    """A whole page that extends ``base.html``; ``here`` is its entry in the navigation, or ``""``."""
    return HTMLResponse(rendered(template, {"here": here, **_standing(request), **(context or {})}), status)


def fragment(
    template: str,
    context: Mapping[str, object] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A piece of a page, for htmx to put in its place."""
    return HTMLResponse(rendered(template, context or {}), status, dict(headers or {}))


def rendered(template: str, context: Mapping[str, object]) -> str:
    """A template's text."""
    return environment().get_template(template).render(context)


def wants_fragment(request: HTTPConnection) -> bool:
    """Whether htmx asks, and not a plain link or form."""
    return request.headers.get("hx-request") == "true"


def see(url: str) -> Response:
    """Go there next: the answer to a plain form."""
    return RedirectResponse(url, 303)


def back(request: Request, otherwise: str) -> Response:
    """To the page of ours that a plain form was on; ``otherwise`` where the browser does not say or it was no page of
    ours."""
    said = urlsplit(request.headers.get("referer", ""))
    ours = said.netloc == request.url.netloc and said.path.startswith("/") and not said.path.startswith("//")
    return see(f"{said.path}?{said.query}".rstrip("?") if ours else otherwise)


async def form_of(request: Request) -> dict[str, list[str]]:
    """What a form sent, less files: the values of each name, in order."""
    async with request.form(max_files=0, max_fields=400, max_part_size=256 * 1024) as sent:
        found: dict[str, list[str]] = {}
        for name, value in sent.multi_items():
            if isinstance(value, str):
                found.setdefault(name, []).append(value)
        return found


def theme_of(request: HTTPConnection) -> str:
    """``light`` or ``dark`` where the visitor chose; ``""`` follows the system."""
    chosen = request.cookies.get(THEME, "")
    return chosen if chosen in THEMES else ""


def _standing(request: HTTPConnection) -> dict[str, object]:
    """What every page shows. An error page may come where there is no service."""
    own = service(request)
    return {"theme": theme_of(request), "waiting": own.inside.pending, "resumed": own.resumed, "since": own.started}
