"""What a request asks and does not get: refused where the picture would be another one, else said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from limner.errors import InvalidRequest
from limner.prompts.extra_networks import has_tag
from limner.sampling import catalog
from limner.serve.a1111 import samplers
from limner.serve.a1111.bodies import Drawing, Img2Img, Txt2Img
from limner.serve.a1111.settings import OWN, Kept, idle
from limner.serve.a1111.wording import ScriptNotFound
from limner.types import Notice

SAME = ("", "none", "use same checkpoint", "use same sampler", "use same scheduler")
CHURNED = frozenset({"euler", "heun"})
FILLS: Mapping[int, str] = {
    0: "what is masked starts from what is there, not from its blurred surroundings",
    3: "what is masked starts from noise, not from nothing",
}


def refuse(body: Drawing) -> None:
    """Raises ``InvalidRequest`` for a sampler, script or model that would have to be here and is not."""
    if body.sampler is not None:
        samplers.sampler(body.sampler)
    if body.script_name:
        raise ScriptNotFound(f"Script {body.script_name[:80]!r} not found", field="script_name", hint="none are here")
    for name in body.alwayson_scripts:
        raise ScriptNotFound(
            f"always on script {name[:80]!r} not found", field="alwayson_scripts", hint="no extension is here"
        )
    if _named(body.refiner_checkpoint):
        raise InvalidRequest(
            "refiner_checkpoint: no model takes over from another here",
            field="refiner_checkpoint",
            hint="leave it out, or ask for a second pass with enable_hr",
        )
    if isinstance(body, Txt2Img) and body.enable_hr and _named(body.hr_checkpoint_name):
        raise InvalidRequest(
            "hr_checkpoint_name: a second pass is drawn by the same model here",
            field="hr_checkpoint_name",
            hint="leave it out",
        )


def unheeded(body: Drawing, options: Kept, solver: str | None) -> tuple[Notice, ...]:
    """What has no effect, of what was said. ``solver`` is the one that draws, where the request says it."""
    said = dict(_said(body, solver))
    said.update((f"parameter {name[:60]}", "it is not known here") for name in body.unknown())
    others = {**options.others, **idle(body.override_settings)}
    said.update((f"option {name[:60]}", "it changes nothing here") for name in others if name not in OWN)
    return tuple(Notice(code="not-honoured", message=f"{what} has no effect: {why}") for what, why in said.items())


def _said(body: Drawing, solver: str | None) -> Iterator[tuple[str, str]]:
    if body.restore_faces:
        yield "restore_faces", "no face restorer is here"
    if body.tiling:
        yield "tiling", "pictures that repeat without a seam cannot be drawn here"
    if body.seed_resize_from_h > 0 or body.seed_resize_from_w > 0:
        yield "seed_resize_from", "the noise is of the picture's own size"
    if body.disable_extra_networks and has_tag(body.prompt):
        yield "<lora:...> in the prompt", "disable_extra_networks was asked for, and it is left out"
    if body.save_images and body.n > 1 and not body.do_not_save_grid:
        yield "save_images", "no grid is made; every picture is kept in the library, whatever is asked"
    if body.sampler is not None:
        yield from samplers.unheeded(samplers.sampler(body.sampler), body.scheduler)
    yield from _noise(body, solver)
    if isinstance(body, Txt2Img):
        yield from _second(body)
    elif isinstance(body, Img2Img):
        yield from _over(body)


def _noise(body: Drawing, solver: str | None) -> Iterator[tuple[str, str]]:
    card = None if solver is None else catalog.find(solver)
    if body.s_min_uncond:
        yield "s_min_uncond", "every step is steered here"
    if body.s_churn and (card is None or card.name in CHURNED):
        yield "s_churn", "no noise is added to this sampler's steps here"
    if card is not None and card.stochastic and body.s_noise not in (None, 1):
        yield "s_noise", "noise is added in full here"
    usual = 0 if solver == "ddim" else 1
    if card is not None and (card.stochastic or solver == "ddim") and body.eta not in (None, usual):
        yield f"eta {body.eta:g}", f"this sampler has an eta of {usual} here"


def _second(body: Txt2Img) -> Iterator[tuple[str, str]]:
    if not body.enable_hr:
        return
    if body.firstphase_width or body.firstphase_height:
        yield "firstphase_width and _height", "they are of an older way; width and height are the first pass's"
    pairs = (
        ("hr_sampler_name", body.hr_sampler_name, body.sampler),
        ("hr_scheduler", body.hr_scheduler, body.scheduler),
        ("hr_prompt", body.hr_prompt, body.prompt),
        ("hr_negative_prompt", body.hr_negative_prompt, body.negative_prompt),
    )
    for name, own, first in pairs:
        if _named(own) and own != first:
            yield name, "the second pass has the words and the sampler of the first"
    if body.hr_resize_x and body.hr_resize_y and body.width and body.height:
        shapes = body.hr_resize_x * body.height, body.hr_resize_y * body.width
        if shapes[0] != shapes[1]:
            yield "the shape of hr_resize", "the second pass keeps the proportions of the first; hr_resize_x holds"


def _over(body: Img2Img) -> Iterator[tuple[str, str]]:
    if body.initial_noise_multiplier not in (None, 1):
        yield "initial_noise_multiplier", "the noise is the sampler's own"
    if body.resize_mode == 3:
        yield "resize_mode 3", "a start picture is stretched as a picture, not as a latent"
    if body.mask is None:
        return
    if body.inpainting_fill in FILLS:
        yield f"inpainting_fill {body.inpainting_fill}", FILLS[body.inpainting_fill]
    if not body.mask_round:
        yield "mask_round", "masks are black and white here"
    if body.mask_blur_x is not None and body.mask_blur_y is not None and body.mask_blur_x != body.mask_blur_y:
        yield "mask_blur_y", "an edge is as soft in both directions"


def _named(text: str | None) -> bool:
    return text is not None and text.strip().lower() not in SAME
