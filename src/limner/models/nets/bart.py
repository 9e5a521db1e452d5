"""DALL-E mini's transformer: a text encoder and an image decoder (https://github.com/borisdayma/dalle-mini).

BART (Lewis et al. 2019, arXiv 1910.13461) in its NormFormer variant (Shleifer et al. 2021, arXiv 2110.09456) with
gated linear units (Shazeer 2020, arXiv 2002.05202). No linear map has a bias. A norm that stands before linear maps has
a bias and no scale; the others have both.

Projections that read the same input are one matrix here (``qkv``, ``kv``, ``fc_in``): a token step is bound by reading
weights, and fewer, larger products read them faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.dalle_configs import DalleConfig, Stack

__all__ = ["Bart", "Memory", "Slots", "attend", "attend_whole"]

EPS = 1e-5


def cache_dtype(weights: torch.dtype, device: torch.device) -> torch.dtype:
    """What keys and values are kept in. In float32 on the CPU: its kernels for few queries are as fast there as in 16
    bit, at twice the memory, and nothing is rounded."""
    return torch.float32 if device.type == "cpu" else weights


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention of few queries [N, H, S, d] over keys and values [N, H, T, d], in the dtype of the keys; ``bias`` is
    added to the scores. Answers in the dtype of the queries.

    On the CPU two plain products: its fused kernel is made for many queries and takes two to four times as long here.
    """
    few = q.to(k.dtype)
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(few, k, v, attn_mask=bias).to(q.dtype)
    scores = torch.matmul(k, (few * k.shape[-1] ** -0.5).transpose(-1, -2)).transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    return torch.matmul(scores.softmax(-1), v).to(q.dtype)


def attend_whole(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None, *, causal: bool = False) -> Tensor:
    """Attention of whole sequences [N, H, S, d] over themselves; ``bias`` is added to the scores, ``causal`` hides what
    comes after. Two plain products where the CPU is to go back: its fused kernel takes ten times as long there."""
    if q.device.type != "cpu" or not q.requires_grad:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
    scores = torch.matmul(q * q.shape[-1] ** -0.5, k.transpose(-1, -2))
    if causal:
        hidden = torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype, device=q.device).triu(1)
        bias = hidden if bias is None else bias + hidden
    return torch.matmul((scores if bias is None else scores + bias).softmax(-1, dtype=scores.dtype), v)


class BiasNorm(nn.Module):
    """Layer norm with a bias and no scale."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.bias.shape, None, self.bias, EPS)


class Glu(nn.Module):
    """``W2 norm(gelu(W0 norm(x)) * W1 norm(x))``; ``fc_in`` holds W0 above W1."""

    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.norm_in = BiasNorm(size)
        self.fc_in = nn.Linear(size, 2 * inner, bias=False)
        self.norm_mid = BiasNorm(inner)
        self.fc_out = nn.Linear(inner, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active, gate = self.fc_in(self.norm_in(x)).chunk(2, dim=-1)
        result: Tensor = self.fc_out(self.norm_mid(F.gelu(active) * gate))
        return result


class SelfAttention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(size, 3 * size, bias=False)
        self.out = nn.Linear(size, size, bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``x`` [N, S, D] to queries, keys and values [N, H, S, D/H]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def join(self, h: Tensor) -> Tensor:
        """[N, H, S, D/H] to [N, S, D]."""
        result: Tensor = self.out(h.transpose(1, 2).flatten(2))
        return result


class CrossAttention(nn.Module):
    """Attends from all pictures of a branch to that branch's one text: pictures are more queries, not more texts."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(size, size, bias=False)
        self.kv = nn.Linear(size, 2 * size, bias=False)
        self.out = nn.Linear(size, size, bias=False)

    def remember(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Text states [B, T, D] to keys and values [B, H, T, D/H]."""
        kv = self.kv(states).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        k, v = kv.to(cache_dtype(kv.dtype, kv.device)).contiguous().unbind(0)
        return k, v

    def forward(self, x: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        """``x`` [B * images, S, D], branch by branch; ``bias`` [B, 1, 1, T]."""
        rows, length, size = x.shape
        branches = k.shape[0]
        q = self.q(x).view(branches, rows // branches * length, self.heads, -1).transpose(1, 2)
        h = attend(q, k, v, bias)
        result: Tensor = self.out(h.transpose(1, 2).reshape(rows, length, size))
        return result


class EncoderLayer(nn.Module):
    def __init__(self, size: int, stack: Stack) -> None:
        super().__init__()
        self.self_norm = BiasNorm(size)
        self.self_attn = SelfAttention(size, stack.heads)
        self.self_post = nn.LayerNorm(size, eps=EPS)
        self.glu = Glu(size, stack.ffn)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = self.self_attn.project(self.self_norm(x))
        x = x + self.self_post(self.self_attn.join(attend_whole(q, k, v, bias)))
        result: Tensor = x + self.glu(x)
        return result


@dataclass(frozen=True, slots=True)
class Memory:
    """What the decoder knows of B texts: keys and values [B, H, T, D/H] of every layer, and a bias [B, 1, 1, T] that
    hides the padding. Computed once."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    bias: Tensor

    @property
    def branches(self) -> int:
        return self.bias.shape[0]


@dataclass(slots=True)
class Slots:
    """The decoder's state for B texts x n pictures: keys and values [2, B * n, H, L, D/H] of every layer, of which the
    first ``length`` positions are filled. Allocated once at full length."""

    memory: Memory
    layers: tuple[Tensor, ...]
    length: int = 0


class DecoderLayer(nn.Module):
    def __init__(self, size: int, stack: Stack) -> None:
        super().__init__()
        self.self_norm = BiasNorm(size)
        self.self_attn = SelfAttention(size, stack.heads)
        self.self_post = nn.LayerNorm(size, eps=EPS)
        self.cross_norm = BiasNorm(size)
        self.cross_attn = CrossAttention(size, stack.heads)
        self.cross_post = nn.LayerNorm(size, eps=EPS)
        self.glu = Glu(size, stack.ffn)

    def forward(self, x: Tensor, cache: Tensor, start: int, text: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        x = x + self.self_post(self._look_back(self.self_norm(x), cache, start))
        x = x + self.cross_post(self.cross_attn(self.cross_norm(x), *text, bias))
        result: Tensor = x + self.glu(x)
        return result

    def _look_back(self, x: Tensor, cache: Tensor, start: int) -> Tensor:
        q, k, v = self.self_attn.project(x)
        end = start + x.shape[1]
        cache[0, :, :, start:end] = k
        cache[1, :, :, start:end] = v
        keys, values = cache[:, :, :, :end].unbind(0)
        if x.shape[1] == 1:
            return self.self_attn.join(attend(q, keys, values))
        # Several tokens at once are only ever given from the start, where the causal mask is the lower triangle.
        return self.self_attn.join(attend_whole(q, k, v, causal=True))


class Encoder(nn.Module):
    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        size = config.d_model
        self.embed_tokens = nn.Embedding(config.text_vocab, size)
        self.embed_positions = nn.Embedding(config.text_length, size)
        self.layernorm_embedding = nn.LayerNorm(size, eps=EPS)
        self.layers = nn.ModuleList(EncoderLayer(size, config.encoder) for _ in range(config.encoder.layers))
        self.final_ln = BiasNorm(size)

    def forward(self, ids: Tensor, bias: Tensor) -> Tensor:
        x = self.embed_tokens(ids) + self.embed_positions.weight[: ids.shape[1]]
        x = self.layernorm_embedding(x)
        for layer in self.layers:
            x = layer(x, bias)
        result: Tensor = self.final_ln(x)
        return result


class Decoder(nn.Module):
    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        size = config.d_model
        self.embed_tokens = nn.Embedding(config.image_vocab + 1, size)
        self.embed_positions = nn.Embedding(config.image_length, size)
        self.layernorm_embedding = nn.LayerNorm(size, eps=EPS)
        self.layers = nn.ModuleList(DecoderLayer(size, config.decoder) for _ in range(config.decoder.layers))
        self.final_ln = BiasNorm(size)

    def layer(self, i: int) -> DecoderLayer:
        layer = self.layers[i]
        assert isinstance(layer, DecoderLayer)
        return layer

    def forward(self, ids: Tensor, slots: Slots) -> Tensor:
        start, length = slots.length, ids.shape[1]
        x = self.embed_tokens(ids) + self.embed_positions.weight[start : start + length]
        x = self.layernorm_embedding(x)
        for layer, cache, text in zip(self.layers, slots.layers, slots.memory.layers, strict=True):
            x = layer(x, cache, start, text, slots.memory.bias)
        slots.length = start + length
        result: Tensor = self.final_ln(x)
        return result


class Bart(nn.Module):
    """Text to image codes. All states are in the dtype of the weights; logits are float32."""

    def __init__(self, config: DalleConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.lm_head = nn.Linear(config.d_model, config.image_vocab + 1, bias=False)

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """States [B, T, D] of the token ``ids`` [B, T]; ``mask`` [B, T] is true (or 1) at real tokens."""
        result: Tensor = self.encoder(ids, self._bias(mask, self.dtype))
        return result

    def remember(self, states: Tensor, mask: Tensor) -> Memory:
        """Every decoder layer's keys and values of the text ``states`` [B, T, D]."""
        layers = tuple(self.decoder.layer(i).cross_attn.remember(states) for i in range(len(self.decoder.layers)))
        dtype = cache_dtype(self.dtype, mask.device)
        return Memory(layers, self._bias(mask, dtype))

    def slots(self, memory: Memory, images: int) -> Slots:
        """Empty state for ``images`` pictures of every text."""
        config = self.config
        rows, heads = memory.branches * images, config.decoder.heads
        shape = (2, rows, heads, config.image_length, config.d_model // heads)
        like = memory.bias
        caches = (torch.zeros(shape, dtype=like.dtype, device=like.device) for _ in self.decoder.layers)
        return Slots(memory, tuple(caches))

    def decode(self, codes: Tensor, slots: Slots) -> Tensor:
        """Logits [B * n, S, V + 1], float32, after the ``codes`` [B * n, S], which follow those given before.

        Rows are ordered text by text. More than one code at a time may be given at the start only.
        """
        if codes.shape[1] > 1 and slots.length:
            raise ValueError("several codes at once can only be given at the start")
        if slots.length + codes.shape[1] > self.config.image_length:
            raise ValueError(f"a picture has {self.config.image_length} codes")
        result: Tensor = self.lm_head(self.decoder(codes, slots)).float()
        return result

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights and all states; asked of an embedding, which is never packed."""
        return self.decoder.embed_tokens.weight.dtype

    def _bias(self, mask: Tensor, dtype: torch.dtype) -> Tensor:
        """0 at real tokens and -inf elsewhere, [B, 1, 1, T]. Every text has a token, so no row is all -inf."""
        bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
        return bias.masked_fill(mask == 0, float("-inf"))[:, None, None, :]
