"""The text encoders of Stable Diffusion 1, 2 and XL, CLIP's text tower (Radford et al. 2021, arXiv:2103.00020).

Parameter names are the published ones without the prefix ``text_model.``, which older files have and
:mod:`limner.models.nets.aliases` takes off.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.configs import ClipTextConfig

__all__ = ["ClipText", "ClipTextConfig"]

HIGHEST = 2  # configs from before the end marker was written down say this; CLIP's marker is its highest id


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
    """Token ids to one state per token, which the UNet attends to, and to one vector for the text as a whole."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        wide = config.projection_dim
        self.text_projection = None if wide is None else nn.Linear(config.hidden_size, wide, bias=False)

    def forward(self, ids: Tensor, skip: int = 0, *, norm: bool = True) -> Tensor:
        """States ``[N, L, D]`` of the token ``ids`` ``[N, L]``, after the final norm unless ``norm`` is false.

        ``skip`` leaves out that many of the last layers: 1 gives the penultimate layer. ``L`` is at most
        ``max_position_embeddings``; a longer text is split by the caller.

        Raises:
            ValueError: the text is too long, or there are not that many layers to skip.
        """
        kept = self._kept(skip)
        x = self._embed(ids)
        for layer in self.encoder.layers[:kept]:
            x = layer(x)
        return self._normed(x, norm)

    def both(self, ids: Tensor, skip: int = 0, *, norm: bool = True) -> tuple[Tensor, Tensor]:
        """States ``[N, L, D]`` as of ``forward``, and the pooled text ``[N, P]`` of the last layer, in one pass.

        The text is pooled at its end marker (see ``ClipTextConfig.eos_token_id``) and projected where the network has a
        projection, else ``P`` is ``D``. Raises ``ValueError`` as ``forward``.
        """
        kept = self._kept(skip)
        x = states = self._embed(ids)
        for done, layer in enumerate(self.encoder.layers, 1):
            x = layer(x)
            if done == kept:
                states = x
        pooled = self.final_layer_norm(x)[torch.arange(len(ids), device=ids.device), self.ends(ids)]
        if self.text_projection is not None:
            pooled = self.text_projection(pooled)
        return self._normed(states, norm), pooled

    def ends(self, ids: Tensor) -> Tensor:
        """Where each text ``[N, L]`` ends: the first end marker, or the first position where there is none."""
        eos = self.config.eos_token_id
        if eos != HIGHEST:
            return (ids == eos).int().argmax(dim=-1)
        # Ids beyond the vocabulary are embeddings that a user added; they mark no end.
        return ids.masked_fill(ids >= self.config.vocab_size, -1).argmax(dim=-1)

    def _kept(self, skip: int) -> int:
        count = len(self.encoder.layers)
        if not 0 <= skip < count:
            raise ValueError(f"cannot skip {skip} of {count} layers")
        return count - skip

    def _embed(self, ids: Tensor) -> Tensor:
        most = self.config.max_position_embeddings
        if ids.shape[1] > most:
            raise ValueError(f"{ids.shape[1]} tokens, but the encoder reads {most} at most")
        result: Tensor = self.embeddings(ids)
        return result

    def _normed(self, x: Tensor, norm: bool) -> Tensor:
        result: Tensor = self.final_layer_norm(x) if norm else x
        return result
