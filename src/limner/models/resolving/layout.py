"""Which files of a diffusers folder Limner needs, from names alone: the same rule for a folder and a hub listing.

A family says by a ``Layout`` which folders its checkpoints have and what may lie in them; a family that says nothing is
given one read from the checkpoint's own ``model_index.json``. Only files with fixed names are ever asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from limner.errors import CorruptFile, ModelNotFound, UnsafeFile
from limner.models.inspect import CONVERT_HINT

INDEX = "model_index.json"
VARIANTS = ("", ".fp16", ".bf16")  # in order of preference: full precision first
SHARD = re.compile(r"[A-Za-z0-9_.-]+\.safetensors")
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")

CONFIG, SCHEDULER = "config.json", "scheduler_config.json"
TOKENIZER = (
    *("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"),
    *("spiece.model", "tokenizer.model", "added_tokens.json", "vocab.txt"),
)
PROCESSOR = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
TOKENIZERS = (
    ("tokenizer.json",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("tokenizer.model",),
    ("vocab.txt",),
)

OTHER_MODEL = "choose another model: limner models list"

ReadJson = Callable[[str], Mapping[str, object]]
Kind = Literal["weights", "tokenizer", "scheduler", "processor"]


@dataclass(frozen=True, slots=True)
class Part:
    """One folder of a checkpoint. ``stem`` is what its weights are called, before ``.safetensors``; ``classes`` are the
    class names that may stand for it in ``model_index.json``."""

    name: str
    kind: Kind
    stem: str = ""
    classes: str = r"[A-Za-z0-9_]+"


@dataclass(frozen=True, slots=True)
class Layout:
    """What a checkpoint of a family consists of. ``index`` is true where ``model_index.json`` itself decides pixels."""

    parts: tuple[Part, ...]
    index: bool = False

    def part(self, name: str) -> Part | None:
        """The part of that folder, if there is one."""
        return next((part for part in self.parts if part.name == name), None)


@dataclass(frozen=True, slots=True)
class Needed:
    """Names of the files that decide pixels, relative to the checkpoint's root, and the weights' variant by part."""

    names: tuple[str, ...]
    variants: Mapping[str, str]


CLIP_TEXT = r"CLIPTextModel"
CLIP_WORDS = r"CLIPTokenizer(Fast)?|PreTrainedTokenizerFast|TokenizersBackend"
UNET = Part("unet", "weights", "diffusion_pytorch_model", "UNet2DConditionModel")
KL_VAE = Part("vae", "weights", "diffusion_pytorch_model", "AutoencoderKL")
ANY_SCHEDULER = Part("scheduler", "scheduler", classes=r"[A-Za-z0-9]+Scheduler")
SD = Layout(
    (
        Part("text_encoder", "weights", "model", CLIP_TEXT),
        Part("tokenizer", "tokenizer", classes=CLIP_WORDS),
        UNET,
        KL_VAE,
        ANY_SCHEDULER,
    )
)
"""Stable Diffusion 1 and 2. A safety checker and what feeds it are left where they are: they decide no pixel here."""

SDXL = Layout(
    (
        Part("text_encoder", "weights", "model", CLIP_TEXT),
        Part("text_encoder_2", "weights", "model", r"CLIPTextModelWithProjection"),
        Part("tokenizer", "tokenizer", classes=CLIP_WORDS),
        Part("tokenizer_2", "tokenizer", classes=CLIP_WORDS),
        UNET,
        KL_VAE,
        ANY_SCHEDULER,
    ),
    index=True,
)
"""Stable Diffusion XL. What an index leaves out (the refiner has no first text encoder) is not needed."""


def present_in(index: Mapping[str, object], whole: Layout) -> Layout:
    """``whole`` without the parts that an index says its checkpoint has not: as a ``[null, null]``, or not at all."""
    there = tuple(part for part in whole.parts if _pair(index.get(part.name)) is not None)
    return Layout(there, whole.index)


def by_index(index: Mapping[str, object]) -> Layout:
    """Every component that a ``model_index.json`` names, by the habits of the libraries that wrote it."""
    found = ((name, _pair(said)) for name, said in index.items() if not name.startswith("_"))
    return Layout(tuple(_component(name, *pair) for name, pair in found if pair is not None), index=True)


def _pair(said: object) -> tuple[str, str] | None:
    if isinstance(said, list) and len(said) == 2 and all(isinstance(word, str) for word in said):
        return said[0], said[1]
    return None


def _component(name: str, library: str, class_name: str) -> Part:
    if class_name.endswith("Scheduler"):
        return Part(name, "scheduler")
    if "Tokenizer" in class_name or class_name == "TokenizersBackend":
        return Part(name, "tokenizer")
    if class_name.endswith(("Processor", "FeatureExtractor")):
        return Part(name, "processor")
    return Part(name, "weights", "diffusion_pytorch_model" if library == "diffusers" else "model")


def needed(
    names: Collection[str], read: ReadJson, where: str, wanted: Layout = SD, variant: str | None = None
) -> Needed:
    """The files to use of those called ``names``. ``read`` gives a JSON file's content by name.

    Weights of the ``variant`` are preferred where one is named, then full-precision safetensors, then fp16, then bf16;
    sharded weights by their index file. Raises ``UnsafeFile`` where a part has pickled weights only, ``ModelNotFound``
    where something is missing.
    """
    there = _There(frozenset(names), read, where, (f".{variant}", *VARIANTS) if variant else VARIANTS)
    found = [INDEX] if wanted.index else []
    variants = {}
    for part in sorted(wanted.parts, key=lambda part: part.kind == "weights"):  # the small files first
        if part.kind == "weights":
            files, variants[part.name] = there.weights(part)
            found += [there.must_have(f"{part.name}/{CONFIG}"), *files]
        else:
            found += there.small(part)
    return Needed(tuple(sorted(found)), variants)


@dataclass(frozen=True, slots=True)
class _There:
    """The names that are there, and how to look into a JSON file among them."""

    names: frozenset[str]
    read: ReadJson
    where: str
    variants: tuple[str, ...]

    def must_have(self, name: str) -> str:
        if name not in self.names:
            raise ModelNotFound(
                f"{self.where} has no {name}", hint="it is not a whole diffusers folder; fetch it again"
            )
        return name

    def small(self, part: Part) -> list[str]:
        if part.kind == "scheduler":
            return [self.must_have(f"{part.name}/{SCHEDULER}")]
        known = (*TOKENIZER, *PROCESSOR, "chat_template.jinja", CONFIG)
        found = [name for name in known if f"{part.name}/{name}" in self.names]
        if part.kind == "tokenizer" and not any(set(each) <= set(found) for each in TOKENIZERS):
            self.must_have(f"{part.name}/tokenizer.json (or vocab.json and merges.txt)")
        if part.kind == "processor" and not found:
            self.must_have(f"{part.name}/{PROCESSOR[0]}")
        return [f"{part.name}/{name}" for name in found]

    def weights(self, part: Part) -> tuple[tuple[str, ...], str]:
        folder, stem = part.name, part.stem
        for variant in self.variants:
            single = f"{folder}/{stem}{variant}.safetensors"
            if single in self.names:
                return (single,), variant.removeprefix(".")
            index = f"{folder}/{stem}.safetensors.index{variant}.json"
            if index in self.names:
                return self.shards(folder, index), variant.removeprefix(".")
        pickles = sorted(name for name in self.names if name.startswith(f"{folder}/") and name.endswith(PICKLES))
        if pickles:
            raise UnsafeFile(
                f"{self.where} has {folder} only as a pickle, which can run code: {pickles[0]}", hint=CONVERT_HINT
            )
        return (self.must_have(f"{folder}/{stem}.safetensors"),), ""

    def shards(self, folder: str, index: str) -> tuple[str, ...]:
        places = self.read(index).get("weight_map")
        if not isinstance(places, dict) or not places:
            raise CorruptFile(f"{self.where}: {index} has no weight_map", hint="fetch it again")
        shards = sorted({str(name) for name in places.values()})
        for shard in shards:
            if not SHARD.fullmatch(shard):
                raise UnsafeFile(f"{self.where}: {index} points outside its folder: {shard!r:.80}", hint=OTHER_MODEL)
            self.must_have(f"{folder}/{shard}")
        return (*(f"{folder}/{shard}" for shard in shards),)
