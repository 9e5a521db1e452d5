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
from transformers import CLIPTextModel, PreTrainedTokenizerFast

from training import captions, pocket
from training.card import Facts, card

SHARD = "16MB"
NO_SPREAD = -20.0  # log-variance: a ten-thousandth of the means' own spread
NOTICE = """{name}, {what} built into Limner
Copyright 2026 The Limner engineers

Licensed under the Apache License, Version 2.0 (see LICENSE beside this file).

Trained on scenes rendered from the Noto Color Emoji font by Google (font: SIL Open Font License 1.1; its images: Apache
License 2.0), captioned with names and keywords from the Unicode Common Locale Data Repository (Unicode License v3).
Neither the font nor the data is part of these files.
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


def narrow(text: CLIPTextModel, vocab: dict[str, int], words: dict[str, int]) -> CLIPTextModel:
    """The encoder with the rows of ``words`` alone, numbered as there; what it says of them is as it was.

    A word that the grammar has for things which were never shown keeps the row it began with. Left in, it would pass
    for known; so the packed tokenizer doesn't have it. Raises KeyError for a word that is not in ``vocab``.
    """
    if strange := words.keys() - vocab.keys():
        raise KeyError(*sorted(strange))
    return pocket.reworded(text, vocab, words)


def pack(drawn: pocket.Pocket, out: Path, facts: Facts) -> None:
    """Write the folder, with the words that the grammar says of the things in ``facts``."""
    out.mkdir(parents=True, exist_ok=True)
    words = captions.vocabulary(facts.known)
    certain(drawn.vae)
    drawn.vae.register_to_config(scaling_factor=drawn.scale, sample_size=pocket.LATENT * 16, force_upcast=False)
    modules = {"text_encoder": narrow(drawn.text, drawn.vocab, words), "unet": drawn.unet, "vae": drawn.vae}
    drawn.vocab = words
    for name, module in modules.items():
        module.config._name_or_path = ""  # where this machine had it
        module.to(dtype=torch.float16).save_pretrained(out / name, max_shard_size=SHARD)
    tokenizer(words).save_pretrained(out / "tokenizer")
    scheduler().save_pretrained(out / "scheduler")
    (out / "model_index.json").write_text(json.dumps(_INDEX, indent=2) + "\n")
    millions = {name: sum(p.numel() for p in module.parameters()) / 1e6 for name, module in modules.items()}
    sizes = {"channels": drawn.vae.config.latent_channels, "words": len(words), "length": pocket.LENGTH}
    factor = 2 ** (len(drawn.vae.config.block_out_channels) - 1)
    sizes |= {"latent": pocket.LATENT, "factor": factor, "side": pocket.LATENT * factor}
    text = card(facts, **sizes, unet=millions["unet"], vae=millions["vae"], text=millions["text_encoder"])
    (out / "README.md").write_text(text)
    write_legal(out, "pocket", "the model")


def write_legal(out: Path, name: str, what: str) -> None:
    """Licence and notice; and everyone may read the folder: safetensors writes for the owner alone."""
    (out / "LICENSE").write_text((Path(__file__).parents[1] / "LICENSE").read_text())
    (out / "NOTICE").write_text(NOTICE.format(name=name, what=what))
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def pack_clip(run: Path, out: Path) -> None:
    """``pocket-clip`` in transformers' layout: float16 weights, tokenizer, how to prepare a picture."""
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(run / "clip" / "model")
    model.half().save_pretrained(out, max_shard_size=SHARD)
    tokenizer(json.loads((run / "clip" / "vocab.json").read_text())).save_pretrained(out)
    half, side = [0.5, 0.5, 0.5], model.config.vision_config.image_size
    size = {"height": side, "width": side}
    prepare = {"image_processor_type": "CLIPImageProcessor", "size": size, "image_mean": half, "image_std": half}
    (out / "preprocessor_config.json").write_text(json.dumps({**prepare, "do_center_crop": False}))


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What every packing of a model that draws is told."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--measured", type=Path, help="the evaluation's markdown, for the card")
    parser.add_argument("--able", type=Path, help="markdown list for the card: what comes out and what fails")
    return parser


def size(folder: Path) -> str:
    """A folder and how large its files are, for the terminal."""
    total = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return f"{folder}: {total / 2**20:.1f} MiB"


def main() -> None:
    """Pack a run's exports."""
    from training.sprites import Atlas

    parser = arguments(__doc__)
    parser.add_argument("--begun", type=Path, help="the unet stage that the run's own began from, which counts too")
    parser.add_argument("--clip", type=Path, help="pack pocket-clip too, in transformers' layout, there")
    given = parser.parse_args()
    things = json.loads((given.run / "unet" / "facts.json").read_text())["things"]  # null: all
    told = {k: path.read_text() for k, path in (("measured", given.measured), ("able", given.able)) if path}
    known = Atlas.load(given.run / "atlas.png").things[:things]
    pack(pocket.load(given.run, "cpu"), given.out, Facts.of(given.run, known, given.begun, **told))
    if given.clip:
        pack_clip(given.run, given.clip)
    print(size(given.out))


if __name__ == "__main__":
    main()
