"""Published weights into our modules: checked first, read memory-mapped, converted tensor by tensor."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from limner.errors import CorruptFile, MismatchedWeights
from limner.models.inspect import read_header
from limner.models.nets.aliases import may_be_convolution
from limner.models.nets.packing import converted, not_finite, pack, waits
from limner.models.stored import Piece, pieces

__all__ = ["load_into"]

FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
PACKED_FROM = {"F32", "F16", "BF16"}
CONVOLUTIONAL = ("unet", "vae")
SHOWN = 3
MAPPED_AT_ONCE = 256 << 20  # bytes of originals that stand beside their copies while loading

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Found = dict[str, tuple[Path, Piece]]
"""For each parameter: the file that holds it, and where it lies in there."""


def load_into(
    module_factory: Callable[[], ModuleT],
    paths: Sequence[Path],
    part: str,
    dtype: torch.dtype,
    device: torch.device,
    *,
    packed: bool = False,
) -> ModuleT:
    """Build a module and fill it with the weights in one or more safetensors files.

    Every header is checked, and every name and shape compared with the module's, before any weight is read. On the CPU,
    weights that are stored in ``dtype`` already stay memory-mapped: the files must not change while the module lives.

    Args:
        module_factory: makes the module; called on the meta device, so that no memory is spent on initial values.
        paths: the file, or all shards of it.
        part: ``unet``, ``vae`` or ``text_encoder``; chooses the aliases of older files.
        dtype: floating dtype of the loaded weights.
        device: where they go.
        packed: on the CPU, have weights arranged for its kernels (:mod:`limner.models.nets.packing`) by the layers'
            first calls, until when they stay memory-mapped and may turn out not to be finite; the module can then be
            neither moved, converted nor saved.

    Returns:
        The module in evaluation mode, without gradients; plain convolutions of ``unet`` and ``vae`` in channels-last.

    Raises:
        ModelNotFound: a file is missing.
        UnsafeFile: a pickle or a file built to do harm.
        CorruptFile: truncated or malformed, or weights that are NaN or infinite in ``dtype``.
        MismatchedWeights: names, shapes or dtypes are not those of the module; the first few are listed.
    """
    with torch.device("meta"), _Unfilled():
        module = module_factory()
    wanted = module.state_dict()
    found = _find(paths, part)
    _compare(found, wanted, part)
    later = _later(module, found, dtype, device) if packed else frozenset()
    state = _read(found, wanted, part, dtype, device, later)
    _refuse_nonfinite({name: tensor for name, tensor in state.items() if name not in later}, part, dtype)
    module.load_state_dict(state, assign=True)
    _refuse_leftovers(module)
    module.eval().requires_grad_(False)
    if packed:
        pack(module, dtype=dtype, what=part)
    return module


def _later(module: nn.Module, found: Found, dtype: torch.dtype, device: torch.device) -> frozenset[str]:
    """Weights that stay as their files have them until their layers are first used."""
    names = (f"{name}.weight" for name, layer in module.named_modules() if waits(layer, dtype, device))
    return frozenset(name for name in names if found[name][1].info.dtype in PACKED_FROM)


class _Unfilled(TorchFunctionMode):
    """Skips the random filling of new parameters: without memory it does nothing, yet takes up to a second."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _find(paths: Sequence[Path], part: str) -> Found:
    found: Found = {}
    for path in paths:
        for name, piece in pieces(part, read_header(path).tensors):
            if name in found:
                other, there = found[name]
                raise MismatchedWeights(
                    f"the weights of the {part} hold {name} twice: as {there.stored!r} in {other.name} "
                    f"and as {piece.stored!r} in {path.name}",
                    hint="download the checkpoint again; name each shard once",
                )
            found[name] = (path, piece)
    return found


def _compare(found: Found, wanted: Mapping[str, Tensor], part: str) -> None:
    faults = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": [piece.stored for name, (_, piece) in found.items() if name not in wanted],
        "wrong shape": [
            f"{name} {list(piece.shape)} instead of {list(wanted[name].shape)}"
            for name, (_, piece) in found.items()
            if name in wanted and not _fits(piece.shape, tuple(wanted[name].shape), may_be_convolution(part, name))
        ],
        "not floating point": [
            f"{name} {piece.info.dtype}"
            for name, (_, piece) in found.items()
            if name in wanted and piece.info.dtype not in FLOATS
        ],
    }
    if any(faults.values()):
        told = "; ".join(f"{len(names)} {fault}: {_some(names)}" for fault, names in faults.items() if names)
        raise MismatchedWeights(
            f"the weights are not those of this {part}: {told}",
            hint="the config.json and the weights must come from the same checkpoint",
        )


def _fits(stored: tuple[int, ...], wanted: tuple[int, ...], convolution: bool) -> bool:
    return stored == wanted or (convolution and stored == (*wanted, 1, 1))


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(name[:160] for name in listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")


def _read(
    found: Found,
    wanted: Mapping[str, Tensor],
    part: str,
    dtype: torch.dtype,
    device: torch.device,
    later: Collection[str],
) -> dict[str, Tensor]:
    """Read file by file; only one tensor at a time exists in two dtypes. Those of ``later`` stay as they are stored.

    What is copied is read by mappings of its own, which are let go of: the pages of the originals would else stay with
    the process, beside the copies, for as long as any tensor of their file is used where it lies.
    """
    state: dict[str, Tensor] = {}
    for path in dict.fromkeys(path for path, _ in found.values()):
        try:
            with safe_open(path, framework="pt", device=str(device)) as file, _Passing(path) as passing:
                for name, (where, piece) in found.items():
                    if where != path:
                        continue
                    stored = file.get_tensor(piece.stored)
                    if name not in later and _is_copied(stored, piece, dtype, part):
                        stored = passing.get(piece.stored)
                    tensor = _piece(stored, piece).reshape(wanted[name].shape)
                    state[name] = tensor if name in later else _place(tensor, dtype, device, part)
                    del stored, tensor
        except (SafetensorError, OSError) as error:
            raise CorruptFile(f"{path} cannot be read: {error}", hint="delete it and download it again") from error
    return state


def _is_copied(stored: Tensor, piece: Piece, dtype: torch.dtype, part: str) -> bool:
    """Whether a tensor that lies mapped becomes another one, in another dtype or order. Touches none of its pages."""
    if stored.device.type != "cpu":
        return False  # it is a copy already
    image = stored.ndim == 4 and part in CONVOLUTIONAL
    moved = image and not stored.is_contiguous(memory_format=torch.channels_last)
    return piece.transposed or moved or stored.dtype != dtype


class _Passing:
    """A file's tensors on the CPU, each to be copied and let go of; the file is mapped anew every so often."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self._open = ExitStack()
        self._file: safe_open | None = None

    def __enter__(self) -> _Passing:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._file = None

    def get(self, name: str) -> Tensor:
        """Raises ``SafetensorError``."""
        if self._file is None or self._read > MAPPED_AT_ONCE:
            self.__exit__()
            self._file, self._read = self._open.enter_context(safe_open(self._path, framework="pt")), 0
        tensor: Tensor = self._file.get_tensor(name)
        self._read += tensor.nbytes
        return tensor


def _piece(tensor: Tensor, piece: Piece) -> Tensor:
    """The rows that a piece is, as a view: nothing is copied. A transposed one is, as products with it are faster."""
    if piece.rows is not None:
        tensor = tensor[piece.rows[0] : piece.rows[1]]
    return tensor.T.contiguous() if piece.transposed else tensor


def _place(tensor: Tensor, dtype: torch.dtype, device: torch.device, part: str) -> Tensor:
    if tensor.ndim == 4 and part in CONVOLUTIONAL:
        return tensor.to(device, dtype, memory_format=torch.channels_last)
    return converted(tensor.to(device), dtype)


def _refuse_nonfinite(state: Mapping[str, Tensor], part: str, dtype: torch.dtype) -> None:
    """Extremes show NaN and infinity, twenty times faster than asking every value; and one answer for all tensors
    waits for the device once.
    """
    filled = {name: tensor for name, tensor in state.items() if tensor.numel()}
    if not filled:
        return
    extremes = torch.stack([torch.stack(torch.aminmax(tensor)) for tensor in filled.values()]).float()
    finite = extremes.isfinite().all(dim=1).tolist()
    bad = [name for name, good in zip(filled, finite, strict=True) if not good]
    if bad:
        raise not_finite(part, bad, dtype)


def _refuse_leftovers(module: nn.Module) -> None:
    """Buffers that no file holds would stay without memory; our modules compute such values where they need them."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_meta:
            raise RuntimeError(f"{name} of {type(module).__name__} is in no state_dict, so nothing can fill it")
