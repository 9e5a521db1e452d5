"""A Vision Transformer that sorts pictures into classes (Dosovitskiy et al. 2021, arXiv:2010.11929).

Parameter names are timm's; :func:`from_transformers` renames what transformers' ``ViTForImageClassification`` stores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import MismatchedWeights
from limner.models.nets.configs import MAX_LAYERS
from limner.models.nets.fields import Fields

HEAD = 64  # channels of an attention head in every ViT of timm's that ours reads


@dataclass(frozen=True, slots=True)
class VitConfig:
    """Square pictures of ``image_size`` pixels in patches of ``patch_size``, to ``classes`` logits."""

    width: int = 192
    inner: int = 768
    layers: int = 12
    heads: int = 3
    image_size: int = 384
    patch_size: int = 16
    classes: int = 2
    eps: float = 1e-6

    @classmethod
    def of_shapes(cls, shapes: Mapping[str, tuple[int, ...]]) -> VitConfig:
        """Of timm's tensors, whose config names an architecture and no sizes. Raises ``MismatchedWeights``."""
        try:
            _, tokens, width = shapes["pos_embed"]
            patch = shapes["patch_embed.proj.weight"][-1]
            inner, classes = shapes["blocks.0.mlp.fc1.weight"][0], shapes["head.weight"][0]
        except (KeyError, ValueError, IndexError) as error:
            raise MismatchedWeights(f"the file is no ViT of timm's: {error}", hint="fetch it again") from None
        layers = len({name.split(".")[1] for name in shapes if name.startswith("blocks.")})
        side = isqrt(max(0, tokens - 1))
        if side * side != tokens - 1 or layers > MAX_LAYERS or width % HEAD:
            raise MismatchedWeights(f"the file is no ViT that Limner knows: {tokens} tokens, width {width}")
        return cls(width, inner, layers, width // HEAD, side * patch, patch, classes)

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> VitConfig:
        """Read transformers' ``config.json`` of a ViT classifier. Raises ``CorruptFile``, ``MismatchedWeights``."""
        read, labels = Fields(config, "ViT"), config.get("id2label")
        read.text("hidden_act", "gelu", ("gelu",))
        found = cls(
            width=read.integer("hidden_size", 768),
            inner=read.integer("intermediate_size", 3072),
            layers=read.integer("num_hidden_layers", 12, high=MAX_LAYERS),
            heads=read.integer("num_attention_heads", 12),
            image_size=read.integer("image_size", 224, high=1 << 12),
            patch_size=read.integer("patch_size", 16, high=1 << 12),
            classes=len(labels) if isinstance(labels, Mapping) and labels else 2,
            eps=read.number("layer_norm_eps", 1e-12),
        )
        if found.width % found.heads:
            raise read.unsupported("num_attention_heads", "which does not divide hidden_size")
        return found


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        result: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result


class Mlp(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


class Block(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.eps)
        self.attn = Attention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width, eps=config.eps)
        self.mlp = Mlp(config.width, config.inner)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Patches(nn.Module):
    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch_size, config.patch_size)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return result


class Vit(nn.Module):
    """Pictures ``[N, 3, S, S]``, normalised, to logits ``[N, classes]`` of the class token."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.empty(1, (config.image_size // config.patch_size) ** 2 + 1, config.width))
        self.patch_embed = Patches(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, eps=config.eps)
        self.head = nn.Linear(config.width, config.classes)

    def forward(self, pictures: Tensor) -> Tensor:
        first = self.cls_token.expand(len(pictures), -1, -1)
        x = torch.cat([first, self.patch_embed(pictures)], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        result: Tensor = self.head(self.norm(x)[:, 0])
        return result


_RENAMED = (
    (r"vit\.(encoder\.layer|layers)\.", "blocks."),
    (r"vit\.embeddings\.cls_token$", "cls_token"),
    (r"vit\.embeddings\.position_embeddings$", "pos_embed"),
    (r"vit\.embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"vit\.layernorm\.", "norm."),
    (r"classifier\.", "head."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.attention\.(attention\.query|q_proj)\.", ".attn.q."),
    (r"\.attention\.(attention\.key|k_proj)\.", ".attn.k."),
    (r"\.attention\.(attention\.value|v_proj)\.", ".attn.v."),
)


def from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file of transformers' under timm's names: query, key and value become one matrix."""
    found: dict[str, Tensor] = {}
    for stored, tensor in tensors.items():
        name = stored
        for old, new in _RENAMED:
            name = re.sub(old, new, name)
        found[name] = tensor
    for name in [name for name in found if ".attn.q." in name]:
        parts = [found.pop(name.replace(".q.", f".{part}."), None) for part in "qkv"]
        if all(part is not None for part in parts):  # what is missing is named by whoever fills the network
            found[name.replace(".q.", ".qkv.")] = torch.cat([part for part in parts if part is not None])
    return found
