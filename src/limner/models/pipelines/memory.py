"""The family of one diffusers pipeline that is in memory already: what it is, is read from it and not from files."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast
from uuid import uuid4

import torch
from torch import Tensor, nn

from limner.canonical import content_hash
from limner.errors import DeviceError, ModelError
from limner.models.catalog import Card
from limner.models.family import Files, Placement, Planned
from limner.models.machine import Machine
from limner.models.pipeline import AnyPipeline
from limner.models.pipelines import plan as pipeline_plan
from limner.models.pipelines.load import Held, require
from limner.models.pipelines.plan import IN_MEMORY, Described
from limner.models.pipelines.signature import Pipeline, kind_of_class, why_not
from limner.sampling.course import Weights
from limner.types import Adapter, Dtype, ModelRef, Notice, Request

__all__ = ["InMemory"]

DTYPES: Mapping[torch.dtype, Dtype] = {
    torch.float32: "float32",
    torch.bfloat16: "bfloat16",
    torch.float16: "float16",
}


class InMemory(AnyPipeline):
    """One loaded pipeline as a family. ``hashed`` says whether its weights are to be hashed when they first matter,
    which takes a second or two a gigabyte; without that, each session's pictures are another model's to Limner.

    The pipeline is used as it is: on its device, in its number format, with its scheduler and whatever is set on it.
    Raises ``MissingExtra``, and ``ModelError`` for what makes no pictures from words.
    """

    def __init__(self, pipeline: object, *, hashed: bool = True) -> None:
        require()
        _refuse(pipeline)
        self.pipeline = cast(Pipeline, pipeline)
        self.kind = kind_of_class(type(pipeline))
        self.hashed = hashed
        self._unhashed = f"unhashed:{uuid4().hex}"
        self._state: tuple[object, ...] = ()
        self._hashes: dict[str, str] = {}

    @property
    def model(self) -> str:
        """What Records call it."""
        return IN_MEMORY + self.kind.name

    @property
    def device(self) -> str:
        """Where it computes, also where its networks are kept elsewhere between turns."""
        place = getattr(self.pipeline, "_execution_device", None) or getattr(self.pipeline, "device", "cpu")
        return str(place)

    @property
    def dtype(self) -> Dtype:
        """The number format of its denoiser. Raises ``DeviceError`` for one that Limner has no word for."""
        networks = dict(self._networks())
        network = next((networks[name] for name in pipeline_plan.DENOISERS if name in networks), None)
        tensors = (
            each for part in ([network] if network is not None else networks.values()) for each in part.parameters()
        )
        found = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
        if found not in DTYPES:
            raise DeviceError(
                f"the pipeline computes in {str(found).removeprefix('torch.')}, which no Record can say",
                hint=f"use {', '.join(DTYPES.values())}",
            )
        return DTYPES[found]

    def card(self) -> Card:
        return Card.for_unknown(self.model, family=self.name, folder=Path("(in memory)"))

    def ref(self) -> ModelRef:
        """Which weights exactly, by component; hashed again where a tensor, an adapter or a setting has changed."""
        files = {name: content_hash(_plain(config)) for name, config in self._settings().items()}
        return ModelRef(name=self.model, family=self.name, files={**files, **self._weights()})

    def notices(self) -> tuple[Notice, ...]:
        """What must be said of it whatever is drawn."""
        found = []
        if not self.hashed or self._on_meta():
            why = "as was asked" if not self.hashed else "some of them are not in memory"
            message = f"the weights of this {self.kind.name} are not hashed ({why}): no Record can say which they were"
            found.append(Notice(code="unhashed", message=message))
        if dropping := [name for name, part in self._networks() if _drops(part)]:
            message = f"{', '.join(dropping)} of this pipeline drop out values at random, as in training: call eval()"
            found.append(Notice(code="training-mode", message=message))
        return tuple(found)

    def plan(
        self, request: Request, card: Card, files: Files, machine: Machine, adapters: Sequence[Adapter] = ()
    ) -> Planned:
        configs = {name: config for name, part in self._networks() if (config := _config(part))}
        size = sum(each.numel() * each.element_size() for _, part in self._networks() for each in part.parameters())
        return pipeline_plan.plan(request, Described(self.model, self.kind, configs, size))

    def load(self, weights: Weights, files: Files, placement: Placement) -> Held:
        return Held(self.pipeline)

    def _networks(self) -> Iterator[tuple[str, nn.Module]]:
        for name, part in sorted(self.pipeline.components.items()):
            if isinstance(part, nn.Module):
                yield name, part

    def _on_meta(self) -> bool:
        return any(tensor.is_meta for _, part in self._networks() for tensor in part.parameters())

    def _settings(self) -> Mapping[str, object]:
        """What besides weights decides pixels: configs of schedulers and networks, and the words of tokenizers."""
        return {
            f"{name}/config": _config(part) or {"class": type(part).__name__, "words": _words_of(part)}
            for name, part in sorted(self.pipeline.components.items())
            if part is not None
        }

    def _weights(self) -> Mapping[str, str]:
        if not self.hashed or self._on_meta():
            return {"weights": self._unhashed}
        state = tuple(_state(part) for _, part in self._networks())
        if state != self._state:
            self._hashes = {f"{name}/weights": _hash(part) for name, part in self._networks()}
            self._state = state
        return self._hashes


def _refuse(pipeline: object) -> None:
    from diffusers import DiffusionPipeline

    if not isinstance(pipeline, DiffusionPipeline):
        raise ModelError(
            f"a {type(pipeline).__name__} is no diffusers pipeline",
            hint="give what DiffusionPipeline.from_pretrained(...) answers",
        )
    if reason := why_not(type(pipeline)):
        raise ModelError(f"a {type(pipeline).__name__} {reason}", hint="Limner draws with text-to-image pipelines")


def _drops(part: nn.Module) -> bool:
    return any(isinstance(each, nn.Dropout) and each.training and each.p > 0 for each in part.modules())


def _config(part: object) -> dict[str, object]:
    config: object = getattr(part, "config", None)
    said = getattr(config, "to_diff_dict", None)  # transformers' own kind
    config = said() if callable(said) else config
    # Names beginning with _ say where a config came from and with which version, not what it is.
    return {k: v for k, v in config.items() if not k.startswith("_")} if isinstance(config, Mapping) else {}


def _plain(value: object) -> object:
    """What canonical JSON can say; anything else by its own text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    finite = isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value))
    return value if finite else str(value)


def _words_of(part: object) -> str:
    """All of a tokenizer where it is of the fast kind, else how many words it has."""
    whole = getattr(getattr(part, "backend_tokenizer", None), "to_str", None)
    if not callable(whole):
        return str(len(part) if hasattr(part, "__len__") else 0)
    # How the last text was cut and filled up stays in it, and says nothing of the next.
    return json.dumps(
        {key: value for key, value in json.loads(whole()).items() if key not in ("truncation", "padding")}
    )


def _state(part: nn.Module) -> tuple[object, ...]:
    """Changes when a tensor is replaced or written to, or an adapter's scale set. Costs no reading."""
    tensors = tuple(
        (name, id(each), _version(each), each.dtype) for name, each in part.state_dict(keep_vars=True).items()
    )
    return (*tensors, *_scales(part))


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version


def _scales(part: nn.Module) -> tuple[tuple[str, str], ...]:
    """The scales of peft's adapters, which are no tensors."""
    return tuple(
        (name, str(scaling)) for name, each in part.named_modules() if (scaling := getattr(each, "scaling", None))
    )


def _hash(part: nn.Module) -> str:
    """SHA-256 of names, number formats, shapes and bytes, in the order of names."""
    digest = hashlib.sha256(str(_scales(part)).encode())
    for name, tensor in sorted(part.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{digest.hexdigest()}"
