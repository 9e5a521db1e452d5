"""CLIP's picture tower, a Vision Transformer (Radford et al. 2021, arXiv:2103.00020), and both towers as one.

Parameter names are the published ones of ``CLIPModel``, ``pre_layrnorm`` included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.errors import CorruptFile
from limner.models.nets.clip import ClipText, Mlp
from limner.models.nets.configs import MAX_LAYERS, ClipTextConfig
from limner.models.nets.fields import Fields


@dataclass(frozen=True, slots=True)
class ClipVisionConfig:
    """The picture tower: square pictures of ``image_size`` pixels in patches of ``patch_size``."""

    hidden_size: int = 768
    intermediate_size: int = 3072
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    image_size: int = 224
    patch_size: int = 32
    hidden_act: str = "quick_gelu"
    layer_norm_eps: float = 1e-5

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> ClipVisionConfig:
        """Read a published ``vision_config``. Raises ``CorruptFile``, ``MismatchedWeights``."""
        read = Fields(config, "picture tower")
        found = cls(
            hidden_size=read.integer("hidden_size", 768),
            intermediate_size=read.integer("intermediate_size", 3072),
            num_hidden_layers=read.integer("num_hidden_layers", 12, high=MAX_LAYERS),
            num_attention_heads=read.integer("num_attention_heads", 12),
            image_size=read.integer("image_size", 224, high=1 << 12),
            patch_size=read.integer("patch_size", 32, high=1 << 12),
            hidden_act=read.text("hidden_act", "quick_gelu", ("quick_gelu", "gelu")),
            layer_norm_eps=read.number("layer_norm_eps", 1e-5),
        )
        if found.hidden_size % found.num_attention_heads:
            raise read.unsupported("num_attention_heads", "which does not divide hidden_size")
        if found.image_size < found.patch_size:
            raise read.unsupported("patch_size", "which is larger than the picture")
        return found


@dataclass(frozen=True, slots=True)
class ClipConfig:
    """Both towers; ``projection_dim`` is the width D of the space they share."""

    text: ClipTextConfig
    vision: ClipVisionConfig
    projection_dim: int = 512

    @classmethod
    def from_json(cls, config: Mapping[str, object]) -> ClipConfig:
        """Read a published ``config.json`` of a ``CLIPModel``. Raises ``CorruptFile``, ``MismatchedWeights``."""
        parts = config.get("text_config"), config.get("vision_config")
        text, vision = parts
        if not isinstance(text, Mapping) or not isinstance(vision, Mapping):
            raise CorruptFile("the config.json describes no CLIP of two towers", hint="download the config.json again")
        read = Fields(config, "CLIP")
        return cls(
            # The projection lies beside the tower in these files, not in it.
            replace(ClipTextConfig.from_json(text), projection_dim=None),
            ClipVisionConfig.from_json(vision),
            read.integer("projection_dim", 512),
        )


class SelfAttention(nn.Module):
    """Multi-head attention of every patch to every other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        result: Tensor = self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return result


class EncoderLayer(nn.Module):
    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = SelfAttention(config.hidden_size, config.num_attention_heads)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = Mlp(_as_text(config))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        result: Tensor = x + self.mlp(self.layer_norm2(x))
        return result


def _as_text(config: ClipVisionConfig) -> ClipTextConfig:
    """What the two towers' perceptrons have in common."""
    return ClipTextConfig(
        hidden_size=config.hidden_size, intermediate_size=config.intermediate_size, hidden_act=config.hidden_act
    )


class Encoder(nn.Module):
    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))


class Embeddings(nn.Module):
    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        side = config.patch_size
        self.class_embedding = nn.Parameter(torch.empty(config.hidden_size))
        self.patch_embedding = nn.Conv2d(3, config.hidden_size, side, side, bias=False)
        self.position_embedding = nn.Embedding((config.image_size // side) ** 2 + 1, config.hidden_size)

    def forward(self, pictures: Tensor) -> Tensor:
        patches = self.patch_embedding(pictures).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pictures), 1, -1)
        result: Tensor = torch.cat([first, patches], 1) + self.position_embedding.weight
        return result


class ClipVision(nn.Module):
    """Pictures ``[N, 3, S, S]``, normalised, to one state each ``[N, width]``: the class token's, after the norm."""

    def __init__(self, config: ClipVisionConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.pre_layrnorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.encoder = Encoder(config)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.pre_layrnorm(self.embeddings(pictures))
        for layer in self.encoder.layers:
            x = layer(x)
        result: Tensor = self.post_layernorm(x[:, 0])
        return result


class Clip(nn.Module):
    """Pictures and texts to unit vectors ``[N, D]`` of one space, whose cosine says how well the two go together."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = ClipText(config.text)
        self.vision_model = ClipVision(config.vision)
        self.text_projection = nn.Linear(config.text.hidden_size, config.projection_dim, bias=False)
        self.visual_projection = nn.Linear(config.vision.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.empty(()))

    def pictures(self, pictures: Tensor) -> Tensor:
        """Unit embeddings ``[N, D]`` of pictures ``[N, 3, S, S]``, normalised as the network was trained."""
        return F.normalize(self.visual_projection(self.vision_model(pictures)), dim=-1)

    def texts(self, ids: Tensor) -> Tensor:
        """Unit embeddings ``[N, D]`` of token ids ``[N, L]``, each ended by the network's end marker."""
        return F.normalize(self.text_projection(self.text_model.both(ids)[1]), dim=-1)
