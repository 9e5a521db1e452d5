"""The Stable Diffusion web UI's "infotext": the words and settings of a picture as a few lines of text.

Written so that other programs can read our pictures, and read tolerantly because thousands of pictures carry it::

    a red fox in the snow
    Negative prompt: blurry
    Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Seed: 42, Size: 512x512, Model: pocket

The format cannot say that a prompt itself begins a line with "Negative prompt:"; our own Record, which travels beside
it, can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from limner.types import ModelRef, Record

Value = str | int | float

NO_NAMES: Mapping[str, str] = {}
_NEGATIVE = "Negative prompt:"
# a bounded key keeps the search linear in a long prompt that ends without settings
_PAIR = re.compile(r'(\w[\w \-/]{1,80}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
_MIN_PAIRS = 3
_NAMES = {
    "Steps": "steps",
    "Sampler": "solver",
    "Schedule type": "schedule",
    "CFG scale": "guidance",
    "Seed": "seed",
    "Model": "model",
    "Model hash": "model_hash",
    "Variation seed": "variation_seed",
    "Variation seed strength": "variation",
}
_INTEGERS = frozenset({"steps", "seed", "variation_seed", "width", "height"})
_FLOATS = frozenset({"guidance", "variation"})


def infotext(record: Record, sampler_names: Mapping[str, str] = NO_NAMES) -> str:
    """The picture's settings as infotext. ``sampler_names`` maps our solver names to the web UI's ("Euler a")."""
    lines = [record.prompt]
    if record.negative:
        lines.append(f"{_NEGATIVE} {record.negative}")
    settings = _settings(record, sampler_names)
    lines.append(", ".join(f"{key}: {_quoted(str(value))}" for key, value in settings.items()))
    return "\n".join(lines)


def model_hash(model: ModelRef) -> str:
    """First 10 hex digits of the sha256 of the denoising network's file; of the only file where there is one.

    The web UI hashes the whole single-file checkpoint; a folder has no such file, and its denoiser is what differs
    between models. Without either, the hash over all files.
    """
    files = model.files
    denoisers = [name for name in sorted(files) if re.search(r"unet|transformer", name)]
    if len(files) == 1:
        tagged = next(iter(files.values()))
    elif denoisers:
        tagged = files[denoisers[0]]
    else:
        tagged = model.weights_hash()
    return tagged.removeprefix("sha256:")[:10]


def _settings(record: Record, sampler_names: Mapping[str, str]) -> dict[str, Value]:
    recipe, request = record.recipe, record.request
    steps = max(len(recipe.levels) - 1, 0) or request.steps
    settings: dict[str, Value] = {"Steps": steps} if steps else {}
    if recipe.solver is not None:
        settings["Sampler"] = sampler_names.get(recipe.solver, recipe.solver)
    if request.schedule == "karras":
        settings["Schedule type"] = "Karras"
    settings["CFG scale"] = _number(recipe.guidance)
    settings["Seed"] = record.seed.seed
    settings["Size"] = f"{recipe.width}x{recipe.height}"
    settings["Model hash"] = model_hash(record.model)
    settings["Model"] = record.model.name
    if record.seed.variation_seed is not None:
        settings["Variation seed"] = record.seed.variation_seed
        settings["Variation seed strength"] = _number(recipe.variation)
    settings["Version"] = f"limner {record.versions.get('limner', '')}".rstrip()
    return settings


def _number(value: float) -> int | float:
    return int(value) if value == int(value) else value


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if re.search(r"[,:\n]", text) else text


def _unquoted(text: str) -> str:
    if not (len(text) >= 2 and text[0] == text[-1] == '"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def parse(text: str) -> dict[str, Value]:
    """Read infotext. Never raises: what is no settings line is prompt. Settings unknown to Limner keep their name.

    The last line counts as settings only where it holds at least three ``key: value`` pairs. ``Size: 512x768`` becomes
    ``width`` and ``height``. An empty mapping where there is neither word nor setting.
    """
    *lines, last = text.strip().split("\n")
    pairs = _PAIR.findall(last)
    if len(pairs) < _MIN_PAIRS:
        lines.append(last)
        pairs = []
    positive: list[str] = []
    negative: list[str] = []
    into = positive
    for line in lines:
        if line.strip().startswith(_NEGATIVE) and into is positive:
            into = negative
            line = line.strip().removeprefix(_NEGATIVE)
        into.append(line.strip())
    fields: dict[str, Value] = {}
    for name, part in (("prompt", positive), ("negative", negative)):
        if joined := "\n".join(part).strip():
            fields[name] = joined
    for key, value in pairs:
        _add(fields, key.strip(), _unquoted(value.strip()))
    return fields


def is_infotext(text: str) -> bool:
    """Whether the last line is a settings line."""
    return len(_PAIR.findall(text.strip().rsplit("\n", 1)[-1])) >= _MIN_PAIRS


def _add(fields: dict[str, Value], key: str, value: str) -> None:
    if key == "Size" and (size := _SIZE.fullmatch(value)):
        fields["width"], fields["height"] = int(size[1]), int(size[2])
        return
    name = _NAMES.get(key, key)
    fields[name] = number(name, value)


def number(name: str, value: Value) -> Value:
    """``value`` as the number that ``name`` calls for; unchanged where it is none."""
    try:
        if name in _INTEGERS:
            return int(float(value)) if not str(value).lstrip("-").isdigit() else int(value)
        if name in _FLOATS:
            return _number(float(value))
    except (ValueError, OverflowError):
        pass
    return value
