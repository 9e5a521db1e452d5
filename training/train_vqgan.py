"""The tokenizer of pictures of pocket-dalle: 128x128 pixels to 16x16 codes and back, in the layout of a VQGAN.

4.3 M parameters, of which decoder and codebook, 2.6 M, ship. Sixteen by sixteen codes hold what they hold: another
level, to 256 pixels, would take four times the work and say nothing new. Scenes are aligned (layout.py), so that a cell
is a code. No discriminator and no pretrained features: the loss is L1 and squared error and their differences between
neighbours at three scales, things counting three times the ground, and the commitment of the encoder to its codes (van
den Oord et al. 2017, arXiv 1711.00937). The codebook follows the running means of what chose it. At first the decoder
sees vectors as they are and turns to their codes over a tenth of the run, for no code can be good before the encoder
is; in the last third no dead code is put elsewhere, so that the averaged decoder and the codebook fit together.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from limner.models.nets.dalle_configs import VqganConfig
from training import hints
from training.contact import sheet
from training.data import Batch, Batches, Stream, held_out_scenes, stream
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.sprites import Atlas
from training.vq_nets import PictureTokenizer

CONFIG = VqganConfig(
    channels=64,  # two to each of the layout's 32 norm groups: one would lose every channel's mean, and colour with it
    multipliers=(1, 1, 2, 2),
    blocks=1,
    attention=(),
    resolution=128,
    z_channels=64,
    embed_dim=32,
    codes=1024,
)
COMMITMENT = 0.25
RAMP = 0.1  # share of the run over which codes take the vectors' place
SETTLED = 0.67  # share of the run after which dead codes stay
WEIGHTS, FACTS = "vqgan.safetensors", "config.json"


def build(config: VqganConfig = CONFIG) -> PictureTokenizer:
    """The tokenizer, untrained, all but linear at first: the start that brought the autoencoder off its grey plateau
    (unit-gain convolutions, residual branches of zero)."""
    model = PictureTokenizer(config)
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=part.weight[0].numel() ** -0.5)
            assert part.bias is not None
            nn.init.zeros_(part.bias)
            if name.endswith(("conv2", "proj_out")):
                nn.init.zeros_(part.weight)
    nn.init.constant_(model.vqgan.decoder.conv_out.bias, 0.5)  # type: ignore[arg-type]
    return model


def published_config(config: VqganConfig) -> dict[str, object]:
    """The config.json of a VQGAN of these sizes, with the keys of the published one."""
    return {
        "architectures": ["VQModel"],
        "attn_resolutions": list(config.attention),
        "ch": config.channels,
        "ch_mult": list(config.multipliers),
        "double_z": False,
        "dropout": 0.0,
        "embed_dim": config.embed_dim,
        "give_pre_end": False,
        "in_channels": 3,
        "n_embed": config.codes,
        "num_res_blocks": config.blocks,
        "num_resolutions": len(config.multipliers),
        "out_ch": 3,
        "resamp_with_conv": True,
        "resolution": config.resolution,
        "z_channels": config.z_channels,
    }


def error_of(made: Tensor, true: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of pictures [B, 3, H, W] in 0..1 and their mean squared error; ``weights`` [B, 1, H, W]."""
    error = 2 * (made - true)
    loss = (weights * (error.abs() + 0.5 * error.square())).mean()
    for _ in range(3):
        across = (error[..., 1:] - error[..., :-1]).abs() * weights[..., 1:]
        down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weights[..., 1:, :]
        loss = loss + 0.2 * (across.mean() + down.mean())
        error, weights = F.avg_pool2d(error, 2), F.avg_pool2d(weights, 2)
    return loss, (made - true).square().mean()


@torch.no_grad()
def reconstructed(model: PictureTokenizer, pixels: Tensor) -> Tensor:
    """Pixels [B, 3, H, W] in 0..1 through their codes, eight at a time."""
    made = [model.decode(model.quantise(model.encode(each))[0]) for each in torch.split(pixels, 8)]
    return torch.cat(made).clamp(0, 1)


def psnr(made: Tensor, true: Tensor) -> float:
    """Peak signal to noise of pictures in 0..1, in dB."""
    return float(-10 * torch.log10((made - true).square().mean()))


def train(
    atlas: Atlas,
    options: Options,
    variants: int = 16,
    config: VqganConfig = CONFIG,
    checked: int = 32,
    things: int | None = None,
) -> Trainer:
    """Train into ``options.out``: ``vqgan.safetensors`` (both halves, averaged, float32), ``config.json``, ``look.png``
    (held-out scenes above, what their codes give below). ``things``: only the first so many of the world.
    """
    torch.manual_seed(options.seed)
    device = options.device
    renderer = Renderer(atlas, variants, config.resolution).to(device)
    model = build(config).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer({"vqgan": model}, options)

    def through(true: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        with autocast(device):
            passed, off, rows = model.straight_through(model.encode(true), share)
            made = model.decode(passed)
        return made.float(), off, rows

    body = torch.compile(through) if options.compile else through
    known = atlas.things[:things]
    unseen = (renderer(held_out_scenes(checked, 0, known, aligned=True)[1]) + 1) / 2
    batches = Batches(Stream(options.seed, options.batch, things=things, aligned=True), atlas.things, {})

    def views(batch: Batch) -> tuple[Tensor, Tensor]:
        """Pixels in 0..1 and their weights."""
        pictures = (renderer(batch.layout) + 1) / 2
        things = torch.from_numpy(hints.cells(batch.layout)).to(device)
        weights = F.interpolate(hints.emphasis(things, config.grid), pictures.shape[-2:])
        return pictures.contiguous(memory_format=torch.channels_last), weights

    def loss(batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        true, weights = views(batch)
        made, off, rows = body(true, torch.tensor(min(1.0, trainer.progress / RAMP), device=device))
        born = model.use.follow(model.table, rows, revive=trainer.progress < SETTLED)
        value, squared = error_of(made, true, weights)
        committed = off.square().mean()
        terms = {"loss": value, "mse": squared, "off": committed, "born": torch.tensor(float(born))}
        return value + COMMITMENT * committed, terms

    def check() -> dict[str, float]:
        with torch.no_grad(), autocast(device):
            codes = torch.cat([model.tokenise(each) for each in torch.split(unseen, 8)])
        share = torch.bincount(codes.flatten(), minlength=config.codes) / codes.numel()
        return {
            "psnr": psnr(reconstructed(model, unseen), unseen),
            "used": float((share > 0).float().mean()),
            "perplexity": float(torch.special.entr(share).sum().exp()),
        }

    def export() -> None:
        save(model, options.out)
        seen = torch.cat([unseen[:8], reconstructed(model, unseen[:8])])
        sheet(2 * seen - 1, options.out / "look.png", len(unseen[:8]))

    fit(trainer, stream(batches, trainer.step, options.workers), loss, check, export)
    return trainer


def save(model: PictureTokenizer, folder: Path) -> None:
    """Write what ``load`` reads."""
    save_file({k: v.detach().contiguous() for k, v in model.published().items()}, folder / WEIGHTS)
    (folder / FACTS).write_text(json.dumps(published_config(model.config)))


def load(folder: Path, device: str) -> PictureTokenizer:
    """What ``save`` wrote, ready to tokenise; its config is read as Limner reads it."""
    config = VqganConfig.from_json(json.loads((folder / FACTS).read_text()))
    model = PictureTokenizer(config)
    model.load_published(load_file(folder / WEIGHTS))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device).eval().requires_grad_(False)
