"""What trains a VQGAN beside its decoding half: the encoding half and the running means behind its codebook.

The decoding half and the codebook are Limner's own ``Vqgan``, so that what is trained is what ships; the encoding half
is the published one (Esser et al. 2020, arXiv 2012.09841) under its published names. Pixels are 0..1, as the published
DALL-E mini tokenised them.
"""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limner.models.nets.dalle_configs import GROUPS, VqganConfig
from limner.models.nets.vqgan import EPS, Attention, Middle, ResBlock, Vqgan

WINDOW = 16  # vectors of a code's share that its running mean remembers
LEAST_KEPT = 0.95
FLOOR = 0.1  # of the mean use; what is used less is dead
_SHIPPED = "vqgan."


class Downsample(nn.Module):
    """Half the side; the border is padded at the right and below only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return result


class Level(nn.Module):
    """Blocks of one resolution, each with its own attention where there is any, then the step to the next."""

    def __init__(self, taken: int, given: int, blocks: int, *, attention: bool, downsample: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResBlock(taken if j == 0 else given, given) for j in range(blocks))
        self.attn = nn.ModuleList(Attention(given) for _ in range(blocks if attention else 0))
        self.downsample = Downsample(given) if downsample else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        for j, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[j](x)
        result: Tensor = self.downsample(x)
        return result


class Encoder(nn.Module):
    """Pixels [B, 3, H, W] to [B, z_channels, H/f, W/f], f = 2 ** (levels - 1)."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        widths = [config.channels * each for each in config.multipliers]
        before = [config.channels, *widths]
        self.conv_in = nn.Conv2d(3, config.channels, 3, padding=1)
        self.down = nn.ModuleList(
            Level(
                before[i],
                width,
                config.blocks,
                attention=config.resolution // 2**i in config.attention,
                downsample=i < len(widths) - 1,
            )
            for i, width in enumerate(widths)
        )
        self.mid = Middle(widths[-1])
        self.norm_out = nn.GroupNorm(GROUPS, widths[-1], eps=EPS)
        self.conv_out = nn.Conv2d(widths[-1], config.z_channels, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.conv_in(pixels)
        for level in self.down:
            x = level(x)
        result: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(x))))
        return result


def nearest(table: Tensor, seen: Tensor) -> Tensor:
    """The row of ``table`` [K, D] that is nearest to each of ``seen`` [N, D]: [N]."""
    return (table.square().sum(1) - 2 * seen @ table.T).argmin(1)


class Use(nn.Module):
    """How much each code is used and by what: running sums, of which its row is the mean (van den Oord et al. 2017,
    arXiv 1711.00937, appendix A.1). They remember about ``WINDOW`` vectors a code, whatever the batch."""

    size: Tensor
    total: Tensor

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("size", torch.zeros(codes))
        self.register_buffer("total", torch.zeros(codes, channels))

    def follow(self, table: Tensor, seen: Tensor, *, revive: bool) -> int:
        """Both below, dead codes first; how many were put elsewhere."""
        born = self.revive(table, seen) if revive else 0
        self.learn(table, seen, nearest(table, seen))
        return born

    @torch.no_grad()
    def learn(self, table: Tensor, seen: Tensor, codes: Tensor) -> None:
        """Move the rows of ``table`` [K, D] to the running means of the ``seen`` [N, D] that chose them (``codes``
        [N]). Sums are a matrix product, which has the same order on every run."""
        n, k = len(seen), len(table)
        keep = max(LEAST_KEPT, 1 - n / (WINDOW * k))
        chosen = F.one_hot(codes, k).to(seen.dtype)
        self.size.lerp_(chosen.sum(0), 1 - keep)
        self.total.lerp_(chosen.T @ seen, 1 - keep)
        used = self.size > 1e-6
        table[used] = self.total[used] / self.size[used, None]

    @torch.no_grad()
    def revive(self, table: Tensor, seen: Tensor) -> int:
        """Put dead codes where vectors are, and answer how many: all before the first vector, later those used less
        than ``FLOOR`` of the mean (as in Jukebox, Dhariwal et al. 2020, arXiv 2005.00341). A new one counts as used as
        often as the mean, which gives it time to find its own."""
        mean = self.size.mean() if bool(self.size.any()) else self.size.new_tensor(len(seen) / len(table))
        dead = self.size < FLOOR * mean
        born = int(dead.sum())
        if born:
            # From the CPU's generator and a little apart: two that are born of one vector have to part.
            picks = torch.randint(0, len(seen), (born,)).to(seen.device)
            apart = torch.randn(born, seen.shape[1]).to(seen) * seen.std(0)
            table[dead] = seen[picks] + 0.02 * apart
            self.size[dead] = mean
            self.total[dead] = table[dead] * mean
        return born


class PictureTokenizer(nn.Module):
    """Pictures to codes and back. Of its weights ``shipped`` is what drawing needs."""

    def __init__(self, config: VqganConfig) -> None:
        super().__init__()
        self.config = config
        self.vqgan = Vqgan(config)
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv2d(config.z_channels, config.embed_dim, 1)
        self.use = Use(config.codes, config.embed_dim)
        self.table.requires_grad_(False)  # moved by its running means, not by gradients

    @property
    def table(self) -> Tensor:
        """The codebook [K, D]."""
        return self.vqgan.quantize.embedding.weight

    def encode(self, pixels: Tensor) -> Tensor:
        """Vectors [B, D, h, w] of pixels [B, 3, H, W] in 0..1, before they are replaced by codes."""
        result: Tensor = self.quant_conv(self.encoder(pixels))
        return result

    def decode(self, vectors: Tensor) -> Tensor:
        """Pixels of vectors [B, D, h, w] of any height and width, not clamped."""
        result: Tensor = self.vqgan.decoder(self.vqgan.post_quant_conv(vectors))
        return result

    def quantise(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What each vector [B, D, h, w] is replaced by, of its shape; the codes and the vectors as rows [B*h*w, D].
        In float32, where near codes don't fall together."""
        with torch.autocast(vectors.device.type, enabled=False):
            rows = vectors.float().permute(0, 2, 3, 1).flatten(0, 2)
            codes = nearest(self.table, rows.detach())
            b, _, h, w = vectors.shape
            return self.table[codes].view(b, h, w, -1).permute(0, 3, 1, 2), codes, rows

    def straight_through(self, vectors: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder is given in training, ``share`` of the way from each vector [B, D, h, w] to its code, with
        the gradient of the vectors; how far each is off its code; the vectors as rows, without gradient."""
        replaced, _, rows = self.quantise(vectors)
        return vectors + share * (replaced - vectors).detach(), vectors.float() - replaced, rows.detach()

    def tokenise(self, pixels: Tensor) -> Tensor:
        """Codes [B, h*w], row by row, of pixels in 0..1."""
        return self.quantise(self.encode(pixels))[1].view(len(pixels), -1)

    def shipped(self) -> dict[str, Tensor]:
        """Decoder and codebook under their published names."""
        return self.vqgan.state_dict()

    def published(self) -> dict[str, Tensor]:
        """All of it under its published names; how much each code was used is no part of it."""
        state = {k: v for k, v in self.state_dict().items() if not k.startswith("use.")}
        return {k.removeprefix(_SHIPPED): v for k, v in state.items()}

    def digest(self) -> str:
        """Of all weights: codes of one training mean nothing to another."""
        made = hashlib.sha256()
        for name, value in sorted(self.published().items()):
            made.update(name.encode() + value.detach().float().cpu().contiguous().numpy().tobytes())
        return made.hexdigest()[:16]

    def load_published(self, state: dict[str, Tensor]) -> None:
        """Take up what ``published`` gave. Raises RuntimeError where names or shapes differ."""
        own = self.vqgan.state_dict().keys()
        named = {(_SHIPPED if k in own else "") + k: v for k, v in state.items()}
        self.load_state_dict(named | {f"use.{k}": v for k, v in self.use.state_dict().items()})
