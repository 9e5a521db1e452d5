"""A Request as a model can draw it: the web UI's clients send everything always, to every model.

What a model cannot honour is left out and said, a size far from its own is drawn near that and resampled. Pictures to
draw over, masks and second passes are not left out: without them it would be another picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limner.errors import InvalidRequest, UnsupportedField
from limner.models.resolving.resolve import resolve
from limner.serve.openai.sizes import ANY, COARSE, nearest
from limner.session.merging import BUILT_IN_MODEL, refuse_unsupported
from limner.session.planning import load_family
from limner.types import Notice, Request

if TYPE_CHECKING:
    from limner.models.catalog import Card
    from limner.models.family import Family
    from limner.serve.service import Service

Size = tuple[int, int]
MOST_PIXELS = 64_000_000  # of all resampled pictures of a request
FAR = 4.0  # times the native number of pixels, or this part of it
NEEDED = frozenset({"prompt", "model", "init", "mask", "hires"})
WITH: Mapping[str, tuple[str, ...]] = {
    "width": ("width", "height"),
    "height": ("width", "height"),
    "size": ("width", "height"),
    "variation": ("variation", "variation_seed"),
    "compat": ("compat", "schedule", "noise_source"),
    "solver": ("solver", "schedule"),
}
"""Fields that go together."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is drawn; ``answered`` is the size of the answer where the picture is resampled to it."""

    request: Request
    answered: Size | None = None
    notices: tuple[Notice, ...] = ()


def fitted(own: Service, request: Request, *, resample: bool) -> Fitted:
    """The request as its model can draw it. Asks the disk. Raises ``InvalidRequest``, ``ModelError``."""
    name = request.model or BUILT_IN_MODEL
    settings, catalog = own.settings, own.session.catalog
    card = catalog.find(name) or resolve(name, settings, catalog, offline=own.session.offline, folders=False).card
    asked = _size(request)
    fit, dropped = _without(request, load_family(card.family), card)
    native = (card.width, card.height)
    if not resample or asked is None or native[0] is None or native[1] is None:
        return Fitted(fit, None, dropped)
    found = _drawn(asked, (native[0], native[1]), fixed=fit.width is None)
    if found is None:
        return Fitted(fit, None, dropped)
    factor = fit.hires or 1.0
    answered = round(asked[0] * factor), round(asked[1] * factor)
    if answered[0] * answered[1] * request.n > MOST_PIXELS:
        raise InvalidRequest(
            f"width: {answered[0]}x{answered[1]} times {request.n} is too large to be resampled",
            field="width",
            hint=f"{card.name} draws {native[0]}x{native[1]}",
        )
    shown = "x".join(map(str, found))
    message = (
        f"{card.name} does not draw {asked[0]}x{asked[1]}: drawn at {shown} and resampled; what stands over is cut off"
    )
    kept = tuple(each for each in dropped if "'width'" not in each.message and "'height'" not in each.message)
    said = {each: getattr(fit, each) for each in fit.model_fields_set}
    drawn = fit if fit.width is None else Request.of(**{**said, "width": found[0], "height": found[1]})
    return Fitted(drawn, answered, (*kept, Notice(code="resampled", message=message)))


def _drawn(asked: Size, native: Size, *, fixed: bool) -> Size | None:
    """The size that is drawn instead; ``None``: the one that was asked for."""
    if fixed:
        return None if asked == native else native
    share = asked[0] * asked[1] / (native[0] * native[1])
    if min(native) >= COARSE:
        return None if 1 / FAR <= share <= FAR else nearest(asked, native, 64)
    # Small models have room for less, and some count in 16 pixels: a client's usual 512x512 is not for them.
    whole = all(side % ANY == 0 for side in asked)
    return None if whole and 1 / FAR < share < FAR else nearest(asked, native, ANY)


def _without(request: Request, family: Family, card: Card) -> tuple[Request, tuple[Notice, ...]]:
    """The request without what the model cannot honour, and what that was."""
    fields = {name: getattr(request, name) for name in request.model_fields_set}
    notices: list[Notice] = []
    while True:
        asked = Request.of(**fields)
        try:
            refuse_unsupported(asked, family, card)
        except UnsupportedField as error:
            name = error.field or ""
            gone = [each for each in WITH.get(name, (name,)) if each in fields]
            if name in NEEDED or not gone:
                raise
            for each in gone:
                del fields[each]
            notices.append(_notice(name, error, card))
        else:
            return asked, tuple(notices)


def _notice(name: str, error: UnsupportedField, card: Card) -> Notice:
    if name == "compat":
        message = f"{card.name} is drawn by its own rules: the web UI's are those of Stable Diffusion"
        return Notice(code="not-honoured", message=message)
    return Notice(code="not-honoured", message=error.message)


def _size(request: Request) -> Size | None:
    return None if request.width is None or request.height is None else (request.width, request.height)
