"""A LoRA file by its header: which layers it changes, how, and what it says of itself. Torch-free.

LoRA: Hu et al. 2021 (arXiv:2106.09685), ``up @ down``; with convolutions and ``mid`` as LyCORIS has them (Yeh et al.
2023, arXiv:2309.14859), whose LoHa (Hadamard product of two LoRA) and LoKr (Kronecker product) are read too.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from limner.errors import CorruptFile, MismatchedWeights
from limner.models.adapters.lora_keys import Key, read_key, unsupported
from limner.models.adapters.targets import Shape
from limner.models.inspect import Header, read_header, read_json

Form: TypeAlias = Literal["lora", "loha", "lokr", "full"]
FORMS: Mapping[Form, str] = {"lora": "LoRA", "loha": "LoHa", "lokr": "LoKr", "full": "full difference"}

PEFT_FILE, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
DIFFUSERS_METADATA = "lora_adapter_metadata"
AGAIN = "delete it and download it again"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's change. ``keys`` are names in the file by slot (``down``, ``up``, ``hada_w1_a`` ...)."""

    part: str | None
    name: str
    form: Form
    keys: Mapping[str, str]
    shapes: Mapping[str, Shape]

    @property
    def rank(self) -> int | None:
        """Columns of the factors that ``alpha`` is divided by; ``None`` where nothing is factored."""
        for slot in ("down", "hada_w1_b", "lokr_w1_b", "lokr_w2_b"):
            if slot in self.shapes:
                return self.shapes[slot][0]
        return None

    @property
    def outputs(self) -> int:
        s = self.shapes
        if self.form == "lora":
            return s["up"][0]
        if self.form == "loha":
            return s["hada_w1_a"][1 if "hada_t1" in s else 0]
        if self.form == "lokr":
            return _first(s, "lokr_w1") * _first(s, "lokr_w2")
        return s["diff"][0]

    @property
    def inputs(self) -> int:
        """Inputs times the size of the kernel."""
        s = self.shapes
        if self.form == "lora":
            return math.prod(s["down"][1:]) * (math.prod(s["mid"][2:]) if "mid" in s else 1)
        if self.form == "loha":
            return s["hada_w1_b"][1] * math.prod(s.get("hada_t1", ())[2:])
        if self.form == "lokr":
            return _rest(s, "lokr_w1") * _rest(s, "lokr_w2")
        return math.prod(s["diff"][1:])


def _first(shapes: Mapping[str, Shape], slot: str) -> int:
    """Rows of a LoKr factor, whole or itself factored."""
    if slot in shapes:
        return shapes[slot][0]
    return shapes[f"{slot}_a"][1 if "lokr_t2" in shapes and slot == "lokr_w2" else 0]


def _rest(shapes: Mapping[str, Shape], slot: str) -> int:
    if slot in shapes:
        return math.prod(shapes[slot][1:])
    kernel = math.prod(shapes["lokr_t2"][2:]) if "lokr_t2" in shapes and slot == "lokr_w2" else 1
    return math.prod(shapes[f"{slot}_b"][1:]) * kernel


@dataclass(frozen=True, slots=True)
class LoraFile:
    """``unknown`` are keys of no form we read. ``alphas``: what is said of them outside the tensors."""

    path: Path
    layers: tuple[Layer, ...]
    unknown: tuple[str, ...]
    metadata: Mapping[str, str]
    alphas: Alphas

    @property
    def ranks(self) -> tuple[int, ...]:
        return tuple(sorted({layer.rank for layer in self.layers if layer.rank is not None}))

    @property
    def forms(self) -> tuple[str, ...]:
        return tuple(sorted({FORMS[layer.form] for layer in self.layers}))

    @property
    def keys(self) -> int:
        return len(self.unknown) + sum(len(layer.keys) for layer in self.layers)


@dataclass(frozen=True, slots=True)
class Alphas:
    """Alpha of layers that have no tensor for it: diffusers' metadata and peft's ``adapter_config.json`` tell."""

    by_part: Mapping[str, Mapping[str, object]]

    def of(self, layer: Layer) -> float:
        """The factor alpha / rank; 1 where nothing is said."""
        said = self.by_part.get(layer.part or "", self.by_part.get("", {}))
        rank = _number(_pattern(said.get("rank_pattern"), layer.name), said.get("r")) or float(layer.rank or 1)
        alpha = _number(_pattern(said.get("alpha_pattern"), layer.name), said.get("lora_alpha"))
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if said.get("use_rslora") else rank)


def read_lora(path: Path) -> LoraFile:
    """Read the header. Raises ``ModelError``: a pickle, a damaged file, no LoRA, or a kind that cannot be used."""
    stat = path.stat() if path.is_file() else None
    return _read(path, None if stat is None else (stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=64)
def _read(path: Path, _stamp: tuple[int, int] | None) -> LoraFile:
    header = read_header(path)
    if kind := next((kind for name in header.tensors if (kind := unsupported(name))), None):
        raise MismatchedWeights(
            f"{path.name} is {kind}, which Limner cannot use", hint="LoRA, LoCon, LoHa and LoKr can be used"
        )
    found: dict[str, dict[str, tuple[Key, str]]] = defaultdict(dict)
    unknown = []
    for name in header.tensors:
        key = read_key(name)
        if key is None:
            unknown.append(name)
        else:
            found[key.stem][key.slot] = (key, name)
    layers = [_layer(slots, header, path) for slots in found.values()]
    if not any(layers):
        raise MismatchedWeights(
            f"{path.name} is no LoRA: none of its {len(header.tensors)} tensors is named as one's are",
            hint="limner inspect FILE says what it is",
        )
    stray = [
        name for slots, layer in zip(found.values(), layers, strict=True) if layer is None for _, name in slots.values()
    ]
    known = tuple(layer for layer in layers if layer is not None)
    return LoraFile(path, known, (*unknown, *stray), header.metadata, _alphas(path, header))


def _layer(slots: Mapping[str, tuple[Key, str]], header: Header, path: Path) -> Layer | None:
    """``None`` where only an alpha is left. Raises ``CorruptFile`` for half a change."""
    form = _form(slots)
    key, example = next(iter(slots.values()))
    if form is None:
        if slots.keys() == {"alpha"}:
            return None
        raise CorruptFile(f"{path.name} holds half a change: {example} without its counterpart", hint=AGAIN)
    shapes = {slot: header.tensors[name].shape for slot, (_, name) in slots.items()}
    return Layer(key.part, key.layer, form, {slot: name for slot, (_, name) in slots.items()}, shapes)


def _form(slots: Mapping[str, object]) -> Form | None:
    have = slots.keys()
    if {"down", "up"} <= have:
        return "lora"
    if {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} <= have:
        return "loha"
    if all(w in have or {f"{w}_a", f"{w}_b"} <= have for w in ("lokr_w1", "lokr_w2")):
        return "lokr"
    return "full" if "diff" in have else None


def _alphas(path: Path, header: Header) -> Alphas:
    if path.name == PEFT_FILE and (beside := path.parent / PEFT_CONFIG).is_file():
        return Alphas({"": dict(read_json(beside))})
    try:
        said = json.loads(header.metadata.get(DIFFUSERS_METADATA, "{}"))
    except ValueError:
        return Alphas({})
    by_part: dict[str, dict[str, object]] = defaultdict(dict)
    for name, value in said.items() if isinstance(said, dict) else ():
        part, _, field = str(name).partition(".")
        by_part[part][field] = value
    return Alphas(dict(by_part))


def _pattern(table: object, layer: str) -> object:
    """peft's patterns name a layer by the end of its name."""
    if not isinstance(table, Mapping):
        return None
    return next((value for end, value in table.items() if layer.endswith(str(end).replace(".", "_"))), None)


def _number(*values: object) -> float | None:
    return next((float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and v > 0), None)
