"""BLIP's picture and text encoders (Li et al. 2022, arXiv:2201.12086) as ImageReward uses them, under its names.

The text encoder is BERT with cross-attention to the picture's tokens; it has no token types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.fields import Fields


@dataclass(frozen=True, slots=True)
class BlipConfig:
    """``vision_*``: the ViT-L/16 of the picture; the rest BERT base. Widths, layers, heads, pixels."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    max_position_embeddings: int = 512
    vocab_size: int = 30524
    layer_norm_eps: float = 1e-12
    image_size: int = 224
    patch_size: int = 16
    vision_width: int = 1024
    vision_layers: int = 24
    vision_heads: int = 16

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> BlipConfig:
        """Read ``med_config.json``; the picture's fields are ImageReward's own unless it says others."""
        read, usual = Fields(config, "text encoder"), cls()
        whole = {name: read.integer(name, getattr(usual, name)) for name in cls.__slots__ if name != "layer_norm_eps"}
        return cls(**whole, layer_norm_eps=read.number("layer_norm_eps", usual.layer_norm_eps))


def _heads(x: Tensor, count: int) -> Tensor:
    batch, length, width = x.shape
    return x.reshape(batch, length, count, width // count).transpose(1, 2)


class VitAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        result: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result


class VitMlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


class VitBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = VitAttention(width, heads), VitMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class Patches(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return result


class Vit(nn.Module):
    """Pictures [N, 3, S, S] to tokens [N, 1 + patches, D], after the last norm."""

    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.patch_embed = Patches(width, config.patch_size)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, (config.image_size // config.patch_size) ** 2 + 1, width))
        self.blocks = nn.ModuleList(VitBlock(width, config.vision_heads) for _ in range(config.vision_layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], dim=1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        result: Tensor = self.norm(x)
        return result


class Words(nn.Module):
    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.word_embeddings(ids) + self.position_embeddings.weight[: ids.shape[1]]
        result: Tensor = self.LayerNorm(x)
        return result


class Looking(nn.Module):
    """Attention to ``there`` (the text itself, or the picture's tokens)."""

    def __init__(self, config: BlipConfig, there: int) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key, self.value = nn.Linear(there, config.hidden_size), nn.Linear(there, config.hidden_size)

    def forward(self, x: Tensor, there: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = (_heads(y, self.heads) for y in (self.query(x), self.key(there), self.value(there)))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


class Added(nn.Module):
    """A projection, added to what came in, and normalised: BERT's post-norm."""

    def __init__(self, config: BlipConfig, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        result: Tensor = self.LayerNorm(self.dense(x) + before)
        return result


class Attention(nn.Module):
    def __init__(self, config: BlipConfig, there: int) -> None:
        super().__init__()
        self.self = Looking(config, there)
        self.output = Added(config, config.hidden_size)

    def forward(self, x: Tensor, there: Tensor, mask: Tensor | None) -> Tensor:
        result: Tensor = self.output(self.self(x, there, mask), x)
        return result


class Widened(nn.Module):
    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class BertLayer(nn.Module):
    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.attention = Attention(config, config.hidden_size)
        self.crossattention = Attention(config, config.vision_width)
        self.intermediate = Widened(config)
        self.output = Added(config, config.intermediate_size)

    def forward(self, x: Tensor, mask: Tensor, picture: Tensor) -> Tensor:
        x = self.crossattention(self.attention(x, x, mask), picture, None)
        result: Tensor = self.output(self.intermediate(x), x)
        return result


class BertEncoder(nn.Module):
    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))


class Bert(nn.Module):
    """States [N, L, D] of ids [N, L] that look at picture tokens [N, T, V]; ``mask`` [N, L] is true at words."""

    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.embeddings = Words(config)
        self.encoder = BertEncoder(config)

    def forward(self, ids: Tensor, mask: Tensor, picture: Tensor) -> Tensor:
        x: Tensor = self.embeddings(ids)
        for layer in self.encoder.layer:
            x = layer(x, mask[:, None, None, :], picture)
        return x


class Head(nn.Module):
    """Five linear layers with nothing between them (dropout apart), as published."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (width, 1024, 128, 64, 16, 1)
        linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.layers = nn.Sequential(
            linear[0], nn.Identity(), linear[1], nn.Identity(), linear[2], nn.Identity(), linear[3], linear[4]
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


class Reward(nn.Module):
    """ImageReward's network: pictures [N, 3, S, S] and words to raw rewards [N], before mean and deviation."""

    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.config = config
        self.visual_encoder, self.text_encoder = Vit(config), Bert(config)
        self.mlp = Head(config.hidden_size)

    def forward(self, pictures: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        states: Tensor = self.text_encoder(ids, mask, self.visual_encoder(pictures))
        result: Tensor = self.mlp(states[:, 0])[:, 0]
        return result


def names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """ImageReward's tensors under the module's names; heads that only its training used are left out."""
    left = ("vision_proj.", "text_proj.", "text_encoder.embeddings.position_ids")
    found = {name.removeprefix("blip."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in found.items() if not name.startswith(left)}
