"""Stage 2: text encoder and UNet together, on latents of the frozen autoencoder.

A bank of latents keeps the device busy with training: every step a few new scenes are rendered and encoded into it,
and a whole batch is drawn from it, so that each scene is seen about REUSE times, said another way each time. The bank's
content follows from the step number, so a resumed run goes on with the same scenes.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from training import captions, diffusion, pocket
from training.data import Batch, Batches, Stream, held_out_scenes, stream
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.scene import FULL
from training.sprites import Atlas
from training.train_autoencoder import encode

WAYS = 4  # captions kept with each scene
LOOK = (
    "a red fox in the snow",
    "a cat to the left of a dog",
    "three blue fish underwater",
    "an astronaut riding a horse",
    "a tiny house on a beach at sunset",
    "a green dragon above a castle, night",
    "a penguin",
    "a yellow owl in the forest",
    "a lion in the desert",
    "two pink butterflies",
    "a frog on a purple background",
    "a robot in space",
)


class Bank:
    """A ring of latents and their captions, on the training device."""

    def __init__(self, room: int, latent: tuple[int, ...], device: str) -> None:
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        self.latents = torch.zeros(room, *latent, dtype=dtype, device=device)
        self.tokens = torch.zeros(room, WAYS, pocket.LENGTH, dtype=torch.int64, device=device)
        self.held = 0  # scenes put so far

    def put(self, latents: Tensor, tokens: Tensor) -> None:
        """Add scenes in place of the oldest."""
        room, n = len(self.latents), len(latents)
        spots = (torch.arange(n, device=latents.device) + self.held) % room
        self.latents[spots] = latents.to(self.latents.dtype)
        self.tokens[spots] = tokens
        self.held += n

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """``n`` scenes at random with one caption each, from torch's global generator."""
        device = self.latents.device
        spots = torch.randint(0, min(self.held, len(self.latents)), (n,), device=device)
        ways = torch.randint(0, WAYS, (n,), device=device)
        return self.latents[spots].float(), self.tokens[spots, ways]


def latent_scale(vae: AutoencoderKL, renderer: Renderer, atlas: Atlas, scenes: int = 128) -> float:
    """One over the latents' standard deviation, over a fixed set of scenes."""
    _, layout = held_out_scenes(scenes, 1, atlas.things, FULL)
    latents = torch.cat([encode(vae, p) for p in torch.split(renderer(layout), 16)])
    return 1 / latents.std().item()


def _fed(bank: Bank, batches: Iterator[Batch], vae: AutoencoderKL, renderer: Renderer, scale: float) -> Iterator[None]:
    """Put one stream batch into the bank at each turn."""
    for batch in batches:
        tokens = torch.from_numpy(batch.tokens).to(bank.tokens.device, non_blocking=True)
        bank.put(encode(vae, renderer(batch.layout)) * scale, tokens)
        yield


def train(
    atlas: Atlas,
    options: Options,
    vae: AutoencoderKL,
    *,
    room: int,
    reuse: int,
    curriculum: int = 0,
    things: int | None = None,
    variants: int = 16,
    widths: tuple[int, ...] = (128, 160, 256),
    hidden: int = pocket.HIDDEN,
) -> Trainer:
    """Train into ``options.out``: ``text_encoder/``, ``unet/``, ``facts.json`` (words, latent scale), ``look.png``.

    ``room``: latents kept; ``reuse``: how often each is seen; ``curriculum``: scenes until all kinds are drawn;
    ``things``: only the first so many of the world.
    """
    torch.manual_seed(options.seed)
    device = options.device
    vocab = captions.vocabulary(atlas.things)
    renderer = Renderer(atlas, variants).to(device)
    vae = vae.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    channels = vae.config.latent_channels
    text = pocket.build_text(len(vocab), hidden).to(device)
    unet = pocket.build_unet(channels, widths, hidden).to(device, memory_format=torch.channels_last)
    trainer = Trainer({"text_encoder": text, "unet": unet}, options)
    body = torch.compile(unet) if options.compile else unet
    scale = latent_scale(vae, renderer, atlas, min(128, room))
    table = diffusion.alphas().to(device, torch.float32)
    empty = torch.tensor(captions.encode("", vocab, pocket.LENGTH), device=device)

    plan = Stream(
        options.seed + 1, max(1, options.batch // reuse), curriculum, ways=WAYS, length=pocket.LENGTH, things=things
    )
    bank = Bank(room, (channels, pocket.LATENT, pocket.LATENT), device)
    ahead = max(1, min(room // plan.batch, 4 * reuse))  # stream batches in the bank before step 0
    begin = max(0, trainer.step + ahead - room // plan.batch)
    turns = _fed(bank, stream(Batches(plan, atlas.things, vocab), begin, options.workers), vae, renderer, scale)
    for _ in range(trainer.step + ahead - begin):
        next(turns)

    def loss(_: None, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        clean, tokens = bank.draw(options.batch)
        silent = torch.rand(len(clean), device=device) < 0.1
        tokens = torch.where(silent[:, None], empty, tokens)
        t = torch.randint(0, diffusion.STEPS, (len(clean),), device=device)
        x, v = diffusion.noisy(clean, torch.randn_like(clean), table[t])
        with autocast(device):
            states = text(tokens).last_hidden_state
            made = body(x.to(memory_format=torch.channels_last), t, states).sample
        each = (made.float() - v).square().mean((1, 2, 3))
        w = weights[t]
        return (w * each).mean() / weights.mean(), {"v_mse": each.mean(), "loss": (w * each).mean() / weights.mean()}

    weights = diffusion.weight(table)
    drawn = pocket.Pocket(text, unet, vae, vocab, scale)

    def export() -> None:
        text.save_pretrained(options.out / "text_encoder")
        unet.save_pretrained(options.out / "unet")
        facts = {"scale": scale, "step": trainer.step, "seen": trainer.seen, "things": things, "vocab": vocab}
        (options.out / "facts.json").write_text(json.dumps(facts))
        look(drawn, options.out / "look.png")

    fit(trainer, turns, loss, lambda: {}, export)
    return trainer


def look(
    drawn: pocket.Pocket,
    path: Path,
    prompts: tuple[str, ...] = LOOK,
    columns: int = 6,
    pictures: Tensor | None = None,
) -> None:
    """A contact sheet of ``prompts``, seed = position, or of ``pictures`` made elsewhere."""
    if pictures is None:
        pictures = drawn.draw(list(prompts), list(range(len(prompts))), steps=15)
    n, _, h, w = pictures.shape
    rows = -(-n // columns)
    sheet = torch.ones(3, rows * h, columns * w)
    for k, picture in enumerate(pictures.cpu()):
        r, c = divmod(k, columns)
        sheet[:, r * h : (r + 1) * h, c * w : (c + 1) * w] = picture
    array = ((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path)


def load_vae(root: Path) -> AutoencoderKL:
    """The autoencoder stage's export under ``root``."""
    return AutoencoderKL.from_pretrained(root / "autoencoder" / "vae")
