"""Stage 1: the KL autoencoder, 256x256 pictures to 16x16 latents of 16 channels.

Layout: ``AutoencoderKL`` of diffusers, five levels (f16), 7.8 M parameters; the decoder takes 0.13 s on one core. Loss:
L1 + squared error + gradients, a pull of the latents to unit scale, and a little noise on them, so that small errors of
the UNet stay small in the picture. Early on it sees crops around things, later whole pictures' statistics: group norms
otherwise drift between a crop and a picture.
"""

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training.data import Batch, Batches, Stream, held_out_scenes, stream
from training.loop import Options, Trainer, autocast, fit
from training.render import SIZE, Renderer
from training.sprites import Atlas

CHANNELS = 16
FACTOR = 16
CROPS = 4  # crops taken of one rendered scene
WIDTHS = (24, 48, 96, 160, 192)


def build(widths: tuple[int, ...] = WIDTHS, channels: int = CHANNELS) -> AutoencoderKL:
    """The autoencoder, untrained, all but linear at first: see ``_open_paths``."""
    levels = len(widths)
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=widths,
        latent_channels=channels,
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=SIZE,
        scaling_factor=1.0,
        force_upcast=False,
    )
    _open_paths(model)
    return model


def _open_paths(model: nn.Module) -> None:
    """Unit-gain convolutions, residual branches that start at zero.

    With PyTorch's own start, five levels damp colour so far that training rests on a grey plateau (15.7 dB from 3,000
    to 15,000 crops); this start, with a gentle rate, is past it after a thousand.
    """
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d):
            fan_in = part.weight[0].numel()
            nn.init.normal_(part.weight, std=fan_in**-0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
            if name.endswith("conv2"):
                nn.init.zeros_(part.weight)


def crop(pictures: Tensor, slots: Tensor, side: int) -> Tensor:
    """CROPS windows of ``side`` pixels from each picture, each centred near one of its things."""
    if side >= SIZE:
        return pictures
    n = pictures.shape[0]
    pick = torch.randint(0, 1 << 30, (n, CROPS))
    jitter = torch.rand(n, CROPS, 2) - 0.5
    windows = []
    for row in range(n):
        things = slots[row, slots[row, :, 0] >= 0]
        for k in range(CROPS):
            x, y, size = things[pick[row, k] % len(things), 1:4].tolist()
            left, top = (
                int(min(max((c + j * size * 1.3) * SIZE - side / 2, 0), SIZE - side))
                for c, j in ((x, jitter[row, k, 0].item()), (y, jitter[row, k, 1].item()))
            )
            windows.append(pictures[row, :, top : top + side, left : left + side])
    return torch.stack(windows)


def reconstruction_loss(made: Tensor, true: Tensor, latent: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss named above, and what to log of it."""
    error = made - true
    across = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    squared = error.square().mean()
    scale = latent.square().mean()
    loss = error.abs().mean() + 0.5 * squared + 0.5 * across + 1e-3 * (scale - 1).clamp(min=0)
    return loss, {"l1": error.abs().mean(), "mse": squared, "latent_square": scale}


@torch.no_grad()
def psnr(model: AutoencoderKL, pictures: Tensor) -> float:
    """Peak signal to noise over ``pictures`` [N, 3, H, W] in [-1, 1], in dB."""
    squared = [(model(p).sample.clamp(-1, 1) - p).square().mean() for p in torch.split(pictures, 8)]
    return float(10 * torch.log10(4 / torch.stack(squared).mean()))


def train(atlas: Atlas, options: Options, variants: int = 16, widths: tuple[int, ...] = WIDTHS) -> Trainer:
    """Train into ``options.out``; ``vae/`` there is the averaged model in diffusers' layout."""
    torch.manual_seed(options.seed)
    device = options.device
    fast = device.startswith("cuda")
    renderer = Renderer(atlas, variants).to(device)
    model = build(widths).to(device, memory_format=torch.channels_last)
    trainer = Trainer({"vae": model}, options)
    channels = model.config.latent_channels

    def through(true: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        with autocast(device):
            latent = model.encode(true).latent_dist.mode()
            made = model.decode(latent + 0.05 * noise).sample
        return made.float(), latent.float()

    body = torch.compile(through) if options.compile else through
    _, layout = held_out_scenes(32, 0, atlas.things)
    unseen = renderer(layout)
    # A GPU takes whole pictures at once; a CPU learns sooner from crops. Both count what one batch holds in crops.
    scenes = Stream(options.seed, options.batch if fast else max(1, options.batch // CROPS))
    batches = Batches(scenes, atlas.things, {})

    def loss(batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        side = SIZE if fast else 64 if trainer.progress < 0.25 else (128, SIZE)[step % 2]
        pictures = renderer(batch.layout)
        if not fast and side > 64:  # as many pixels a step
            pictures = pictures[: max(1, len(pictures) // 4)]
        true = crop(pictures, torch.from_numpy(batch.layout.slots), side)
        true = true.to(memory_format=torch.channels_last)
        side = true.shape[-1] // FACTOR
        noise = torch.randn(len(true), channels, side, side, device=device)
        made, latent = body(true, noise)
        return reconstruction_loss(made, true, latent)

    def export() -> None:
        model.save_pretrained(options.out / "vae")

    fit(
        trainer,
        stream(batches, trainer.step, options.workers),
        loss,
        lambda: {"psnr": psnr(model, unseen)},
        export,
    )
    return trainer


@torch.no_grad()
def encode(model: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Latents [B, CHANNELS, H/FACTOR, W/FACTOR] float32, unscaled."""
    with autocast(pictures.device.type):
        return model.encode(pictures.to(memory_format=torch.channels_last)).latent_dist.mode().float()
