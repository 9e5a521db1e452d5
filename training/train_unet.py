"""Stage 2: text encoder and UNet together, on latents of the frozen autoencoder.

Latents come out of a bank (bank.py). The velocity's error counts nearly the same at all noise levels: with min-SNR
weights the noisiest steps, where a picture of 16x16 latents decides what it shows, counted an eighth, and things stayed
nameless (hints.py has the rest).
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor
from transformers import CLIPTextModel

from training import captions, diffusion, hints, pocket
from training.bank import Plan, Source, latent_scale
from training.contact import LOOK, sheet
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.sprites import Atlas


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

    plan = Plan(options.seed + 1, room, reuse, curriculum, things)
    source = Source(plan, trainer, atlas, vocab, renderer, vae, scale)

    def loss(_: None, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        clean, tokens, cells, words = source.bank.draw(options.batch)
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
        sheet(drawn.draw(list(LOOK), list(range(len(LOOK))), steps=15), options.out / "look.png")
        source.save()

    fit(trainer, source.turns(), loss, lambda: {}, export)
    return trainer


def load_vae(root: Path) -> AutoencoderKL:
    """The autoencoder stage's export under ``root``."""
    return AutoencoderKL.from_pretrained(root / "autoencoder" / "vae")
