"""What InvokeAI, Fooocus and ComfyUI write into their pictures, in Limner's words. Readers never raise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from limner.canonical import JSON
from limner.library import a1111
from limner.library.a1111 import Value
from limner.library.comfyui import comfyui

__all__ = ["cleaned", "comfyui", "fooocus", "invokeai"]

Texts = Mapping[str, str]
Object = Mapping[str, "JSON"]
_MAX_TEXT = 200_000
_INVOKE = {
    "positive_prompt": "prompt",
    "negative_prompt": "negative",
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "guidance",
    "scheduler": "solver",
    "width": "width",
    "height": "height",
}
_INVOKE_OLD = {
    "seed": "seed",
    "steps": "steps",
    "cfg_scale": "guidance",
    "sampler": "solver",
    "width": "width",
    "height": "height",
}
_DREAM = {"s": "steps", "S": "seed", "W": "width", "H": "height", "C": "guidance", "A": "solver"}
_FOOOCUS = {
    "prompt": "prompt",
    "negative_prompt": "negative",
    "seed": "seed",
    "steps": "steps",
    "guidance_scale": "guidance",
    "sampler": "solver",
    "scheduler": "schedule",
    "base_model": "model",
    "base_model_hash": "model_hash",
}


def invokeai(texts: Texts) -> dict[str, Value]:
    """``invokeai_metadata`` (3 and later), ``sd-metadata`` (2), ``Dream`` (1). Empty where there is none."""
    if data := _object(texts.get("invokeai_metadata")):
        fields = _renamed(data, _INVOKE)
        model = data.get("model")
        name = (model.get("name") or model.get("model_name")) if isinstance(model, Mapping) else model
        return fields | ({"model": str(name)} if name else {})
    if data := _object(texts.get("sd-metadata")):
        image = data.get("image")
        fields = _renamed(image, _INVOKE_OLD) if isinstance(image, Mapping) else {}
        words = image.get("prompt") if isinstance(image, Mapping) else None
        fields |= _bracketed(_old_prompt(words))
        model = data.get("model_weights")
        return fields | ({"model": str(model)} if model else {})
    return _dream(texts.get("Dream", ""))


def _old_prompt(words: JSON) -> str:
    if isinstance(words, str):
        return words
    if isinstance(words, list):
        return " ".join(str(part.get("prompt", "")) for part in words if isinstance(part, Mapping))
    return ""


def _bracketed(text: str) -> dict[str, Value]:
    """InvokeAI 1 and 2 wrote the negative prompt in square brackets inside the prompt."""
    negative = " ".join(re.findall(r"\[([^\[\]]*)\]", text))
    parts = {"prompt": re.sub(r"\s?\[[^\[\]]*\]", "", text).strip(), "negative": negative.strip()}
    return {name: words for name, words in parts.items() if words}


def _dream(text: str) -> dict[str, Value]:
    match = re.fullmatch(r'\s*"(.*)"((?:\s+-\S.*)?)', text, re.DOTALL)
    if match is None:
        return {}
    fields: dict[str, Value] = _bracketed(match[1])
    for flag, value in re.findall(r"-([sSWHCA])\s*(\S+)", match[2]):
        fields[_DREAM[flag]] = a1111.number(_DREAM[flag], value)
    return fields


def fooocus(texts: Texts) -> dict[str, Value]:
    """Fooocus' own JSON, in ``parameters`` or UserComment. Its A1111 flavour is ordinary infotext."""
    data = _object(texts.get("parameters")) or _object(texts.get("UserComment"))
    if not ("fooocus_scheme" in texts or str(data.get("version", "")).startswith("Fooocus") or "base_model" in data):
        return {}
    fields = _renamed(data, _FOOOCUS)
    size = re.findall(r"\d+", str(data.get("resolution", "")))
    return fields | ({"width": int(size[0]), "height": int(size[1])} if len(size) == 2 else {})


def cleaned(fields: Mapping[str, Value]) -> dict[str, Value]:
    """Without what a database or a JSON reader could not hold: lone surrogates, NUL, NaN, endless text."""
    clean: dict[str, Value] = {}
    for name, value in fields.items():
        if isinstance(value, str):
            clean[_text(name)] = _text(value)
        elif value == value and abs(value) < 2**63:
            clean[_text(name)] = value
    return clean


def _text(text: str) -> str:
    return text[:_MAX_TEXT].encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


def _object(text: str | None) -> Object:
    if not text or not text.lstrip().startswith("{"):
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _renamed(data: Object, names: Mapping[str, str]) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    for theirs, ours in names.items():
        value = data.get(theirs)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            fields[ours] = a1111.number(ours, value)
    return fields
