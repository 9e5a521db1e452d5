"""Errors as HTTP: every error becomes one ``Fault``, which each dialect words in its own shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from limner import errors
from limner.serve.jobs import Kind, Trouble
from limner.serve.service import Draining, QueueFull

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

STATUS: tuple[tuple[type[errors.LimnerError], int], ...] = (
    (QueueFull, 429),
    (Draining, 503),
    (errors.InvalidRequest, 422),
    (errors.Refused, 403),
    (errors.PictureNotFound, 404),
    (errors.UnreadablePicture, 422),
    (errors.LibraryError, 503),
    (errors.ModelNotFound, 404),
    (errors.MissingExtra, 501),
    (errors.NetworkError, 502),
    (errors.OfflineError, 409),
    (errors.ModelError, 422),
    (errors.DeviceError, 422),
    (errors.SigningError, 503),
    (errors.ResourceError, 507),
    (errors.EvidenceError, 422),
    (errors.Cancelled, 409),
    (errors.LimnerError, 500),
)
"""The first that fits holds."""
DRAINED = 10  # seconds after which a server that is stopping may be back
AGAIN = (QueueFull, Draining, errors.NetworkError)
"""Errors after which asking again may help."""
CODES: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "too_many_requests",
}
TAGS = frozenset({*get_args(Kind), "request"})
"""What pydantic puts before a field where a body may be one of several."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in an answer: its status, the Trouble in words, and headers that belong to it."""

    status: int
    trouble: Trouble
    headers: Mapping[str, str] = field(default_factory=dict)


Worded = Callable[["HTTPConnection", Fault], "Response"]
"""How a dialect says a Fault. It must use the Fault's headers; the status may be another one."""


def fault(status: int, message: str, *, code: str = "", hint: str = "", field: str | None = None) -> Fault:
    """A Fault that no error of Limner's stands for: a wrong path, a body too large."""
    said = code or CODES.get(status, "error")
    return _headed(status, Trouble(code=said, message=message, hint=hint, field=field))


def fault_of(error: BaseException) -> Fault:
    """An error as a Fault: its status, its words, ``Retry-After`` where there is one."""
    if isinstance(error, RequestValidationError):
        return _unfit(error)
    if isinstance(error, HTTPException):
        found = fault(error.status_code, _words(error))
        return Fault(found.status, found.trouble, {**found.headers, **(error.headers or {})})
    if not isinstance(error, errors.LimnerError):
        # what broke is in the log; a stranger learns nothing of the inside
        return _headed(500, Trouble(code="internal", message="something in Limner broke", hint="limner doctor"))
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    again = isinstance(error, AGAIN)
    found = _headed(status, Trouble.of(error, retry=again))
    if isinstance(error, QueueFull):
        return Fault(status, found.trouble, {**found.headers, "retry-after": str(error.retry_after)})
    if isinstance(error, Draining):
        return Fault(status, found.trouble, {**found.headers, "retry-after": str(DRAINED)})
    return found


def fault_of_trouble(trouble: Trouble) -> Fault:
    """Why a job failed, as the Fault of a request that waited for it."""
    if trouble.code == "deadline":
        return _headed(504, trouble)
    known = {kind.code: status for kind, status in reversed(STATUS)}
    more = {kind.code: next(s for k, s in STATUS if issubclass(kind, k)) for kind in _all(errors.LimnerError)}
    return _headed({**more, **known}.get(trouble.code, 500), trouble)


def plain(connection: HTTPConnection, found: Fault) -> Response:
    """The native shape: ``{"error": Trouble}``."""
    body = {"error": found.trouble.model_dump(mode="json", exclude_none=True)}
    return JSONResponse(body, found.status, dict(found.headers))


def _headed(status: int, trouble: Trouble) -> Fault:
    """Clients repeat what failed with 408, 409, 429 or 5xx, unless they are told that it is useless."""
    return Fault(status, trouble, {"x-should-retry": "true" if trouble.retry else "false"})


def _words(error: HTTPException) -> str:
    known = {404: "there is nothing here", 405: "this cannot be done here"}
    return known.get(error.status_code, str(error.detail))


def _unfit(error: RequestValidationError) -> Fault:
    first = error.errors()[0]
    place = [str(each) for each in first["loc"] if each not in ("body", "query", "path", "header")]
    if len(place) > 1 and place[0] in TAGS:
        place = place[1:]
    name = ".".join(place) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return fault(400, "the body is not JSON", code="invalid_json", hint=str(first.get("ctx", {}).get("error", "")))
    return fault(422, f"{name}: {message}" if name else message, code="invalid_request", field=name)


def _all(kind: type[errors.LimnerError]) -> set[type[errors.LimnerError]]:
    return {kind}.union(*(_all(each) for each in kind.__subclasses__()))
