"""Stage 6: pocket-turbo, an LCM-LoRA (Luo et al. 2023) on ``pocket`` for four steps without guidance.

The student is the UNet with adapters; the teacher is the same UNet without them, guided. The student's clean picture at
a noisier step shall be what it says one teacher's DDIM step nearer to the picture.
"""

import torch
from torch import Tensor

from training import diffusion, lora, pocket
from training.data import Batch, Batches, stream
from training.data import Stream as Plan
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.sprites import Atlas
from training.train_autoencoder import encode
from training.train_unet import LOOK, look

RANK = 16
GRID = 50  # DDIM steps the teacher takes from noise to picture
GUIDANCE = 4.0


def boundary(t: Tensor) -> tuple[Tensor, Tensor]:
    """c_skip and c_out of a consistency model, as ``LCMScheduler`` has them (data spread 0.5, steps scaled by 10)."""
    scaled = 10.0 * t.float()
    skip = 0.25 / (scaled**2 + 0.25)
    return skip.view(-1, 1, 1, 1), (scaled / (scaled**2 + 0.25).sqrt()).view(-1, 1, 1, 1)


@torch.no_grad()
def draw(drawn: pocket.Pocket, prompts: list[str], seeds: list[int], steps: int = 4) -> Tensor:
    """Pictures by the LCM sampler: predict the clean latent, noise it again for the next step, no guidance."""
    device = next(drawn.unet.parameters()).device
    ids = torch.tensor([drawn.ids(p) for p in prompts], device=device)
    makers = [torch.Generator().manual_seed(s) for s in seeds]
    shape = (drawn.unet.config.in_channels, pocket.LATENT, pocket.LATENT)

    def noise() -> Tensor:
        return torch.stack([torch.randn(shape, generator=g) for g in makers]).to(device)

    table = diffusion.alphas().to(device, torch.float32)
    times = [diffusion.STEPS - 1 - k * (diffusion.STEPS // steps) for k in range(steps)]
    with autocast(device.type):
        states = drawn.text(ids).last_hidden_state
        x = noise()
        for k, t in enumerate(times):
            at = torch.full((len(prompts),), t, device=device)
            v = drawn.unet(x, at, states).sample.float()
            skip, out = boundary(at)
            clean = skip * x + out * (table[t].sqrt() * x - (1 - table[t]).sqrt() * v)
            if k + 1 < steps:
                after = table[times[k + 1]]
                x = after.sqrt() * clean + (1 - after).sqrt() * noise()
        return drawn.vae.decode(clean / drawn.scale).sample.float().clamp(-1, 1)


def train(atlas: Atlas, options: Options, drawn: pocket.Pocket, variants: int = 16, rank: int = RANK) -> Trainer:
    """Train into ``options.out``: ``pytorch_lora_weights.safetensors`` and ``look.png``."""
    torch.manual_seed(options.seed + 9)
    device = options.device
    renderer = Renderer(atlas, variants).to(device)
    text, unet, vae = (m.to(device).eval().requires_grad_(False) for m in (drawn.text, drawn.unet, drawn.vae))
    adapters = lora.adapt(unet, rank).to(device)
    trainer = Trainer({"lora": adapters}, options)
    table = diffusion.alphas().to(device, torch.float32)
    empty = torch.tensor(drawn.ids(""), device=device)
    plan = Plan(options.seed + 10, options.batch, ways=1, length=pocket.LENGTH, aligned=True)

    def clean_of(x: Tensor, t: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Clean latent and noise that v stands for."""
        a, s = table[t].sqrt().view(-1, 1, 1, 1), (1 - table[t]).sqrt().view(-1, 1, 1, 1)
        return a * x - s * v, s * x + a * v

    def student(x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        skip, out = boundary(t)
        return skip * x + out * clean_of(x, t, unet(x, t, states).sample.float())[0]

    def loss(batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        latent = encode(vae, renderer(batch.layout)) * drawn.scale
        tokens = torch.from_numpy(batch.tokens[:, 0]).to(device)
        k = torch.randint(1, GRID + 1, (len(latent),), device=device)
        stride = diffusion.STEPS // GRID
        t, nearer = k * stride - 1, ((k - 1) * stride - 1).clamp(min=0)
        x, _ = diffusion.noisy(latent, torch.randn_like(latent), table[t])
        with autocast(device):
            states = text(tokens).last_hidden_state
            silent = text(empty[None]).last_hidden_state.expand(len(latent), -1, -1)
            made = student(x, t, states)
            with torch.no_grad():
                with lora.without(adapters):
                    both = unet(x.repeat(2, 1, 1, 1), t.repeat(2), torch.cat([silent, states])).sample.float()
                free, given = both.chunk(2)
                clean, noise = clean_of(x, t, free + GUIDANCE * (given - free))
                a = table[nearer].sqrt().view(-1, 1, 1, 1)
                before = a * clean + (1 - a * a).sqrt() * noise
                first = (k == 1).view(-1, 1, 1, 1)  # the last step ends in the picture itself
                target = torch.where(first, clean, student(before, nearer, states))
        value = ((made - target).square() + 1e-6).sqrt().sub(1e-3).mean()
        return value, {"loss": value}

    def export() -> None:
        lora.save(adapters, options.out / "pytorch_lora_weights.safetensors")
        look(drawn, options.out / "look.png", pictures=draw(drawn, list(LOOK), list(range(len(LOOK)))))

    source = stream(Batches(plan, atlas.things, drawn.vocab), trainer.step, options.workers)
    fit(trainer, source, loss, lambda: {}, export)
    return trainer
