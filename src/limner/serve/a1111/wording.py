"""Answers as JSON that every client can read; errors as the web UI words them: ``{error, detail, body, errors}``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.responses import Response

from limner.errors import InvalidRequest

if TYPE_CHECKING:
    from pydantic import JsonValue
    from starlette.requests import HTTPConnection

    from limner.serve.errors import Fault

FIELDS: Mapping[str, str] = {
    "guidance": "cfg_scale",
    "negative": "negative_prompt",
    "solver": "sampler_name",
    "schedule": "scheduler",
    "variation_seed": "subseed",
    "variation": "subseed_strength",
    "strength": "denoising_strength",
    "init": "init_images",
    "hires": "hr_scale",
    "hires_steps": "hr_second_pass_steps",
    "hires_upscaler": "hr_upscaler",
    "inpaint_padding": "inpaint_full_res_padding",
    "model": "sd_model_checkpoint",
    "vae": "sd_vae",
    "clip_skip": "CLIP_stop_at_last_layers",
    "noise_delta": "eta_noise_seed_delta",
    "n": "batch_size x n_iter",
}
"""What the web UI calls fields of a Request."""


class SamplerNotFound(InvalidRequest):
    code = "sampler_not_found"


class InitImageNotFound(InvalidRequest):
    code = "init_image_not_found"


class ScriptNotFound(InvalidRequest):
    code = "script_not_found"


class NotHere(InvalidRequest):
    """The web UI can do it; nothing here can."""

    code = "not_implemented"


class Busy(InvalidRequest):
    code = "busy"


STATUSES: Mapping[str, int] = {
    SamplerNotFound.code: 404,
    InitImageNotFound.code: 404,
    NotHere.code: 501,
    Busy.code: 409,
}


def worded(connection: HTTPConnection, found: Fault) -> Response:
    """A Fault as an answer. ``error`` is its code, ``errors`` the field that is wrong, where there is one."""
    trouble = found.trouble
    status = STATUSES.get(trouble.code, found.status)
    if trouble.code == "unknown_name" and trouble.field == "model":
        status = 404
    said = "; ".join(part.rstrip(".") for part in (trouble.message, trouble.hint) if part)
    field = FIELDS.get(trouble.field or "", trouble.field or "")
    body: dict[str, JsonValue] = {"error": trouble.code, "detail": said, "body": "", "errors": field}
    return answer(body, status, found.headers)


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON in ASCII; numbers that JSON cannot say are ``null``. What clients sent may hold both."""
    text = json.dumps(_said(body), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Response(text, status, dict(headers or {}), media_type="application/json")


def _said(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _said(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_said(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
