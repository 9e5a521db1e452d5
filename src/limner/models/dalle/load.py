"""DALL-E mini's weights into our modules, from any of the layouts they are published in.

Names and shapes are compared with the module's before a weight is read, and parameters are made one by one, so that the
file beside the finished module costs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from limner.errors import CorruptFile, MismatchedWeights, ModelNotFound
from limner.models.dalle import names as dalle_names
from limner.models.dalle.files import MODEL
from limner.models.dalle.names import Source
from limner.models.dalle.plan import vqgan_config
from limner.models.dalle.store import Shapes, Store, StoredTable
from limner.models.family import Files, Placement
from limner.models.inspect import read_json
from limner.models.nets.bart import Bart
from limner.models.nets.dalle_configs import DalleConfig
from limner.models.nets.packing import can_pack, pack_layer
from limner.models.nets.vqgan import Vqgan
from limner.types import Pixels

__all__ = ["load_dalle", "load_part", "load_vqgan", "preview", "stored_dtype"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Sources = Mapping[str, tuple[Source, ...]]
FLAX, OURS = "flax_model.msgpack", "model.safetensors"
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
TEXT_TABLE = "encoder.embed_tokens"
SHOWN = 3


def load_part(part: str, files: Files, placement: Placement) -> nn.Module:
    """``model`` or ``vqgan``, packed for the processor where that is faster. Raises ``ModelError``."""
    dtype, device = DTYPES[placement.dtype], placement.device
    load = load_dalle if part == MODEL else load_vqgan
    return load(files, part, dtype, device, packed=can_pack(dtype, device.type))


def preview(codes: Tensor, vqgan: nn.Module) -> Pixels | None:
    """The whole rows of the codes [S] of one picture, decoded; ``None`` before the first."""
    assert isinstance(vqgan, Vqgan)
    rows = codes.shape[0] // vqgan.config.grid
    if not rows:
        return None
    out = vqgan.decode(codes[None, : rows * vqgan.config.grid])[0].float()
    shown = out.nan_to_num(0.5).clamp(0, 1).mul(255).to(torch.uint8)
    pixels: Pixels = shown.permute(1, 2, 0).contiguous().cpu().numpy()
    return pixels


def load_dalle(files: Files, folder: str, dtype: torch.dtype, device: torch.device, *, packed: bool = False) -> Bart:
    """The transformer in ``folder`` of a checkpoint's files; ``packed`` for the processor. Raises ``ModelError``."""
    config = DalleConfig.from_json(read_json(_one(files, f"{folder}/config.json")))
    with ExitStack() as stack:
        store, kind = _store(files, folder, ("encoder", "decoder"), stack)
        if kind == "flax":
            sources: Sources = dalle_names.flax_dalle(config, store.shapes)
        elif kind == "min-dalle":
            sources = dalle_names.min_dalle(config)
        else:
            sources = {name: (Source(name),) for name in store.shapes}
        return _fill(lambda: Bart(config), store, sources, "DALL-E mini", dtype, device, packed=packed)


def stored_dtype(files: Files, folder: str) -> str:
    """The dtype the transformer's weights are stored in; float32 where they are of several. Raises ``ModelError``."""
    with ExitStack() as stack:
        dtypes = _store(files, folder, ("encoder", "decoder"), stack)[0].dtypes
    found = next(iter(dtypes)) if len(dtypes) == 1 else "float32"
    return found if found in DTYPES else "float32"


def load_vqgan(files: Files, folder: str, dtype: torch.dtype, device: torch.device, *, packed: bool = False) -> Vqgan:
    """The image decoder in ``folder`` of a checkpoint's files; ``packed`` for the processor. Raises ``ModelError``."""
    config = vqgan_config(files)
    with ExitStack() as stack:
        store, kind = _store(files, folder, ("detoker",), stack)
        if kind == "flax":
            sources: Sources = dalle_names.flax_vqgan(store.shapes)
        else:
            sources = dalle_names.min_dalle_vqgan(name.removeprefix("detoker:") for name in store.shapes)
            if kind == "min-dalle":
                sources = {ours: (Source("detoker:" + each.name),) for ours, (each,) in sources.items()}
        return _fill(lambda: Vqgan(config), store, sources, "VQGAN", dtype, device, ignored=_encoding, packed=packed)


def _encoding(name: str) -> bool:
    """Names of the VQGAN's encoding half, which drawing does not need."""
    return name.removeprefix("detoker:").startswith(("encoder", "quant_conv", "loss."))


def _one(files: Files, name: str) -> Path:
    try:
        return files.paths[name]
    except KeyError:
        raise ModelNotFound(f"the checkpoint has no {name}", hint="it is not whole; fetch it again") from None


def _store(files: Files, folder: str, split: Sequence[str], stack: ExitStack) -> tuple[Store, str]:
    """The weights in a folder and which layout they have: ours, min-dalle's (``split`` names its files) or Flax."""
    store = Store(stack)
    if path := files.paths.get(f"{folder}/{OURS}"):
        store.add_safetensors(path)
        return store, "ours"
    parts = {name: path for name in split if (path := files.paths.get(f"{folder}/{name}.safetensors"))}
    if len(parts) == len(split):
        for name, path in parts.items():
            store.add_safetensors(path, f"{name}:")
        return store, "min-dalle"
    store.add_flax(_one(files, f"{folder}/{FLAX}"))
    return store, "flax"


def _fill(
    make: Callable[[], ModuleT],
    store: Store,
    sources: Sources,
    what: str,
    dtype: torch.dtype,
    device: torch.device,
    *,
    ignored: Callable[[str], bool] = lambda name: False,
    packed: bool = False,
) -> ModuleT:
    """The module with its weights, layer by layer. A layer that is to be packed is packed before the next is read, so
    that of all plain weights only one layer's are in memory at a time; the words' table then stays in its file."""
    with torch.device("meta"):
        module = make()
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    shapes = store.shapes
    _compare(shapes, sources, wanted, what, ignored)
    # Names only: a list of the layers would keep every plain weight alive beside its packed one.
    for place in [name for name, _ in module.named_modules()]:
        layer, own = module.get_submodule(place), {}
        for name in _own_names(layer):
            full = f"{place}.{name}" if place else name
            own[name] = _made(store, shapes, sources[full], wanted[full], dtype, device)
            _refuse_nonfinite(own[name], full, what, dtype)
        layer.load_state_dict(own, strict=False, assign=True)
        if packed and place == TEXT_TABLE and (table := store.table(sources[full][0])) is not None:
            module.set_submodule(place, StoredEmbedding(table, dtype))
        elif packed and own:
            del layer, own
            pack_layer(module, place, matrices=True)
    return module.eval().requires_grad_(False)


class StoredEmbedding(nn.Module):
    """An embedding that reads the rows it is asked for from the file: the words' table is a tenth of DALL-E mini."""

    def __init__(self, table: StoredTable, dtype: torch.dtype) -> None:
        super().__init__()
        self._table = table
        self._dtype = dtype

    def forward(self, ids: Tensor) -> Tensor:
        """Rows [*, D] of ``ids`` [*]."""
        return self._table.rows(ids).to(self._dtype)


def _own_names(layer: nn.Module) -> list[str]:
    """Names of what a layer itself holds, not its children."""
    return [name for name in layer.state_dict() if "." not in name]


def _refuse_nonfinite(made: Tensor, name: str, what: str, dtype: torch.dtype) -> None:
    if not bool(torch.isfinite(torch.stack(torch.aminmax(made)).float()).all()):
        raise CorruptFile(
            f"{name} of the {what} is not finite as {str(dtype).removeprefix('torch.')}",
            hint="download it again; if that does not help, it needs a dtype of larger range",
        )


def _made(
    store: Store,
    shapes: Shapes,
    sources: Sequence[Source],
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """A parameter from its sources, joined along the first axis."""
    made = torch.empty(shape, dtype=dtype, device=device)
    start = 0
    for source in sources:
        outputs = _shape_of(shapes[source.name], source)[0]
        store.copy(source, _as_stored(made[start : start + outputs], source))
        start += outputs
    return made


def _as_stored(tensor: Tensor, source: Source) -> Tensor:
    """A view in the stored order: kernels of linear maps are (in, out), of convolutions (h, w, in, out)."""
    if not source.kernel:
        return tensor
    return tensor.t() if tensor.ndim == 2 else tensor.permute(2, 3, 1, 0)


def _shape_of(stored: tuple[int, ...], source: Source) -> tuple[int, ...]:
    shape = stored if source.layer is None else stored[1:]
    if not source.kernel:
        return shape
    return shape[::-1] if len(shape) != 4 else (shape[3], shape[2], shape[0], shape[1])


def _compare(
    stored: Shapes,
    sources: Sources,
    wanted: Shapes,
    what: str,
    ignored: Callable[[str], bool],
) -> None:
    """Raises ``MismatchedWeights`` unless the stored arrays are exactly those of the module."""
    asked = {source.name for name in wanted if name in sources for source in sources[name]}
    faults = {
        "missing": [
            *(name for name in wanted if name not in sources),
            *sorted(asked - set(stored)),
        ],
        "unexpected": [name for name in stored if name not in asked and not ignored(name)],
    }
    if not any(faults.values()):
        faults["wrong shape"] = [
            f"{name} {list(found)} instead of {list(shape)}"
            for name, shape in wanted.items()
            if (found := _joined(stored, sources[name])) != shape
        ]
        faults["wrong number of layers"] = [
            f"{source.name} {list(stored[source.name])}"
            for source in dict.fromkeys(s for name in wanted for s in sources[name])
            if source.layer == 0 and stored[source.name][:1] != (_layers(sources, source.name),)
        ]
    if any(faults.values()):
        told = "; ".join(
            f"{len(names)} {fault}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"
            for fault, names in faults.items()
            if names
        )
        raise MismatchedWeights(
            f"the weights are not those of this {what}: {told}",
            hint="the config.json and the weights must come from the same checkpoint",
        )


def _joined(stored: Shapes, sources: Sequence[Source]) -> tuple[int, ...]:
    shapes = [_shape_of(stored[source.name], source) for source in sources]
    if len({shape[1:] for shape in shapes}) != 1 or not all(shapes):
        return shapes[0]
    return (sum(shape[0] for shape in shapes), *shapes[0][1:])


def _layers(sources: Sources, name: str) -> int:
    return len({source.layer for each in sources.values() for source in each if source.name == name})
