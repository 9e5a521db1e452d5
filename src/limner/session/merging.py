"""What a Request says and what settings add to it, as one Request; and what of the settings a model has no use for.

Order, weakest first: built-in default < user ``[defaults]`` < family < card < user ``[models.NAME]`` < environment <
flag or body.
"""

from __future__ import annotations

from collections.abc import Mapping

from limner.config import Settings, Sourced
from limner.errors import UnsupportedField
from limner.models.catalog import Card, Catalog
from limner.models.family import Family, Particular
from limner.session.inputs import idle
from limner.types import Notice, Request

BUILT_IN_MODEL = "pocket"
FLAGS: Mapping[str, str] = {"width": "size", "height": "size", "loras": "lora", "styles": "style"}
"""Fields whose flag has another name."""

Origins = dict[str, str]


def merge(asked: Request, settings: Settings, catalog: Catalog) -> tuple[Request, Origins]:
    """Fill unset fields from the environment and from ``[models.NAME]``; say where each came from."""
    said = {name for name in asked.model_fields_set if getattr(asked, name) is not None}
    origins = dict.fromkeys(said, "request")
    environment = settings.environment()
    merged = _fill(asked, environment, said, origins)
    name = merged.model
    if name is None:
        merged = _fill(merged, _only(settings.defaults(), "model"), said, origins)
        name = merged.model or BUILT_IN_MODEL
    card = catalog.find(name)
    own = {**settings.model_defaults(card.name if card else name), **settings.model_defaults(name)}
    return _fill(merged, own, {*said, *environment}, origins), origins


def weak_defaults(request: Request, card: Card, settings: Settings, origins: Origins) -> Request:
    """The user's ``[defaults]`` are weaker than the card: they fill what neither request nor card says."""
    said = {name for name in origins if origins[name] != "card"}
    told = {name for name in Request.model_fields if getattr(card, name, None) is not None}
    origins.update(dict.fromkeys(told - said, "card"))
    return _fill(request, settings.defaults(), said | told, origins)


def honoured(
    asked: Request, merged: Request, origins: Origins, family: Family, card: Card
) -> tuple[Request, tuple[Notice, ...]]:
    """The request without those settings that this model cannot honour, and a Notice that names them.

    Settings that say something of a field which is not in use (``hires_strength`` without ``hires``) are no loss, and
    go without a word: they are there for when it is. ``origins`` loses what is taken out."""
    set_ = {name: where for name, where in origins.items() if where not in ("request", "card")}
    unfit = [name for name in set_ if _is_said(merged, name) and not _honours(family, card, merged, name)]
    fitting = _without(merged, unfit, origins)
    fitting = _without(fitting, list(idle(fitting, asked.model_fields_set, set_)), origins)
    if not unfit:
        return fitting, ()
    named = ", ".join(f"{name} ({set_[name]})" for name in unfit)
    message = f"{card.name} cannot honour what settings say of {named}: drawn without"
    return fitting, (Notice(code="settings-unused", message=message),)


def refuse_unsupported(asked: Request, family: Family, card: Card) -> None:
    """Raise ``UnsupportedField`` for what was asked and this model cannot honour."""
    if isinstance(family, Particular):
        family.refuse(asked, card)
    for name in sorted(asked.model_fields_set - family.honours):
        if _is_said(asked, name):
            flag = f" (--{FLAGS[name]})" if name in FLAGS else ""
            raise UnsupportedField(
                f"{card.name} cannot honour {name!r}{flag}",
                field=name,
                hint=_instead(name, card),
            )


def _instead(name: str, card: Card) -> str:
    """What to do without a field."""
    if name in ("width", "height") and card.width and card.height:
        return f"leave the size out: it always draws {card.width}x{card.height}"
    if name == "variation":
        return f"draw other seeds of it (-n 4), or use another model than {card.name}"
    return f"leave it out, or use another model than {card.name}"


def known_to(request: Request, family: Family) -> Request:
    """The request without what the family never heeds, and without what is idle: a Record's of before such settings
    were left out of it."""
    foreign = [name for name in Request.model_fields if name not in family.honours and _is_said(request, name)]
    kept = _without(request, foreign, {})
    return _without(kept, list(idle(kept, Request.model_fields, Request.model_fields)), {})


def _honours(family: Family, card: Card, request: Request, name: str) -> bool:
    if name not in family.honours:
        return False
    if isinstance(family, Particular):
        sides = ("width", "height") if name in ("width", "height") else (name,)
        alone = {side: getattr(request, side) for side in sides}
        try:
            family.refuse(Request.of(**({"prompt": request.prompt} | alone)), card)
        except UnsupportedField:
            return False
    return True


def _is_said(request: Request, name: str) -> bool:
    return bool(getattr(request, name) != Request.model_fields[name].default)


def _without(request: Request, names: list[str], origins: Origins) -> Request:
    for name in names:
        origins.pop(name, None)
    return request.but(**{name: Request.model_fields[name].default for name in names}) if names else request


def _fill(request: Request, values: Mapping[str, Sourced], said: set[str], origins: Origins) -> Request:
    new = {name: value for name, value in values.items() if name not in said and name != "prompt"}
    origins.update({name: sourced.origin for name, sourced in new.items()})
    return request.but(**{name: sourced.value for name, sourced in new.items()}) if new else request


def _only(values: Mapping[str, Sourced], name: str) -> Mapping[str, Sourced]:
    return {name: values[name]} if name in values else {}
