"""The parts of ``pocket`` and drawing with them while they are trained: text encoder, UNet, autoencoder, words."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from training import captions, diffusion
from training.loop import autocast

LENGTH = 32  # tokens
LATENT = 16  # latent pixels a side
HIDDEN = 256


@dataclass
class Pocket:
    """Everything that draws. ``scale`` multiplies latents to unit spread (diffusers' ``scaling_factor``)."""

    text: CLIPTextModel
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    vocab: dict[str, int]
    scale: float

    def ids(self, prompt: str) -> list[int]:
        """LENGTH token ids of a prompt."""
        return captions.encode(prompt, self.vocab, LENGTH)

    @torch.no_grad()
    def draw(self, prompts: list[str], seeds: list[int], steps: int = 20, guidance: float = 4.0) -> Tensor:
        """Pictures [B, 3, H, W] float32 in [-1, 1]; noise from one CPU generator per seed, as Limner draws it."""
        device = next(self.unet.parameters()).device
        ids = torch.tensor([self.ids(p) for p in ["", *prompts]], device=device)
        shape = (self.unet.config.in_channels, LATENT, LATENT)
        noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]).to(device)
        with autocast(device.type):
            states = self.text(ids).last_hidden_state
            both = torch.cat([states[:1].expand(len(prompts), -1, -1), states[1:]])

            def predict(x: Tensor, t: Tensor) -> Tensor:
                without, given = self.unet(x.repeat(2, 1, 1, 1), t.repeat(2), both).sample.float().chunk(2)
                return without + guidance * (given - without)

            latent = diffusion.ddim(predict, noise, steps)
            return self.vae.decode(latent / self.scale).sample.float().clamp(-1, 1)


def build_text(words: int, hidden: int = HIDDEN, layers: int = 4) -> CLIPTextModel:
    """A CLIP text encoder over ``words`` words, untrained."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=words,
            hidden_size=hidden,
            intermediate_size=3 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=max(1, hidden // 64),
            max_position_embeddings=LENGTH,
            pad_token_id=0,
            bos_token_id=2,
            eos_token_id=3,
        )
    )


def reworded(text: CLIPTextModel, vocab: dict[str, int], words: dict[str, int]) -> CLIPTextModel:
    """The encoder over ``words``: those of ``vocab`` mean what they did, the others are untrained."""
    old = text.get_input_embeddings().weight.data
    rows = torch.randn(len(words), old.shape[1]) * old.std()
    for word in words.keys() & vocab.keys():
        rows[words[word]] = old[vocab[word]]
    text.set_input_embeddings(torch.nn.Embedding.from_pretrained(rows, freeze=False))
    text.config.vocab_size = len(words)
    return text


def build_unet(channels: int, widths: tuple[int, ...] = (128, 160, 256), hidden: int = HIDDEN) -> UNet2DConditionModel:
    """The UNet, untrained: attention below the top level only, heads of 32 channels."""
    levels = len(widths)
    return UNet2DConditionModel(
        sample_size=LATENT,
        in_channels=channels,
        out_channels=channels,
        layers_per_block=1,
        block_out_channels=widths,
        cross_attention_dim=hidden,
        attention_head_dim=tuple(max(1, w // 32) for w in widths),  # by diffusers' old name: how many heads
        norm_num_groups=16 if any(w % 32 for w in widths) else 32,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (levels - 1),
        up_block_types=("CrossAttnUpBlock2D",) * (levels - 1) + ("UpBlock2D",),
    )


def load(root: Path, device: str) -> Pocket:
    """What the stages under ``root`` have exported, ready to draw."""
    unet = root / "unet"
    facts = json.loads((unet / "facts.json").read_text())
    return Pocket(
        CLIPTextModel.from_pretrained(unet / "text_encoder").to(device).eval(),
        UNet2DConditionModel.from_pretrained(unet / "unet").to(device, memory_format=torch.channels_last).eval(),
        AutoencoderKL.from_pretrained(root / "autoencoder" / "vae").to(device).eval(),
        facts["vocab"],
        facts["scale"],
    )


def load_pack(folder: Path, device: str) -> Pocket:
    """A packed folder, in float32 arithmetic on its float16 weights."""
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    vocab = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    return Pocket(
        CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).to(device).eval(),
        unet.to(device, memory_format=torch.channels_last).eval(),
        vae.to(device).eval(),
        vocab,
        float(vae.config.scaling_factor),
    )
