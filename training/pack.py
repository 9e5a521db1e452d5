"""Pack what the stages exported as a diffusers folder: float16 safetensors of at most 16 MB, card, licence, notice.

``python -m training.pack RUN OUT`` reads RUN/autoencoder and RUN/unet; ``StableDiffusionPipeline.from_pretrained(OUT)``
draws the result, and so does Limner.
"""

import argparse
import json
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from training import captions, pocket

SHARD = "16MB"
NO_SPREAD = -20.0  # log-variance: a ten-thousandth of the means' own spread
_LICENSE = """The weights, tokenizer and configuration files in this folder are licensed under the Apache License,
Version 2.0: https://www.apache.org/licenses/LICENSE-2.0
"""
_NOTICE = """pocket: built-in models of Limner.

Trained only on scenes rendered from
- Noto Color Emoji, (c) Google LLC: font under the SIL Open Font License 1.1, images under the Apache License 2.0;
- names and keywords of the Unicode CLDR, (c) Unicode, Inc., under the Unicode License v3.
"""
_CARD = """---
license: apache-2.0
pipeline_tag: text-to-image
---
# pocket

A small latent diffusion model in the Stable Diffusion 1.x layout that draws emoji-like scenes, {side}x{side} pixels.

- UNet {unet:.1f} M parameters on {latent}x{latent}x{channels} latents, KL autoencoder {vae:.1f} M, CLIP text encoder
  {text:.1f} M over {words} words and {length} tokens. v-prediction, zero terminal SNR, trailing steps.
- Knows {things} things with their synonyms and plurals, 11 colours, big and small, counts to five, six relations,
  {places} places, night and sunset. A word it doesn't know is `<unk>`.
- Trained on {seen} scenes composed by Limner's `training/` package from Noto Color Emoji and no other data.
- Draw with 20 steps and guidance 4.

## Measured
{measured}

## Limits
It draws only what is listed above, in one style; it knows no names, no text, no people by likeness.
"""
_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.38.0",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def tokenizer(vocab: dict[str, int]) -> PreTrainedTokenizerFast:
    """The word-level tokenizer that gives what ``captions.encode`` gives."""
    words = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Split(Regex(captions.WORD), behavior="removed", invert=True)
    words.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[(w, vocab[w]) for w in ("<bos>", "<eos>")]
    )
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=pocket.LENGTH, **names)


def scheduler() -> DDIMScheduler:
    """The schedule of ``training.diffusion`` in diffusers' words."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,  # unused by trailing steps; diffusers asks for it
    )


def certain(vae: torch.nn.Module) -> None:
    """Give the encoder's answers no spread. Its variance was never trained, as its means alone were used; what draws
    over a picture samples it, and would begin with as much noise as picture."""
    conv = vae.get_submodule("quant_conv")
    with torch.no_grad():
        half = conv.weight.shape[0] // 2
        conv.weight[half:] = 0
        conv.bias[half:] = NO_SPREAD


def pack(drawn: pocket.Pocket, out: Path, facts: dict[str, object], measured: str = "Not measured yet.") -> None:
    """Write the folder. ``facts``: things, places and seen, for the card."""
    out.mkdir(parents=True, exist_ok=True)
    certain(drawn.vae)
    drawn.vae.register_to_config(scaling_factor=drawn.scale, sample_size=pocket.LATENT * 16, force_upcast=False)
    for name, module in (("text_encoder", drawn.text), ("unet", drawn.unet), ("vae", drawn.vae)):
        module.to(dtype=torch.float16).save_pretrained(out / name, max_shard_size=SHARD)
    tokenizer(drawn.vocab).save_pretrained(out / "tokenizer")
    scheduler().save_pretrained(out / "scheduler")
    (out / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n")
    millions = {
        k: sum(p.numel() for p in m.parameters()) / 1e6
        for k, m in (("text", drawn.text), ("unet", drawn.unet), ("vae", drawn.vae))
    }
    card = _CARD.format(
        side=pocket.LATENT * 16,
        latent=pocket.LATENT,
        channels=drawn.vae.config.latent_channels,
        words=len(drawn.vocab),
        length=pocket.LENGTH,
        measured=measured,
        **millions,
        **facts,
    )
    (out / "README.md").write_text(card)
    (out / "LICENSE").write_text(_LICENSE)
    (out / "NOTICE").write_text(_NOTICE)
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # safetensors writes for the owner alone


def pack_clip(run: Path, out: Path) -> None:
    """``pocket-clip`` in transformers' layout: float16 weights, tokenizer, how to prepare a picture."""
    from transformers import CLIPModel

    CLIPModel.from_pretrained(run / "clip" / "model").half().save_pretrained(out, max_shard_size=SHARD)
    tokenizer(json.loads((run / "clip" / "vocab.json").read_text())).save_pretrained(out)
    half = [0.5, 0.5, 0.5]
    prepare = {"image_processor_type": "CLIPImageProcessor", "size": {"height": 256, "width": 256}, "image_mean": half}
    (out / "preprocessor_config.json").write_text(json.dumps({**prepare, "image_std": half, "do_center_crop": False}))


def main() -> None:
    """Pack a run's exports."""
    from training.sprites import Atlas
    from training.world import PLACES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--measured", type=Path, help="the evaluation's markdown, for the card")
    given = parser.parse_args()
    facts = json.loads((given.run / "unet" / "facts.json").read_text())
    known = facts["things"] or len(Atlas.load(given.run / "atlas.png").things)
    measured = given.measured.read_text() if given.measured else "Not measured yet."
    shown = {"things": known, "places": len(PLACES), "seen": facts["seen"]}
    pack(pocket.load(given.run, "cpu"), given.out, shown, measured)
    if (given.run / "clip" / "model").exists():
        pack_clip(given.run, given.out.with_name(f"{given.out.name}-clip"))
    total = sum(f.stat().st_size for f in given.out.rglob("*") if f.is_file())
    print(f"{given.out}: {total / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
