"""``<lora:name:0.8>`` in a prompt: which adapters the words name, and the words without them.

The form is A1111's (https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Features, "Extra networks"):
``<lora:name>``, ``<lora:name:weight>``, ``<lora:name:text encoder's weight:UNet's weight>``; the last two also as
``te=`` and ``unet=``. ``<lyco:...>`` is an older word for the same. Angle brackets of any other kind are text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from limner.errors import InvalidRequest

_TAG = re.compile(r"<(lora|lyco|hypernet):([^<>]*)>", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?\Z")
_SPACES = re.compile(r"[ \t]{2,}")
LARGEST = 100.0
FORM = "write <lora:NAME:WEIGHT>, for example <lora:watercolour:0.8>"


@dataclass(frozen=True, slots=True)
class Named:
    """An adapter by name. ``scale`` is its weight in the denoising network, ``text_scale`` in the text encoders where
    that is another one."""

    name: str
    scale: float = 1.0
    text_scale: float | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """A prompt without the tags, and what they named, in order."""

    text: str
    named: tuple[Named, ...] = ()


def has_tag(text: str) -> bool:
    return _TAG.search(text) is not None


def parse(text: str) -> Parsed:
    """Take the tags out of a prompt. Raises ``InvalidRequest`` for a tag that cannot be read or honoured."""
    named = []
    for match in _TAG.finditer(text):
        if match[1].lower() == "hypernet":
            raise InvalidRequest(
                f"prompt: {match[0]!r:.80} asks for a hypernetwork, which Limner cannot use",
                field="prompt",
                hint="leave it out; a LoRA of the same style does the same",
            )
        named.append(_tag(match[0], match[2]))
    if not named:
        return Parsed(text)
    return Parsed(_SPACES.sub(" ", _TAG.sub("", text)).strip(" \t"), tuple(named))


def named(text: str) -> Named:
    """``NAME``, ``NAME:WEIGHT`` or ``NAME:TEXT_WEIGHT:UNET_WEIGHT``. Names may hold colons that no number follows.

    Raises ``InvalidRequest`` for an empty name or a weight out of range.
    """
    parts = text.strip().split(":")
    weights: list[float] = []
    while len(parts) > 1 and len(weights) < 2 and _NUMBER.match(parts[-1].strip()):
        weights.insert(0, _weight(text, parts.pop()))
    name = ":".join(parts).strip()
    if not name:
        raise InvalidRequest(
            f"loras (--lora): {text!r:.80} names no LoRA", field="loras", hint="write NAME or NAME:WEIGHT"
        )
    return _named(name, weights)


def _tag(whole: str, inside: str) -> Named:
    """A tag is stricter than ``named``: what stands behind the name must be weights."""
    name, *rest = (part.strip() for part in inside.split(":"))
    weights: list[float] = []
    kept: dict[str, float] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        if equals and key in ("te", "unet") and _NUMBER.match(value):
            kept[key] = _weight(whole, value)
        elif not equals and _NUMBER.match(part) and len(weights) < 2:
            weights.append(_weight(whole, part))
        else:
            raise InvalidRequest(f"prompt: {whole!r:.80}: {part!r:.40} is no weight", field="prompt", hint=FORM)
    if not name:
        raise InvalidRequest(f"prompt: {whole!r:.80} names no LoRA", field="prompt", hint=FORM)
    plain = _named(name, weights)
    scale = kept.get("unet", plain.scale)
    text_scale = kept.get("te", plain.scale if plain.text_scale is None else plain.text_scale)
    return Named(name, scale, None if text_scale == scale else text_scale)


def _named(name: str, weights: list[float]) -> Named:
    if len(weights) < 2:
        return Named(name, *weights)
    text_scale, scale = weights
    return Named(name, scale, None if text_scale == scale else text_scale)


def _weight(whole: str, text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise InvalidRequest(
            f"the weight {text.strip():.40} in {whole!r:.80} is out of range",
            field="loras",
            hint=f"-{LARGEST:g} to {LARGEST:g}; 1 is as trained",
        )
    return value
