"""From the web UI's parameters to a Limner Request: they are read as the settings of a picture of its would be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.errors import InvalidRequest, ModelNotFound
from limner.library import a1111
from limner.library.metadata import Found
from limner.prompts import extra_networks
from limner.sampling import compat
from limner.serve.a1111 import fitting, samplers, unheeded
from limner.serve.a1111.bodies import Drawing, Img2Img, Txt2Img
from limner.serve.a1111.checkpoints import found, title_of
from limner.serve.a1111.settings import Honoured, Kept
from limner.serve.names import refuse_paths
from limner.session.foreign import Restored, restore
from limner.session.ledger import Told
from limner.types import Notice, Request

if TYPE_CHECKING:
    from limner.library.a1111 import Value
    from limner.serve.service import Service

SINCE = "v1.10.1"  # its rules are followed as of this version
HR_STRENGTH = 0.75  # where a second pass or a picture drawn over says none
HR_UPSCALER = "Latent"
EDGE = 4.0  # softness of a mask's edge where none is said
RESIZES: Mapping[int, str] = {0: "stretch", 1: "crop", 2: "fit", 3: "stretch"}
QUIET = frozenset({"model", "RNG", "LoRA", "VAE", "sampler"})
"""Settings that are not told to be approximated: these were named here, not by a file with hashes; docs/a1111.md tells
of the noise, and the Plan of samplers."""
_TEMPLATE = re.compile(r"\\?([{}])|(__)")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is drawn, the size of the answer where that is another one, what is to be said, and the options that
    override the server's."""

    request: Request
    answered: tuple[int, int] | None
    notices: tuple[Notice, ...]
    overrides: Honoured


def draft(own: Service, body: Drawing, kept: Kept, pictures: Mapping[str, str]) -> Draft:
    """The Request that is meant; ``pictures`` are its ``init`` and ``mask``. Asks the disk.

    Raises ``InvalidRequest``, ``ModelError``."""
    unheeded.refuse(body)
    overrides = Honoured.of(body.override_settings)
    options = kept.honoured.but(overrides)
    said = _infotext(body)
    over = _over(body, said)
    named = options.sd_model_checkpoint if overrides.sd_model_checkpoint or "model" not in said else None
    said = {**said, **_fields(body), **options.fields()}
    rounded, shrunk = _whole(said)
    restored = _restored(own, {**said, **rounded}, named, options)
    fields: dict[str, object] = {name: getattr(restored.request, name) for name in restored.request.model_fields_set}
    fields |= {"n": body.n, "styles": tuple(body.styles), **pictures, **over}
    if "solver" not in fields and (schedule := compat.schedule_of(body.scheduler or "")) is not None:
        fields["schedule"] = schedule
    request = Request.of(**{name: value for name, value in fields.items() if value not in (None, ())})
    refuse_paths(request)
    fitted = fitting.fitted(own, request, resample=isinstance(body, Txt2Img))
    notices = (*_told(restored.told), *unheeded.unheeded(body, kept, request.solver), *shrunk, *fitted.notices)
    return Draft(fitted.request, fitted.answered, notices, overrides)


def _restored(own: Service, said: Mapping[str, Value], named: str | None, options: Honoured) -> Restored:
    """The settings as a Request. ``named`` is the model, ``None`` for the one that an infotext names, where it is
    here."""
    if not str(said.get("prompt", "")).strip():
        Request.of(prompt="")  # which says so
    if named is not None or "model" not in said:
        chosen = title_of(own, None) if named is None else named
        bare = {name: value for name, value in said.items() if name not in ("model", "model_hash")}
        picture = Found("a1111", fields=bare)
        return restore(picture, own.settings, own.session.catalog, model=found(own, chosen), name="the request")
    picture = Found("a1111", fields=said)
    try:
        return restore(picture, own.settings, own.session.catalog, name="the request")
    except ModelNotFound:
        chosen = found(own, options.sd_model_checkpoint or title_of(own, None))
        why = f"the model {said['model']!r} of the infotext is not here: drawn with {chosen}"
        again = restore(picture, own.settings, own.session.catalog, model=chosen, name="the request")
        return Restored(again.request, (*again.told, _not_here(str(said["model"]), why)))


def _not_here(model: str, why: str) -> Told:
    return Told("infotext", model, "not honoured", why)


def _infotext(body: Drawing) -> dict[str, Value]:
    """Settings of an infotext that was sent: they hold where the request itself says nothing."""
    if body.infotext is None:
        return {}
    fields = a1111.parse(body.infotext)
    if body.said("seed"):
        fields.pop("seed", None)
    if body.said("subseed_strength"):
        for name in ("variation", "variation_seed"):
            fields.pop(name, None)
    if body.said("width") or body.said("height"):
        for name in ("width", "height"):
            fields.pop(name, None)
    if isinstance(body, Img2Img) or body.said("enable_hr"):
        fields = {name: value for name, value in fields.items() if not name.lower().startswith("hires")}
    for name in ("Version", "compat"):
        fields.pop(name, None)
    return {name: _literal(str(value)) if name in ("prompt", "negative") else value for name, value in fields.items()}


def _fields(body: Drawing) -> dict[str, Value]:
    """What the request itself says, in the words of ``Found.fields``."""
    prompt = extra_networks.parse(body.prompt).text if body.disable_extra_networks else body.prompt
    said: dict[str, Value | None] = {
        "prompt": _literal(prompt) or None,
        "negative": _literal(body.negative_prompt) or None,
        "steps": body.steps,
        "guidance": body.cfg_scale,
        "seed": None if body.seed == -1 else body.seed,
        "width": body.width or body.height,
        "height": body.height or body.width,
        "Version": SINCE,
    }
    if body.sampler is not None:
        asked = samplers.sampler(body.sampler)
        said |= {"solver": asked.name, "schedule": asked.schedule or body.scheduler or samplers.AUTOMATIC}
    if body.subseed_strength > 0:
        said["variation"] = body.subseed_strength
        said["variation_seed"] = None if body.subseed == -1 else body.subseed
    if isinstance(body, Txt2Img) and body.enable_hr:
        said |= _second(body)
    return {name: value for name, value in said.items() if value is not None}


def _second(body: Txt2Img) -> dict[str, Value | None]:
    """A second pass."""
    factor: float | None = body.hr_scale
    if body.hr_resize_x or body.hr_resize_y:
        across = body.hr_resize_x / body.width if body.hr_resize_x and body.width else 0.0
        factor = across or (body.hr_resize_y / body.height if body.hr_resize_y and body.height else 0.0)
        if not factor:
            raise InvalidRequest("hr_resize_x: say width and height too", field="hr_resize_x", hint="or use hr_scale")
    if factor is None or not 1 < factor <= 8:
        raise InvalidRequest(
            f"hr_scale: a second pass enlarges 1 to 8 times, not {factor:g}", field="hr_scale", hint="say 2"
        )
    upscaler = body.hr_upscaler or HR_UPSCALER
    return {
        "hires": factor,
        "hires_steps": body.hr_second_pass_steps or None,
        "hires_upscaler": "lanczos" if upscaler == "None" else a1111.ours("hires_upscaler", upscaler),
        "strength": HR_STRENGTH if body.denoising_strength is None else body.denoising_strength,
    }


def _over(body: Drawing, said: dict[str, Value]) -> dict[str, object]:
    """How a start picture is drawn over, and a mask read; what an infotext ``said`` of that is taken out."""
    if not isinstance(body, Img2Img):
        return {}
    strength, edge = said.pop("strength", HR_STRENGTH), said.pop("mask_blur", EDGE)
    strength = strength if body.denoising_strength is None else body.denoising_strength
    fields: dict[str, object] = {"strength": strength, "resize": RESIZES[body.resize_mode]}
    if body.mask is None and body.latent_mask is None:
        return fields
    blurs = (body.mask_blur, body.mask_blur_x, body.mask_blur_y)
    fields |= {
        "mask_blur": next((each for each in blurs if each is not None), edge),
        "mask_invert": bool(body.inpainting_mask_invert),
        "inpaint_fill": "noise" if body.inpainting_fill in (2, 3) else "original",
        "inpaint_padding": body.inpaint_full_res_padding if body.inpaint_full_res else None,
    }
    return fields


def _whole(said: Mapping[str, Value]) -> tuple[dict[str, Value], tuple[Notice, ...]]:
    """Sides as multiples of 8, rounded down as the web UI does, and what that changes."""
    sides = {name: int(side) for name in ("width", "height") if isinstance(side := said.get(name), int)}
    whole: dict[str, Value] = {name: side - side % 8 for name, side in sides.items()}
    if whole == sides or len(sides) < 2:
        return {}, ()
    message = f"{sides['width']}x{sides['height']} is drawn at {whole['width']}x{whole['height']}: multiples of 8"
    return whole, (Notice(code="size-rounded", message=message),)


def _literal(text: str) -> str:
    """Braces and double underscores are words there; they mean choices and wildcards here."""
    return _TEMPLATE.sub(lambda match: "\\_\\_" if match[2] else f"\\{match[1]}", text)


def _told(told: tuple[Told, ...]) -> tuple[Notice, ...]:
    return tuple(
        Notice(code=each.fate.replace(" ", "-"), message=f"{each.name} {each.value}: {each.why}")
        for each in told
        if _is_news(each)
    )


def _is_news(told: Told) -> bool:
    if told.fate == "not honoured":
        return told.name != "model"
    return told.fate == "approximated" and told.name not in QUIET
