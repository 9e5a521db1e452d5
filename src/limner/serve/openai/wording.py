"""Errors as OpenAI words them: ``{"error": {"message", "type", "param", "code"}}``.

Clients choose the class of their error by the status alone, show the message, and look at the code of a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from limner.errors import InvalidRequest
from limner.serve.errors import Fault

if TYPE_CHECKING:
    from pydantic import JsonValue
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

REFUSED = "moderation_blocked"
REFUSED_OF_OLD = "content_policy_violation"
"""What the same was called when the DALL-E models drew."""
TYPES: Mapping[int, str] = {401: "authentication_error", 403: "permission_error", 429: "requests"}
CODES: Mapping[str, str] = {
    "unauthorized": "invalid_api_key",
    "queue_full": "rate_limit_exceeded",
    "too_many_attempts": "rate_limit_exceeded",
    "unreadable_picture": "invalid_image",
    "invalid_request": "invalid_value",
    "internal": "server_error",
}
"""Our codes that OpenAI has another one for; the others stay."""
STATUSES: Mapping[str, int] = {
    REFUSED: 400,
    "invalid_request": 400,
    "unknown_name": 400,
    "unsupported_field": 400,
    "unreadable_picture": 400,
    "picture_not_found": 400,
}
"""Statuses that another one is usual for, by our code. A model that does not exist is a 404 all the same."""
PARAMS: Mapping[str, str] = {"width": "size", "height": "size", "init": "image"}
"""Request fields that OpenAI has another name for."""


class MissingParameter(InvalidRequest):
    code = "missing_required_parameter"


class UnknownParameter(InvalidRequest):
    code = "unknown_parameter"


class WrongType(InvalidRequest):
    code = "invalid_type"


class WrongValue(InvalidRequest):
    code = "invalid_value"


class WrongImage(InvalidRequest):
    code = "invalid_image"


class WrongBody(InvalidRequest):
    code = "invalid_body"


class Retired(InvalidRequest):
    code = "endpoint_retired"


OWN = frozenset(
    kind.code for kind in (MissingParameter, UnknownParameter, WrongType, WrongValue, WrongImage, WrongBody)
)


def worded(connection: HTTPConnection, found: Fault) -> Response:
    """A Fault as an answer."""
    if found.status == 404 and found.trouble.code == "not_found":
        method = connection.scope.get("method", "GET")
        message = f"Invalid URL ({method} {connection.scope['path'][:200]}): there is nothing here"
        found = Fault(404, found.trouble.model_copy(update={"message": message}), found.headers)
    return JSONResponse({"error": error_of(found)}, status_of(found), dict(found.headers))


def status_of(found: Fault) -> int:
    """The status that OpenAI would answer with."""
    code = found.trouble.code
    if code == Retired.code or (code == "unknown_name" and found.trouble.field == "model"):
        return 404
    return 400 if code in OWN else STATUSES.get(code, found.status)


def error_of(found: Fault, *, of_old: bool = False) -> dict[str, JsonValue]:
    """A Fault in OpenAI's words. ``of_old``: for a client that asked for a DALL-E model."""
    trouble, status = found.trouble, status_of(found)
    message = "; ".join(part.rstrip(".") for part in (trouble.message, trouble.hint) if part)
    code, kind = CODES.get(trouble.code, trouble.code), TYPES.get(status, "invalid_request_error")
    if trouble.code == REFUSED:
        message = f"{message}. safety_violations=[{trouble.category or 'other'}]."
        code, kind = (REFUSED_OF_OLD, kind) if of_old else (REFUSED, "image_generation_user_error")
    elif status == 404 and trouble.code in ("unknown_name", "model_not_found"):
        code = "model_not_found"
    elif status >= 500:
        kind = "server_error"
    field = trouble.field
    return {"message": message, "type": kind, "param": PARAMS.get(field, field) if field else None, "code": code}
