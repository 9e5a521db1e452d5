"""What training would take in memory and arithmetic, from shapes alone: one step on torch's meta device, where tensors
have a shape and no numbers. Nothing of the model is loaded."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from limner.models.inspect import read_json
from limner.models.latent.parts import TEXT_2, UNET
from limner.models.nets.autoencoder import Autoencoder, AutoencoderConfig
from limner.models.nets.clip import ClipText, ClipTextConfig
from limner.models.nets.unet import Block, UNet
from limner.tune.layers import adapt, trained

if TYPE_CHECKING:
    from limner.tune.base import Base
    from limner.tune.settings import TuneSettings

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Of one step: bytes of the frozen ``weights``, ``kept`` for the way back and ``passing`` (alive for a moment
    on top of them), the numbers ``learnt``, floating point operations; of encoding a picture: bytes alive at most, and
    operations."""

    weights: int
    kept: int
    passing: int
    learnt: int
    flops: int
    encoding: int
    encoding_flops: int


def foresee(base: Base, settings: TuneSettings, side: int, *, pixels: int) -> Foreseen:
    """``side`` pixels a side are trained at; the autoencoder encodes ``pixels`` at a time, one picture at least."""
    return Foreseen(
        *_step(base, settings, side // base.configs.factor),
        *_encoding(base.configs.vae, side, max(1, pixels // side**2)),
    )


def _step(base: Base, settings: TuneSettings, cells: int) -> tuple[int, int, int, int, int]:
    config, rows, dtype = base.configs.unet, settings.batch * (2 if settings.prior else 1), DTYPES[settings.dtype]
    width, length = config.cross_attention_dim, base.length
    with torch.device("meta"):
        unet = UNet(config).to(dtype)
        adapt(unet, UNET, settings)
        sample = torch.empty(rows, config.in_channels, cells, cells, dtype=dtype)
        words, ids, t = torch.empty(rows, length, width, dtype=dtype), torch.zeros(rows, length), torch.empty(rows)
        encoders = [_encoder(base, part, settings) for part in base.encoders] if settings.text else []
        more = {name: torch.empty(rows, wide, dtype=dtype) for name, wide in base.told.items()}
    alive, layers = Alive(unet, *encoders), _Layers()
    with _Fused(), alive, layers.watched(unet, alive):
        said = [encoder(ids.long(), base.skip, norm=not base.xl) for encoder in encoders]
        answer = unet(sample, t, torch.cat(said, dim=-1) if said else words, **more)
        kept = alive.now
        answer.float().square().mean().backward()
    passing = max(alive.peak - kept, 0)
    if settings.checkpointing:
        kept = kept - sum(layers.inner) + max(layers.inner, default=0)
    learnt = sum(each.numel() for module in (unet, *encoders) for each in trained(module).values())
    weights = sum(each.nbytes for module in (unet, *encoders) for each in module.parameters()) - 4 * learnt
    return weights, kept, passing, learnt, alive.flops


def _encoder(base: Base, part: str, settings: TuneSettings) -> ClipText:
    said = read_json(base.resolved.files.paths[f"{part}/config.json"])
    encoder = ClipText(ClipTextConfig.from_json(said, projected=part == TEXT_2)).to(DTYPES[settings.dtype])
    adapt(encoder, part, settings)
    return encoder


@torch.no_grad()
def _encoding(config: AutoencoderConfig, side: int, together: int) -> tuple[int, int]:
    """(bytes alive at most, operations a picture), in float32."""
    with torch.device("meta"):
        vae, pictures = Autoencoder(config), torch.empty(together, config.in_channels, side, side)
    alive = Alive(vae)
    with _Fused(), alive:
        vae.encode(pictures)
    weights = sum(each.numel() * 4 for each in vae.parameters())
    return alive.peak + weights, alive.flops // together


class Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of storages that are made inside it and still alive, ``now`` and at the ``peak``, and the
    ``flops`` of convolutions, matrix products and attention. What is ``there`` already, weights, does not count."""

    def __init__(self, *there: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._there = {each.untyped_storage()._cdata for module in there for each in module.parameters()}
        self.now = self.peak = self.flops = 0
        self._seen: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += int(count(*args, **(kwargs or {}), out_val=made))
        for each in tree_leaves(made):
            if isinstance(each, Tensor):
                self._count(each.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen or key in self._there:
            return
        self._seen[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self.now -= self._seen.pop(key, 0)


class _Fused(TorchFunctionMode):
    """On the meta device attention is written out, tables of all pairs included; real devices fuse it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is F.scaled_dot_product_attention:
            return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(*args[:3])[0]
        return func(*args, **(kwargs or {}))


class _Layers:
    """``inner``: the bytes that each resnet with its transformer keeps beside its answer, which checkpointing lets go
    of."""

    def __init__(self) -> None:
        self.inner: list[int] = []

    @contextmanager
    def watched(self, unet: nn.Module, alive: Alive) -> Iterator[None]:
        blocks = [each for each in unet.modules() if isinstance(each, Block)]
        for block in blocks:
            block.__dict__["layer"] = self._watching(block.layer, alive)
        try:
            yield
        finally:
            for block in blocks:
                del block.__dict__["layer"]

    def _watching(self, plain: Callable[..., Tensor], alive: Alive) -> Callable[..., Tensor]:
        def layer(*args: object) -> Tensor:
            before = alive.now
            made = plain(*args)
            self.inner.append(alive.now - before - made.untyped_storage().nbytes())
            return made

        return layer
