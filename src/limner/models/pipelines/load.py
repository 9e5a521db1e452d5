"""A foreign pipeline into memory: diffusers and transformers read the files, after Limner has checked them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from torch import nn

from limner.errors import CorruptFile, LimnerError, MismatchedWeights, MissingExtra, ModelError
from limner.models.family import Files, Placement
from limner.models.inspect import read_header, read_json
from limner.models.pipelines.folder import only
from limner.models.pipelines.hush import heard, without_bars
from limner.models.pipelines.plan import extra
from limner.models.pipelines.signature import Pipeline, why_not
from limner.models.resolving.layout import INDEX

__all__ = ["Held", "load", "require"]

HEADROOM = 0.9  # share of a GPU's free memory that weights may take; the rest is for activations
SHOWN = 3

Info = Mapping[str, object]


class Held(nn.Module):
    """A pipeline as the engine holds it: its networks are this module's, so that their size is known.

    ``notes`` are what to say of how it was loaded.
    """

    def __init__(self, pipeline: Pipeline, notes: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__()
        self.notes = notes
        self._pipeline = (pipeline,)  # in a tuple: the pipeline is no module, and is left as it is
        for name, part in pipeline.components.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)

    @property
    def pipeline(self) -> Pipeline:
        return self._pipeline[0]


def require() -> None:
    """Raises ``MissingExtra`` where diffusers or transformers are not installed."""
    if (missing := extra()) is not None:
        raise missing
    # Before the first import, so that no code of a checkpoint's is run whatever it says.
    os.environ.setdefault("DIFFUSERS_DISABLE_REMOTE_CODE", "1")


def load(files: Files, placement: Placement) -> Held:
    """Read a whole pipeline. Raises ``MissingExtra``, ``CorruptFile``, ``MismatchedWeights``, ``ModelError``."""
    require()
    for name, path in files.paths.items():
        if name.endswith(".safetensors"):
            read_header(path)
    with torch.inference_mode(False), torch.no_grad(), heard() as said, _translated(), only(files) as folder:
        pipeline, notes = _read(folder, getattr(torch, placement.dtype))
    return _placed(pipeline, placement.device, [*notes, *(("library-warning", message) for message in said)])


def _read(folder: Path, dtype: torch.dtype) -> tuple[Pipeline, list[tuple[str, str]]]:
    import diffusers

    index = read_json(folder / INDEX)
    pipeline_class = getattr(diffusers, str(index.get("_class_name")), None)
    if pipeline_class is None:
        raise ModelError(
            f"diffusers {diffusers.__version__} knows no {index.get('_class_name')}",
            hint="a newer diffusers may; limner models list shows what is known to work",
        )
    if reason := why_not(pipeline_class):
        raise ModelError(
            f"a {pipeline_class.__name__} {reason}", hint="choose a text-to-image model: limner models list"
        )
    notes: list[tuple[str, str]] = []
    with without_bars():
        parts = {name: part for name, said in index.items() if (part := _part(folder / name, said, dtype, notes))}
        pipeline = pipeline_class.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, **{_dtype_name(): dtype}, **parts
        )
    return cast(Pipeline, pipeline), notes


def _dtype_name() -> str:
    """What diffusers calls the argument: versions before ``dtype`` would ignore it and load float32."""
    from diffusers.utils import deprecation_utils

    return "dtype" if hasattr(deprecation_utils, "_TORCH_DTYPE_DEPRECATION_MESSAGE") else "torch_dtype"


def _part(folder: Path, said: object, dtype: torch.dtype, notes: list[tuple[str, str]]) -> nn.Module | None:
    """One network, checked by what its library says of keys it missed: the pipeline's own loader would fill what the
    files do not with random numbers. ``None`` for what is no network."""
    import diffusers
    import transformers

    if not isinstance(said, list) or len(said) != 2 or said[0] not in ("diffusers", "transformers"):
        return None
    library = diffusers if said[0] == "diffusers" else transformers
    found = getattr(library, str(said[1]), None)
    if not isinstance(found, type) or not issubclass(found, diffusers.ModelMixin | transformers.PreTrainedModel):
        return None
    named = {_dtype_name() if library is diffusers else "dtype": dtype}
    reading = cast("Callable[..., tuple[nn.Module, Info]]", found.from_pretrained)
    made, info = reading(str(folder), local_files_only=True, use_safetensors=True, output_loading_info=True, **named)
    _check(folder.name, info, notes)
    return made


def _check(part: str, info: Info, notes: list[tuple[str, str]]) -> None:
    missing, unused = _names(info, "missing_keys"), _names(info, "unexpected_keys")
    mismatched = _names(info, "mismatched_keys")
    if missing or mismatched:
        told = "; ".join(
            f"{len(names)} {fault}: {_some(names)}"
            for fault, names in (("missing", missing), ("of another shape", mismatched))
            if names
        )
        raise MismatchedWeights(
            f"the weights of the {part} are not those its config.json describes: {told}",
            hint="the config.json and the weights must come from the same checkpoint; fetch it again",
        )
    if unused:
        notes.append(("unused-weights", f"{len(unused)} tensors of the {part} are not used: {_some(unused)}"))


def _names(info: Info, key: str) -> list[str]:
    found = info.get(key) or ()
    # A mismatched key comes with its two shapes.
    return sorted(str(each[0] if isinstance(each, tuple) else each) for each in cast("tuple[object, ...]", found))


def _some(names: list[str]) -> str:
    return ", ".join(name[:120] for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _placed(pipeline: Pipeline, device: torch.device, notes: list[tuple[str, str]]) -> Held:
    """On the device; where a GPU has no room for all of it, each network comes when it is its turn."""
    held = Held(pipeline)
    size = sum(tensor.numel() * tensor.element_size() for tensor in held.parameters())
    if device.type == "cuda" and size > HEADROOM * torch.cuda.mem_get_info(device)[0]:
        pipeline.enable_model_cpu_offload(device=device)
        notes.append(("offload", "the GPU has no room for all networks at once: each is moved there for its turn"))
    else:
        pipeline.to(device)
    return Held(pipeline, tuple(notes))


@contextmanager
def _translated() -> Iterator[None]:
    """The libraries' errors as ours."""
    try:
        yield
    except (LimnerError, MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        raise MissingExtra("models", [error.name or str(error).strip().splitlines()[0]]) from error
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if "out of memory" in first.lower() or "not enough memory" in first.lower():
            raise
        if re.search(r"sentencepiece|tiktoken|protobuf", first):  # one asks for another where none of them is there
            raise MissingExtra("models", ["sentencepiece", "protobuf"]) from error
        hint = "fetch the model again (limner models check); if that does not help, its files do not belong together"
        if re.search(r"shape|size mismatch|missing key", str(error)):
            raise MismatchedWeights(f"the weights do not fit their config: {first:.300}", hint=hint) from error
        raise CorruptFile(f"the model cannot be read: {first:.300}", hint=hint) from error
