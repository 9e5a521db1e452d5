"""The pocket judge: a convolutional eye, and a decoder in which each word of a question looks at the picture's cells.

Parameter names are those that its training exports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.fields import Fields

SIDE = 256  # pixels
_CELLS = (SIDE // 16) ** 2
_GROUPS = 4
_HEAD = 48  # channels of one attention head


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """``words`` in its vocabulary, questions of ``length`` tokens at most."""

    words: int
    width: int = 192
    layers: int = 2
    length: int = 20

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> JudgeConfig:
        """Read the exported ``config.json``. Raises ``CorruptFile``, ``MismatchedWeights``."""
        read = Fields(config, "pocket judge")
        width = read.integer("width", 192, high=4096)
        if width % 12 or width % max(1, width // _HEAD):
            raise read.unsupported("width", "which the layers cannot be made of")
        return cls(
            read.integer("words", 0, high=1 << 20),
            width,
            read.integer("layers", 2, high=32),
            read.integer("length", 20, high=512),
        )


class Attention(nn.Module):
    """Multi-head attention under the parameter names of ``torch.nn.MultiheadAttention``."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, seen: Tensor | None = None) -> Tensor:
        """``x`` [N, L, W] looks at ``memory`` [N, M, W]; ``seen`` [N, M] says which of it there is."""
        w, b = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q = self._heads(F.linear(x, w[0], b[0]))
        k, v = self._heads(F.linear(memory, w[1], b[1])), self._heads(F.linear(memory, w[2], b[2]))
        mask = None if seen is None else seen[:, None, None, :]
        result: Tensor = self.out_proj(
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        )
        return result

    def _heads(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        return x.view(n, length, self.heads, width // self.heads).transpose(1, 2)


class Layer(nn.Module):
    """A decoder layer, normed first (Xiong et al. 2020, arXiv:2002.04745)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        heads = max(1, width // _HEAD)
        self.self_attn = Attention(width, heads)
        self.multihead_attn = Attention(width, heads)
        self.linear1 = nn.Linear(width, 2 * width)
        self.linear2 = nn.Linear(2 * width, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))

    def forward(self, x: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.self_attn(h, h, seen)
        x = x + self.multihead_attn(self.norm2(x), memory)
        result: Tensor = x + self.linear2(F.gelu(self.linear1(self.norm3(x))))
        return result


class Reader(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor, seen: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, memory, seen)
        result: Tensor = self.norm(x)
        return result


class Judge(nn.Module):
    """Pictures ``[N, 3, 256, 256]`` in [-1, 1] and one question each ``[N, length]`` to logits of yes ``[N]``."""

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        steps: list[nn.Module] = []
        before = 3
        for w in (width // 6, width // 3, width // 2, width):
            steps += [nn.Conv2d(before, w, 4, 2, 1), nn.GroupNorm(_GROUPS, w), nn.GELU()]
            steps += [nn.Conv2d(w, w, 3, padding=1), nn.GroupNorm(_GROUPS, w), nn.GELU()]
            before = w
        self.eye = nn.Sequential(*steps)
        self.cells = nn.Parameter(torch.empty(1, _CELLS, width))
        self.words = nn.Embedding(config.words, width, padding_idx=0)
        self.order = nn.Parameter(torch.empty(1, config.length, width))
        self.reader = Reader(width, config.layers)
        self.answer = nn.Linear(width, 1)

    def see(self, pictures: Tensor) -> Tensor:
        """The cells ``[N, 256, width]`` of pictures, which any number of questions can be asked of."""
        result: Tensor = self.eye(pictures).flatten(2).transpose(1, 2) + self.cells
        return result

    def forward(self, cells: Tensor, questions: Tensor) -> Tensor:
        """Logits of yes ``[N]`` to token ids ``[N, length]``, padded with 0, about cells ``[N, 256, width]``."""
        seen = questions != 0
        read = self.reader(self.words(questions) + self.order, cells, seen)
        kept = seen.unsqueeze(-1)
        logits: Tensor = self.answer((read * kept).sum(1) / kept.sum(1)).squeeze(-1)
        return logits
