"""The text encoder of Stable Diffusion 1 and 2, CLIP's text tower (Radford et al. 2021, arXiv:2103.00020).

Parameter names are the published ones without the prefix ``text_model.``, which older files have and
:mod:`limner.models.nets.aliases` takes off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.configs import ClipTextConfig

__all__ = ["ClipText", "ClipTextConfig"]


class Embeddings(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, ids: Tensor) -> Tensor:
        result: Tensor = self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]
        return result


class SelfAttention(nn.Module):
    """Causal multi-head attention: a token sees itself and what stands before it."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        h = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        result: Tensor = self.out_proj(h.transpose(1, 2).flatten(2))
        return result


class Mlp(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.quick = config.hidden_act == "quick_gelu"
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc1(x)
        h = h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h)
        result: Tensor = self.fc2(h)
        return result


class EncoderLayer(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = SelfAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        result: Tensor = x + self.mlp(self.layer_norm2(x))
        return result


class Encoder(nn.Module):
    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))


class ClipText(nn.Module):
    """Token ids to one state per token, which the UNet attends to."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, ids: Tensor, skip: int = 0) -> Tensor:
        """States ``[N, L, D]`` after the final norm of the token ``ids`` ``[N, L]``.

        ``skip`` leaves out that many of the last layers: 1 gives the penultimate layer. ``L`` is at most
        ``max_position_embeddings``; a longer text is split by the caller.

        Raises:
            ValueError: the text is too long, or there are not that many layers to skip.
        """
        layers = self.encoder.layers
        if ids.shape[1] > self.config.max_position_embeddings:
            raise ValueError(
                f"{ids.shape[1]} tokens, but the encoder reads {self.config.max_position_embeddings} at most"
            )
        if not 0 <= skip < len(layers):
            raise ValueError(f"cannot skip {skip} of {len(layers)} layers")
        x = self.embeddings(ids)
        for layer in layers[: len(layers) - skip]:
            x = layer(x)
        result: Tensor = self.final_layer_norm(x)
        return result
