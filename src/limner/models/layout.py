"""Which files of a diffusers folder Limner needs, from names alone: the same rule for a folder and a hub listing.

A checkpoint's ``model_index.json`` names the classes of its parts. They are compared with lists and never imported: a
part that is custom Python code is refused. Only files with fixed names are ever asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from limner.errors import CorruptFile, ModelError, ModelNotFound, UnsafeFile
from limner.models.inspect import CONVERT_HINT

INDEX = "model_index.json"
PIPELINES: Mapping[str, str] = {"StableDiffusionPipeline": "sd"}  # the class a checkpoint names -> our family
LIBRARIES = frozenset({"diffusers", "transformers"})
LEGACY = frozenset({("stable_diffusion", "StableDiffusionSafetyChecker")})  # as Stable Diffusion 1 spells it
CLASSES: Mapping[str, re.Pattern[str]] = {
    "text_encoder": re.compile(r"CLIPTextModel"),
    "tokenizer": re.compile(r"CLIPTokenizer(Fast)?|PreTrainedTokenizerFast|TokenizersBackend"),
    "unet": re.compile(r"UNet2DConditionModel"),
    "vae": re.compile(r"AutoencoderKL"),
    "scheduler": re.compile(r"[A-Za-z0-9]+Scheduler"),
}
STEMS: Mapping[str, str] = {
    "text_encoder": "model",
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
}
VARIANTS = ("", ".fp16", ".bf16")  # in order of preference: full precision first
TOKENIZER = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")
SHARD = re.compile(r"[A-Za-z0-9_.-]+\.safetensors")
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")

ReadJson = Callable[[str], Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Needed:
    """Names of the files that decide pixels, relative to the checkpoint's root, and the weights' variant by part."""

    names: tuple[str, ...]
    variants: Mapping[str, str]


def family_of(index: Mapping[str, object], where: str) -> str:
    """The family that a ``model_index.json`` calls for. Raises ``UnsafeFile`` for custom code, else ``ModelError``."""
    pipeline = index.get("_class_name")
    for part, said in index.items():
        if not part.startswith("_") and isinstance(said, list):
            _check_class(part, said, where)
    if isinstance(pipeline, list) or "custom_pipeline" in index:
        raise UnsafeFile(f"{where} brings its own pipeline code, which Limner never runs", hint=_OTHER)
    if not isinstance(pipeline, str):
        raise CorruptFile(f"{where}: {INDEX} names no pipeline class", hint=_OTHER)
    if pipeline not in PIPELINES:
        known = ", ".join(PIPELINES)
        raise ModelError(f"{where} is a {pipeline}, which Limner cannot draw with", hint=f"it can with: {known}")
    return PIPELINES[pipeline]


_OTHER = "choose another model: limner models list"


def _check_class(part: str, said: list[object], where: str) -> None:
    pair = tuple(said)
    if pair == (None, None) or pair in LEGACY:
        return
    if len(pair) != 2 or not all(isinstance(word, str) for word in pair):
        raise CorruptFile(f"{where}: {INDEX} describes {part} as {said!r:.80}", hint=_OTHER)
    library, name = str(pair[0]), str(pair[1])
    wanted = CLASSES.get(part)
    if library not in LIBRARIES or not name.isidentifier():
        raise UnsafeFile(f"{where}: its {part} is custom code ({library}.{name}), which is never run", hint=_OTHER)
    if wanted is not None and not wanted.fullmatch(name):
        raise ModelError(f"{where}: its {part} is a {name}, which Limner does not know", hint=_OTHER)


def needed(names: Collection[str], read: ReadJson, where: str) -> Needed:
    """The files to use of those called ``names``. ``read`` gives a JSON file's content by name.

    Full-precision safetensors are preferred, then fp16, then bf16; sharded weights by their index file. Raises
    ``UnsafeFile`` where a part has pickled weights only, ``ModelNotFound`` where something is missing.
    """
    present = frozenset(names)
    if "scheduler/scheduler_config.json" not in present:
        raise _missing(where, "scheduler/scheduler_config.json")
    found = ["scheduler/scheduler_config.json", *_tokenizer(present, where)]
    variants = {}
    for part, stem in STEMS.items():
        if f"{part}/config.json" not in present:
            raise _missing(where, f"{part}/config.json")
        files, variants[part] = _weights(part, stem, present, read, where)
        found += [f"{part}/config.json", *files]
    return Needed(tuple(sorted(found)), variants)


def _missing(where: str, name: str) -> ModelNotFound:
    return ModelNotFound(f"{where} has no {name}", hint="it is not a whole diffusers folder; fetch it again")


def _tokenizer(present: frozenset[str], where: str) -> list[str]:
    found = [f"tokenizer/{name}" for name in TOKENIZER if f"tokenizer/{name}" in present]
    if "tokenizer/tokenizer.json" not in found and not {"tokenizer/vocab.json", "tokenizer/merges.txt"} <= {*found}:
        raise _missing(where, "tokenizer/tokenizer.json (or vocab.json and merges.txt)")
    return found


def _weights(part: str, stem: str, present: frozenset[str], read: ReadJson, where: str) -> tuple[tuple[str, ...], str]:
    for variant in VARIANTS:
        single = f"{part}/{stem}{variant}.safetensors"
        if single in present:
            return (single,), variant.removeprefix(".")
        index = f"{part}/{stem}.safetensors.index{variant}.json"
        if index in present:
            return _shards(part, index, present, read, where), variant.removeprefix(".")
    pickles = sorted(name for name in present if name.startswith(f"{part}/") and name.endswith(PICKLES))
    if pickles:
        raise UnsafeFile(f"{where} has {part} only as a pickle, which can run code: {pickles[0]}", hint=CONVERT_HINT)
    raise _missing(where, f"{part}/{stem}.safetensors")


def _shards(part: str, index: str, present: frozenset[str], read: ReadJson, where: str) -> tuple[str, ...]:
    places = read(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CorruptFile(f"{where}: {index} has no weight_map", hint="fetch it again")
    shards = sorted({str(name) for name in places.values()})
    for shard in shards:
        if not SHARD.fullmatch(shard):
            raise UnsafeFile(f"{where}: {index} points outside its folder: {shard!r:.80}", hint=_OTHER)
        if f"{part}/{shard}" not in present:
            raise _missing(where, f"{part}/{shard}")
    return tuple(f"{part}/{shard}" for shard in shards)
