"""Errors of the studio: a page for a browser, a card for htmx, JSON for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limner.serve.errors import Fault, plain

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

CARDS = "#troubles"
SHOWN = 409
"""htmx shows what has this status; one of 500 or more it takes for a broken server."""

STRANGERS = frozenset({303, 401, 421})
"""Whoever is answered so learns nothing more of this server."""


def worded(connection: HTTPConnection, found: Fault) -> Response:
    """A Fault as whoever asked can read it."""
    from limner.serve.studio.templating import fragment, page, wants_fragment

    if wants_fragment(connection):
        headers = {**found.headers, "hx-retarget": CARDS, "hx-reswap": "beforeend"}
        status = SHOWN if found.status >= 500 and found.trouble.code != "internal" else found.status
        return fragment("_trouble.html", {"trouble": found.trouble}, status=status, headers=headers)
    if found.status not in STRANGERS and _by_a_person(connection):
        said = {"trouble": found.trouble, "status": found.status}
        answer = page(connection, "error.html", "", said, status=found.status)
        answer.headers.update(found.headers)
        return answer
    return plain(connection, found)


def _by_a_person(connection: HTTPConnection) -> bool:
    path = str(connection.scope["path"])
    machine = path.startswith(("/api/", "/v1/", "/sdapi/", "/metrics", "/livez", "/readyz", "/static/", "/login"))
    return not machine and "text/html" in connection.headers.get("accept", "")
