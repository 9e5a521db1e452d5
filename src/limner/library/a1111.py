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
from collections.abc import Mapping, Sequence

from limner.prompts import extra_networks
from limner.sampling.compat import SCHEDULES, automatic
from limner.types import Adapter, ModelRef, Record, Request

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
    "Clip skip": "clip_skip",
    "ENSD": "noise_delta",
    "RNG": "noise_source",
    "Compat": "compat",
    "VAE": "vae",
    "Denoising strength": "strength",
    "Mask blur": "mask_blur",
    "Mask mode": "mask_invert",
    "Masked content": "inpaint_fill",
    "Masked area padding": "inpaint_padding",
    "Hires upscale": "hires",
    "Hires steps": "hires_steps",
    "Hires upscaler": "hires_upscaler",
    "Postprocess upscaler": "upscale",
}
_INTEGERS = frozenset(
    {
        *("steps", "seed", "variation_seed", "width", "height"),
        *("clip_skip", "noise_delta", "hires_steps", "inpaint_padding"),
    }
)
_FLOATS = frozenset({"guidance", "variation", "strength", "hires", "mask_blur"})
# Their words for our values, both ways; a word that is not here is kept as it stands.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "noise_source": {"cpu": "CPU", "philox": "NV"},
    "inpaint_fill": {"original": "original", "noise": "latent noise"},
    "hires_upscaler": {"latent": "Latent", "latent-bicubic": "Latent (bicubic)", "lanczos": "Lanczos"},
    "upscale": {"lanczos": "Lanczos"},
}
_INVERTED = "Inpaint not masked"


def infotext(record: Record, sampler_names: Mapping[str, str] = NO_NAMES) -> str:
    """The picture's settings as infotext. ``sampler_names`` maps our solver names to the web UI's ("Euler a").

    LoRA stand in the prompt, where the web UI has them. A picture both drawn over another and in two passes has two
    strengths and the text one place: it is the second pass's.
    """
    tags = [_tag(each) for each in record.adapters if each.kind == "lora"]
    # Those that were written in the prompt are among them, at the weights in force.
    lines = [" ".join([extra_networks.parse(record.prompt).text, *tags])] if tags else [record.prompt]
    if record.negative:
        lines.append(f"{_NEGATIVE} {record.negative}")
    settings = _settings(record, sampler_names)
    lines.append(", ".join(f"{key}: {_quoted(str(value))}" for key, value in settings.items()))
    return "\n".join(lines)


def model_hash(model: ModelRef) -> str:
    """First 10 hex digits of the sha256 of the denoising network's file; of the only file where there is one.

    The web UI hashes the whole single-file checkpoint; a folder has no such file, and its denoiser is what differs
    between models. Without either, or where a LoRA of the model's own changes the denoiser, the hash over all files.
    """
    files = model.files
    worn = any(name.startswith("lora/") for name in files)
    denoisers = [name for name in sorted(files) if re.search(r"unet|transformer", name) and not name.endswith(".json")]
    if len(files) == 1:
        tagged = next(iter(files.values()))
    elif denoisers and not worn:
        tagged = files[denoisers[0]]
    else:
        tagged = model.weights_hash()
    return tagged.removeprefix("sha256:")[:10]


def _settings(record: Record, sampler_names: Mapping[str, str]) -> dict[str, Value]:
    recipe, request = record.recipe, record.request
    steps = request.steps or max(len(recipe.levels) - 1, 0)
    settings: dict[str, Value | None] = {"Steps": steps or None}
    if recipe.solver is not None:
        settings["Sampler"] = sampler_names.get(recipe.solver, recipe.solver)
        settings["Schedule type"] = _schedule(request.schedule, recipe.solver)
    settings["CFG scale"] = _number(recipe.guidance)
    settings["Seed"] = record.seed.seed
    settings["Size"] = f"{recipe.width}x{recipe.height}"
    settings["Model hash"] = model_hash(record.model)
    settings["Model"] = record.model.name
    if record.seed.variation_seed is not None:
        settings["Variation seed"] = record.seed.variation_seed
        settings["Variation seed strength"] = _number(recipe.variation)
    settings |= _edited(request)
    settings |= _hashes(record.adapters)
    settings["Clip skip"] = request.clip_skip if (request.clip_skip or 1) > 1 else None
    settings["ENSD"] = request.noise_delta or None
    settings["Compat"] = request.compat
    settings["RNG"] = None if recipe.solver is None else _WORDS["noise_source"][request.noise_source or "cpu"]
    settings["Version"] = f"limner {record.versions.get('limner', '')}".rstrip()
    return {name: value for name, value in settings.items() if value is not None}


def _schedule(schedule: str | None, solver: str) -> str | None:
    """The schedule type, where it is not what the web UI takes for granted: without one it spaces some its own way."""
    if schedule is None or (schedule == "model" and automatic(solver) == "model") or solver.endswith("-karras"):
        return None
    return SCHEDULES.get(schedule)


def _edited(request: Request) -> dict[str, Value | None]:
    """What was drawn over, and drawn again larger."""
    strength = request.hires_strength if request.hires is not None else request.strength
    padded = request.inpaint_padding is not None
    return {
        "Denoising strength": None if strength is None else _number(strength),
        "Mask blur": None if request.mask_blur is None else _number(request.mask_blur),
        "Mask mode": _INVERTED if request.mask_invert else None,
        "Masked content": _theirs("inpaint_fill", request.inpaint_fill),
        "Inpaint area": "Only masked" if padded else None,
        "Masked area padding": request.inpaint_padding,
        "Hires upscale": None if request.hires is None else _number(request.hires),
        "Hires steps": request.hires_steps,
        "Hires upscaler": _theirs("hires_upscaler", request.hires_upscaler),
        "Postprocess upscaler": _theirs("upscale", request.upscale),
    }


def _theirs(field: str, value: str | None) -> str | None:
    return None if value is None else _WORDS[field].get(value, value)


def _hashes(adapters: Sequence[Adapter]) -> dict[str, Value | None]:
    """Names and hashes of what was laid over the model; first digits of the file's sha256."""

    def listed(kind: str) -> str | None:
        found = [f"{each.word or each.name}: {_short(each, 12)}" for each in adapters if each.kind == kind]
        return ", ".join(found) or None

    vae = next((each for each in adapters if each.kind == "vae"), None)
    return {
        "VAE hash": None if vae is None else _short(vae, 10),
        "VAE": None if vae is None else vae.name,
        "Lora hashes": listed("lora"),
        "TI hashes": listed("embedding"),
    }


def _tag(lora: Adapter) -> str:
    text = "" if lora.text_scale is None else f"{_number(lora.text_scale)}:"
    return f"<lora:{lora.name}:{text}{_number(lora.scale)}>"


def _short(adapter: Adapter, digits: int) -> str:
    return adapter.hash.removeprefix("sha256:")[:digits]


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
    prompt, negative, said = read(text)
    fields: dict[str, Value] = {}
    for name, words in (("prompt", prompt), ("negative", negative)):
        if words:
            fields[name] = words
    for key, value in said:
        _add(fields, key, value)
    return fields


def read(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    """(prompt, negative prompt, settings as they are written) of infotext; as ``parse``, in the web UI's own words."""
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
    said = [(key.strip(), _unquoted(value.strip())) for key, value in pairs]
    return "\n".join(positive).strip(), "\n".join(negative).strip(), said


def is_infotext(text: str) -> bool:
    """Whether the last line is a settings line."""
    return len(_PAIR.findall(text.strip().rsplit("\n", 1)[-1])) >= _MIN_PAIRS


def _add(fields: dict[str, Value], key: str, value: str) -> None:
    if key == "Size" and (size := _SIZE.fullmatch(value)):
        fields["width"], fields["height"] = int(size[1]), int(size[2])
        return
    name = _NAMES.get(key, key)
    if name == "mask_invert":
        fields[name] = value == _INVERTED
        return
    fields[name] = number(name, ours(name, value))


def ours(name: str, word: str) -> str:
    """Our word for one of the web UI's, as a value of field ``name``; itself where we have no other."""
    known = {theirs.lower(): value for value, theirs in _WORDS.get(name, {}).items()}
    return known.get(word.lower(), word)


def words(name: str) -> tuple[str, ...]:
    """The web UI's words for our values of field ``name``."""
    return tuple(_WORDS[name].values())


def hashes(listed: str) -> dict[str, str]:
    """``Lora hashes`` or ``TI hashes`` as names and hashes; entries that are neither are left out."""
    pairs = (entry.rpartition(":") for entry in listed.split(","))
    return {name.strip(): found.strip().lower() for name, colon, found in pairs if colon and name.strip()}


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
