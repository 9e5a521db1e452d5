"""Stage 2: text encoder and UNet together, on latents of the frozen autoencoder.

A bank of latents keeps the device busy with training: every step a few new scenes are rendered and encoded into it,
and a whole batch is drawn from it, so that each scene is seen about REUSE times, said another way each time. The bank's
content follows from the step number, so a resumed run goes on with the same scenes; a CPU keeps it in a file.

The velocity's error counts nearly the same at all noise levels: with min-SNR weights the noisiest steps, where a
picture of 16x16 latents decides what it shows, counted an eighth, and things stayed nameless (hints.py has the rest).
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel

from training import captions, diffusion, hints, pocket
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
    """A ring of latents, their captions and their labels, on the training device."""

    def __init__(self, room: int, latent: tuple[int, ...], device: str) -> None:
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float16
        self.latents = torch.zeros(room, *latent, dtype=dtype, device=device)
        self.tokens = torch.zeros(room, WAYS, pocket.LENGTH, dtype=torch.int16, device=device)
        self.cells, self.words = hints.empty(room, WAYS, pocket.LENGTH, device)
        self.held = 0  # scenes put so far

    def put(self, latents: Tensor, tokens: Tensor, cells: Tensor, words: Tensor) -> None:
        """Add scenes in place of the oldest."""
        room, n = len(self.latents), len(latents)
        spots = (torch.arange(n, device=latents.device) + self.held) % room
        for ring, new in self._rings(latents, tokens, cells, words):
            ring[spots] = new.to(ring.device, ring.dtype)
        self.held += n

    def _rings(self, *new: Tensor) -> list[tuple[Tensor, Tensor]]:
        return list(zip((self.latents, self.tokens, self.cells, self.words), new, strict=True))

    def draw(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """``n`` scenes at random with one caption each, from torch's global generator; labels as ``put``'s."""
        device = self.latents.device
        spots = torch.randint(0, min(self.held, len(self.latents)), (n,), device=device)
        ways = torch.randint(0, WAYS, (n,), device=device)
        return (
            self.latents[spots].float(),
            self.tokens[spots, ways].long(),
            self.cells[spots].long(),
            self.words[spots, ways].long(),
        )

    def save(self, path: Path) -> None:
        """Keep what is held, whole or not at all."""
        n = min(self.held, len(self.latents))
        partial = path.with_suffix(".part")
        torch.save({"held": self.held, "rings": [r[:n] for r, _ in self._rings(*[self.latents] * 4)]}, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Take up what ``save`` kept."""
        state = torch.load(path, map_location=self.latents.device, weights_only=True)
        self.held = state["held"]
        for ring, kept in self._rings(*state["rings"]):
            ring[: len(kept)] = kept


def latent_scale(vae: AutoencoderKL, renderer: Renderer, atlas: Atlas, scenes: int = 128) -> float:
    """One over the latents' standard deviation, over a fixed set of scenes."""
    _, layout = held_out_scenes(scenes, 1, atlas.things, FULL)
    latents = torch.cat([encode(vae, p) for p in torch.split(renderer(layout), 16)])
    return 1 / latents.std().item()


def _fed(bank: Bank, batches: Iterator[Batch], nouns: hints.Nouns, draw: Callable[[Batch], Tensor]) -> Iterator[None]:
    """Put one stream batch into the bank at each turn; ``draw`` gives its scaled latents."""
    for batch in batches:
        words = np.stack(
            [
                np.stack([nouns(row, scene) for row in rows])
                for rows, scene in zip(batch.tokens.tolist(), batch.scenes, strict=True)
            ]
        )
        labels = torch.from_numpy(hints.cells(batch.layout)), torch.from_numpy(words)
        bank.put(draw(batch), torch.from_numpy(batch.tokens), *labels)
        yield


def _nets(
    begin: Path | None, vocab: dict[str, int], channels: int, widths: tuple[int, ...], hidden: int
) -> tuple[CLIPTextModel, UNet2DConditionModel]:
    """Untrained networks, or those of a packed folder, whose words keep what they say; others begin untrained."""
    if begin is None:
        return pocket.build_text(len(vocab), hidden), pocket.build_unet(channels, widths, hidden)
    earlier = pocket.load_pack(begin, "cpu")
    return pocket.reworded(earlier.text, earlier.vocab, vocab).train(), earlier.unet.train()


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
    begin: Path | None = None,
) -> Trainer:
    """Train into ``options.out``: ``text_encoder/``, ``unet/``, ``facts.json`` (words, latent scale), ``look.png``.

    ``room``: latents kept; ``reuse``: how often each is seen; ``curriculum``: scenes until all kinds are drawn;
    ``things``: only the first so many of the world; ``begin``: a packed folder to start from.
    """
    torch.manual_seed(options.seed)
    device = options.device
    vocab = captions.vocabulary(atlas.things)
    renderer = Renderer(atlas, variants).to(device)
    vae = vae.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    channels = vae.config.latent_channels
    text, unet = _nets(begin, vocab, channels, widths, hidden)
    text, unet = text.to(device), unet.to(device, memory_format=torch.channels_last)
    if device == "cpu":  # the fused attention's backward takes ten times as long on so few tokens
        unet.set_attn_processor(AttnProcessor())
        text.set_attn_implementation("eager")
    heads = hints.Heads(len(atlas.things), widths[1], hidden).to(device)
    heads.attach(unet)
    trainer = Trainer({"text_encoder": text, "unet": unet, "heads": heads}, options)
    body = torch.compile(unet) if options.compile else unet
    scale = latent_scale(vae, renderer, atlas, min(128, room))
    table = diffusion.alphas().to(device, torch.float32)
    weights = diffusion.weight(table)
    empty = torch.tensor(captions.encode("", vocab, pocket.LENGTH), device=device)

    chunk = min(room, max(16, options.batch // reuse))  # scenes rendered at once
    plan = Stream(options.seed + 1, chunk, curriculum, ways=WAYS, length=pocket.LENGTH, things=things, aligned=True)
    bank = Bank(room, (channels, pocket.LATENT, pocket.LATENT), device)
    keep = None if device.startswith("cuda") else options.out / "bank.pt"  # a GPU renders it again in seconds

    def wanted(step: int) -> int:
        """Scenes that have gone into the bank before a step."""
        return (max(1, room // 4 // chunk) + step * options.batch // (chunk * reuse)) * chunk

    if keep and options.resume and trainer.step and keep.exists():
        bank.load(keep)
    if not wanted(trainer.step) - room <= bank.held <= wanted(trainer.step):
        bank.held = max(0, wanted(trainer.step) - room // chunk * chunk)
    batches = stream(Batches(plan, atlas.things, vocab), bank.held // chunk, options.workers)
    fed = _fed(bank, batches, hints.Nouns(atlas.things, vocab), lambda b: encode(vae, renderer(b.layout)) * scale)

    def turns() -> Iterator[None]:
        while True:
            while bank.held < wanted(trainer.step):
                next(fed)
            yield

    def loss(_: None, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        clean, tokens, cells, words = bank.draw(options.batch)
        silent = torch.rand(len(clean), device=device) < 0.1
        tokens = torch.where(silent[:, None], empty, tokens)
        t = diffusion.times(len(clean), device)
        x, v = diffusion.noisy(clean, torch.randn_like(clean), table[t])
        with autocast(device):
            states = text(tokens).last_hidden_state
            made = body(x.to(memory_format=torch.channels_last), t, states).sample
            marks = heads(states, cells, words, silent)
        error = (made.float() - v).square()
        each = (hints.emphasis(cells, pocket.LATENT) * error).mean((1, 2, 3))
        velocity = (weights[t] * each).mean()
        total = velocity + 0.03 * marks.cells + 0.03 * marks.words
        terms = {
            "v_mse": error.mean(),
            "loss": velocity,
            "cells": marks.cells,
            "words": marks.words,
            "named": marks.named,
        }
        return total, terms

    drawn = pocket.Pocket(text, unet, vae, vocab, scale)

    def export() -> None:
        text.save_pretrained(options.out / "text_encoder")
        unet.save_pretrained(options.out / "unet")
        facts = {"scale": scale, "step": trainer.step, "seen": trainer.seen, "things": things, "vocab": vocab}
        (options.out / "facts.json").write_text(json.dumps(facts))
        look(drawn, options.out / "look.png")
        if keep:
            bank.save(keep)

    fit(trainer, turns(), loss, lambda: {}, export)
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
