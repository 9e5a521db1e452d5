"""What the Create form shows, for a model and what was typed."""

from __future__ import annotations

from itertools import groupby

from limner.prompts.styles import Style
from limner.prompts.wildcards import Wildcards
from limner.serve.service import Service
from limner.serve.studio.chooser import card_of, chooser
from limner.serve.studio.controls import controls, honours
from limner.serve.studio.forms import SHAPES, Form, sides

MOST_WILDCARDS = 500


def rail(own: Service, form: Form) -> dict[str, object]:
    """The context of ``create/_settings.html``. Asks the disk."""
    choices = chooser(own)
    name = form.one("model") or choices.default
    card = card_of(own, name)
    can = honours(card)
    fields = controls(own, card, can)
    native = None if card is None or card.width is None or card.height is None else (card.width, card.height)
    return {
        "form": form.but(model=name),
        "chooser": choices,
        "card": card,
        "can": can,
        "groups": [(group, list(each)) for group, each in groupby(fields, key=lambda control: control.group)],
        "used": sum(bool(form.one(each.name)) for each in fields),
        "shapes": [(shape, native if shape == "square" else sides(card, shape)) for shape in SHAPES],
        "styles": _styles(own),
        "wildcards": _wildcards(own),
    }


def _styles(own: Service) -> list[Style]:
    return [style for _, style in sorted(own.session.styles.items())]


def _wildcards(own: Service) -> tuple[str, ...]:
    return Wildcards(own.settings.wildcards).names()[:MOST_WILDCARDS]
