"""The Create form: from its fields to a Request, and back. Torch-free."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from limner.errors import InvalidRequest
from limner.models.catalog import Card
from limner.types import Request

TEXT = frozenset({"prompt", "negative", "morph_to"})
OWN = frozenset({"n", "styles", "loras", "width", "height"})
"""Request fields that the form says in its own way."""
PICTURES_SHOWN = 4
SHAPES: Mapping[str, tuple[int, int]] = {"square": (1, 1), "landscape": (4, 3), "portrait": (3, 4)}
"""Sides relative to each other, of the model's own area."""
MOST_N = 100


@dataclass(frozen=True)
class Form:
    """What a form holds: the values of each name. ``one`` is ``""`` where there is none."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def one(self, name: str, default: str = "") -> str:
        found = self.values.get(name, ())
        return found[0] if found else default

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(each for each in self.values.get(name, ()) if each)

    def but(self, **changes: str | Sequence[str]) -> Form:
        """A copy with other values."""
        new = {name: [value] if isinstance(value, str) else list(value) for name, value in changes.items()}
        return Form({**self.values, **new})

    def weight(self, lora: str) -> str:
        return self.one(f"weight:{lora}", "1")


def request_of(form: Form, card: Card | None, honours: frozenset[str]) -> Request:
    """The Request that a form asks for. ``honours``: what the model can carry out; fields that it cannot are left out,
    because the form that this model gets does not show them. Raises ``InvalidRequest``."""
    said: dict[str, object] = {"n": form.one("n") or "1"}
    for name in honours & frozenset(Request.model_fields) - OWN:
        value = form.one(name)
        if value.strip():
            said[name] = value if name in TEXT else value.strip()
    said["prompt"] = form.one("prompt")
    if "styles" in honours:
        said["styles"] = form.all("styles")
    if "loras" in honours:
        said["loras"] = tuple(f"{name}:{_weight(form, name)}" for name in form.all("loras"))
    if "width" in honours:
        said |= _size(form, card)
    if not said.get("init"):
        for name in ("strength", "resize", "mask"):
            said.pop(name, None)
    return Request.of(**said)


def form_of_request(request: Request, card: Card | None) -> Form:
    """A form that asks for a Request: what it leaves open stays open."""
    values: dict[str, list[str]] = {}
    for name in Request.model_fields:
        value = getattr(request, name)
        if value is None or name in OWN or value == Request.model_fields[name].default:
            continue
        values[name] = [
            f"{value:g}" if isinstance(value, float) else str(value).lower() if value is True else str(value)
        ]
    values |= {"n": [str(request.n)], "styles": list(request.styles)}
    named = [text.rpartition(":") for text in request.loras]
    values["loras"] = [name or weight for name, _, weight in named]
    values |= {f"weight:{name}": [weight] for name, _, weight in named if name}
    values |= _shape(request, card)
    return Form(values)


def sides(card: Card | None, shape: str) -> tuple[int, int] | None:
    """Width and height of a shape at the model's own area, in steps that suit its size; ``None``: the model's own."""
    if card is None or card.width is None or card.height is None or shape not in SHAPES:
        return None
    across, down = SHAPES[shape]
    step = 64 if card.width >= 512 else 16
    area = card.width * card.height
    width = (area * across / down) ** 0.5
    return round(width / step) * step, round(area / width / step) * step


def nonce() -> str:
    """Names one sending of the form, so that a repeated one is not drawn twice."""
    return secrets.token_hex(12)


def _size(form: Form, card: Card | None) -> dict[str, object]:
    shape = form.one("shape")
    if shape == "custom":
        if not form.one("width") or not form.one("height"):
            raise InvalidRequest("a size of your own needs width and height", field="width", hint="in pixels")
        return {"width": form.one("width"), "height": form.one("height")}
    found = None if shape in ("", "square") else sides(card, shape)
    return {} if found is None else {"width": found[0], "height": found[1]}


def _shape(request: Request, card: Card | None) -> dict[str, list[str]]:
    if request.width is None or request.height is None:
        return {"shape": ["square"]}
    for shape in SHAPES:
        if sides(card, shape) == (request.width, request.height):
            return {"shape": [shape]}
    return {"shape": ["custom"], "width": [str(request.width)], "height": [str(request.height)]}


def _weight(form: Form, name: str) -> str:
    weight = form.weight(name).strip() or "1"
    try:
        return f"{float(weight):g}"
    except ValueError:
        raise InvalidRequest(f"{name}: its weight must be a number", field="loras", hint="1 is as trained") from None
