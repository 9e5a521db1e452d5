"""Which layers are adapted, with peft's LoRA layers put in their place.

peft wraps our networks as it does others': they are made of plain linear maps and convolutions. One class is ours:
:class:`Pointwise` is stored as a convolution and computed as a matrix, and gets peft's layer for matrices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from limner.errors import MissingExtra
from limner.models.latent.parts import UNET
from limner.tune.settings import Target, TuneSettings

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module, Parameter

NAME = "tuned"
_PATTERNS: Mapping[Target, str] = {
    "attention": r"\.attn[12]\.to_(?:q|k|v|out\.0)$|\.proj_(?:in|out)$",
    "ff": r"\.ff\.net\.(?:0\.proj|2)$",
    "conv": r"\.(?:conv1|conv2|conv_shortcut|time_emb_proj)$|\.(?:down|up)samplers\.0\.conv$",
    "text": r"\.self_attn\.(?:[qkv]|out)_proj$|\.mlp\.fc[12]$",
}


def chosen(names: Sequence[str], part: str, targets: Sequence[Target]) -> tuple[str, ...]:
    """The names of ``part``'s layers that ``targets`` mean."""
    wanted = [each for each in targets if (each == "text") == (part != UNET)]
    pattern = re.compile("|".join(_PATTERNS[each] for each in wanted) or r"(?!)")
    return tuple(name for name in names if pattern.search(f".{name}"))


def adapt(module: Module, part: str, settings: TuneSettings) -> tuple[str, ...]:
    """Put LoRA layers into ``module``; they add nothing until they are trained. Returns the names of the layers.

    The first factor is drawn as peft does (Kaiming), from ``settings.seed``. Raises ``MissingExtra``.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.tuners.lora import Linear as LoraLinear
    except ImportError:
        raise MissingExtra("tune", ["peft"]) from None
    import torch
    from torch import nn

    from limner.models.nets.attention import Pointwise

    candidates = [name for name, each in module.named_modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    names = chosen(candidates, part, settings.targets)
    if not names:
        return ()
    module.requires_grad_(False)
    alpha: Any = settings.scale * settings.rank  # peft's annotation says int; it takes fractions
    config = LoraConfig(r=settings.rank, lora_alpha=alpha, target_modules=list(names))
    config._register_custom_module({Pointwise: LoraLinear})
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        inject_adapter_in_model(config, module, adapter_name=NAME)
    for parameter in trained(module).values():
        parameter.data = parameter.data.float()  # the base may be in bfloat16; what is learnt never is
    return names


def trained(module: Module) -> dict[str, Parameter]:
    """The factors by layer: ``LAYER.down`` [r, in, ...] and ``LAYER.up`` [out, r, ...]."""
    found: dict[str, Parameter] = {}
    for name, parameter in module.named_parameters():
        for letter, slot in (("A", "down"), ("B", "up")):
            if name.endswith(end := f".lora_{letter}.{NAME}.weight"):
                found[f"{name.removesuffix(end)}.{slot}"] = parameter
    return found


@contextmanager
def swapped(parameters: Mapping[str, Parameter], values: Mapping[str, Tensor]) -> Iterator[None]:
    """Other values (a mean, the best ones) inside the block."""
    kept = {name: each.data for name, each in parameters.items()}
    try:
        for name, each in parameters.items():
            each.data = values[name].to(each.data)
        yield
    finally:
        for name, each in parameters.items():
            each.data = kept[name]


def checkpointed(unet: Module) -> None:
    """Have every resnet and transformer computed again on the way back, in place of keeping what they met (Chen et al.
    2016, arXiv:1604.06174): a third more time, most of the memory of activations less."""
    from torch.utils.checkpoint import checkpoint

    from limner.models.nets.unet import Block

    for block in unet.modules():
        if isinstance(block, Block):
            plain = block.layer

            def layer(i: int, x: Tensor, emb: Tensor, context: Tensor, plain: object = plain) -> Tensor:
                made: Tensor = checkpoint(plain, i, x, emb, context, use_reentrant=False)
                return made

            block.__dict__["layer"] = layer
