"""Stage 6: pocket-turbo, an LCM-LoRA (Luo et al. 2023) on ``pocket`` for four steps without guidance.

The student is the UNet with adapters; the teacher is the same UNet without them, guided. What the student says at a
noise level shall be where the teacher's own trajectory from there ends. Those ends are solved, in a few DDIM steps, and
each is shown several times: taken from the student itself one step on, as consistency distillation has it, they made
this small LoRA amplify its own noise (28,000 samples at a rate of 3e-4). Latents come out of a bank as the UNet's do.
"""

from collections import deque
from itertools import pairwise

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor

from training import diffusion, hints, lora, pocket
from training.bank import Plan, Source
from training.contact import LOOK, sheet
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.sprites import Atlas

RANK = 8  # 2 MB: the wheel has room for no more
GRID = 50  # noise levels that are taught: LCMScheduler's original steps, from which it picks those it takes
TAUGHT = (4, 4, 8)  # the numbers of steps whose noise levels are taught, each as often as the others
SOLVER = 12  # DDIM steps that the teacher takes from pure noise; fewer from less of it
PAIRS = 2048  # noised latents and their ends that are held
SHOWN = 8  # how often each is seen
GUIDANCE = 4.0


def boundary(t: Tensor) -> tuple[Tensor, Tensor]:
    """c_skip and c_out of a consistency model, as ``LCMScheduler`` has them (data spread 0.5, steps scaled by 10)."""
    scaled = 10.0 * t.float()
    skip = 0.25 / (scaled**2 + 0.25)
    return skip.view(-1, 1, 1, 1), (scaled / (scaled**2 + 0.25).sqrt()).view(-1, 1, 1, 1)


def times_of(steps: int) -> list[int]:
    """The training steps at which so many are taken, as LCMScheduler picks them."""
    stride = diffusion.STEPS // GRID
    return [diffusion.STEPS - 1 - stride * (k * GRID // steps) for k in range(steps)]


def course(t: int) -> list[int]:
    """The training steps of the teacher's DDIM from ``t`` on, evenly; -1 is the clean latent."""
    n = max(2, round(SOLVER * (t + 1) / diffusion.STEPS))
    return [t - round(k * (t + 1) / n) for k in range(n + 1)]


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
    times = times_of(steps)
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


def train(
    atlas: Atlas,
    options: Options,
    drawn: pocket.Pocket,
    *,
    room: int,
    reuse: int,
    things: int | None = None,
    variants: int = 16,
    rank: int = RANK,
) -> Trainer:
    """Train into ``options.out``: ``pytorch_lora_weights.safetensors`` and ``look.png``; ``room``, ``reuse`` and
    ``things`` as the UNet's stage has them."""
    torch.manual_seed(options.seed + 9)
    device = options.device
    renderer = Renderer(atlas, variants).to(device)
    text, unet, vae = (m.to(device).eval().requires_grad_(False) for m in (drawn.text, drawn.unet, drawn.vae))
    if device == "cpu":  # as in the UNet's stage
        unet.set_attn_processor(AttnProcessor())
        text.set_attn_implementation("eager")
    adapters = lora.adapt(unet, rank).to(device)
    trainer = Trainer({"lora": adapters}, options)
    unet.to(memory_format=torch.channels_last)
    table = diffusion.alphas().to(device, torch.float32)
    empty = torch.tensor(drawn.ids(""), device=device)
    plan = Plan(options.seed + 10, room, reuse, things=things)
    source = Source(plan, trainer, atlas, drawn.vocab, renderer, vae, drawn.scale)

    def clean_of(x: Tensor, t: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Clean latent and noise that v stands for."""
        a, s = table[t].sqrt().view(-1, 1, 1, 1), (1 - table[t]).sqrt().view(-1, 1, 1, 1)
        return a * x - s * v, s * x + a * v

    def velocity(x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        made: Tensor = unet(x.to(memory_format=torch.channels_last), t, states).sample
        return made.float()

    def student(x: Tensor, t: Tensor, states: Tensor) -> Tensor:
        skip, out = boundary(t)
        return skip * x + out * clean_of(x, t, velocity(x, t, states))[0]

    @torch.no_grad()
    def solved(x: Tensor, t: Tensor, states: Tensor, silent: Tensor) -> Tensor:
        """Where the guided teacher's trajectory from x at t ends, all of one t."""
        both = torch.cat([silent.expand_as(states), states])
        with lora.without(adapters):
            for at, after in pairwise(course(int(t[0]))):
                now = torch.full_like(t, at)
                free, given = velocity(x.repeat(2, 1, 1, 1), now.repeat(2), both).chunk(2)
                clean, noise = clean_of(x, now, free + GUIDANCE * (given - free))
                level = table[after] if after >= 0 else torch.ones_like(table[0])
                x = level.sqrt() * clean + (1 - level).sqrt() * noise
        return x

    def more() -> None:
        """New pairs in the oldest ones' places."""
        latent, tokens, cells, _ = source.bank.draw(options.batch)
        steps = TAUGHT[int(torch.randint(0, len(TAUGHT), ()))]
        t = torch.full((len(latent),), times_of(steps)[int(torch.randint(0, steps, ()))], device=device)
        x, _ = diffusion.noisy(latent, torch.randn_like(latent), table[t])
        with autocast(device), torch.no_grad():
            ends = solved(x, t, text(tokens).last_hidden_state, text(empty[None]).last_hidden_state)
        pairs.extend(zip(x, t, tokens, cells, ends, strict=True))

    pairs: deque[tuple[Tensor, ...]] = deque(maxlen=PAIRS)
    due = [0.0]

    def loss(_: None, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        due[0] += 1 / SHOWN
        while len(pairs) < 8 * options.batch or due[0] >= 1:
            more()
            due[0] = max(0.0, due[0] - 1)
        picked = [pairs[k] for k in torch.randint(0, len(pairs), (options.batch,)).tolist()]
        x, t, tokens, cells, ends = (torch.stack(column) for column in zip(*picked, strict=True))
        with autocast(device):
            made = student(x, t, text(tokens).last_hidden_state)
        off = ((made - ends).square() + 1e-6).sqrt() - 1e-3
        value = (hints.emphasis(cells, pocket.LATENT) * off).mean()
        return value, {"loss": value}

    def export() -> None:
        lora.save(adapters, options.out / "pytorch_lora_weights.safetensors")
        sheet(draw(drawn, list(LOOK), list(range(len(LOOK)))), options.out / "look.png")
        source.save()

    fit(trainer, source.turns(), loss, lambda: {}, export)
    return trainer
