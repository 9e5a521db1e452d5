"""A model in one safetensors file: its parts are views of the file, its configs are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from limner.canonical import canonical_json, content_hash
from limner.errors import MismatchedWeights, ModelNotFound, StorageError
from limner.models import tokenizer
from limner.models.catalog import Card
from limner.models.family import Files
from limner.models.inspect import read_header
from limner.models.resolving.resolved import Means, Resolved, resolved, short, unknown_card
from limner.models.singlefiles import clip_words, shapes, singlefile
from limner.models.singlefiles.lone import convert_hint, refuse_other
from limner.models.singlefiles.singlefile import Single
from limner.models.singlefiles.training_hints import doubtful
from limner.models.stored import pieces
from limner.types import Notice

__all__ = ["SUFFIXES", "from_file", "refuse_other"]

SUFFIXES = (".safetensors", ".sft")
STEMS = {"text_encoder": "model", "text_encoder_2": "model"}
DIFFUSED = "diffusion_pytorch_model"
VAE_CONFIG = "vae/config.json"


def from_file(path: Path, means: Means, *, name: str | None = None, card: Card | None = None) -> Resolved:
    """A checkpoint file that the user, a link or a ``card`` names. ``name`` is what it is called; else its path.

    Raises ``ModelError``, ``StorageError``; ``NetworkError`` or ``OfflineError`` where CLIP's tokenizer is to be had
    from the hub only.
    """
    shown = card.name if card is not None else name or short(path)
    single = singlefile.read(path, _said(path, shown, means))
    single, vae = _with_vae(single)
    words = _tokenizers(single, means)
    configs = _with_end(single, words)
    used = {
        **dict.fromkeys(_weights(single), path),
        f"vae/{DIFFUSED}.safetensors": vae,
        **words,
        **{each: _kept(content, means.cache) for each, content in configs.items()},
    }
    made = card or unknown_card(shown, single.architecture.family, used, folder=path)
    return resolved(made, path.parent, used, means, notices=tuple(_notices(shown, single, vae)))


def _said(path: Path, shown: str, means: Means) -> str | None:
    names = (shown, str(path), path.name, path.stem)
    return next((means.predictions[name] for name in names if name in means.predictions), None)


def _weights(single: Single) -> Iterator[str]:
    for part in ("unet", *single.architecture.texts):
        yield f"{part}/{STEMS.get(part, DIFFUSED)}.safetensors"


def _with_vae(single: Single) -> tuple[Single, Path]:
    """The file that holds the autoencoder: one beside it with its name, as A1111 has it, goes before its own."""
    path = single.path
    other = path.with_suffix(".vae.safetensors")
    if not other.is_file():
        if VAE_CONFIG in single.configs:
            return single, path
        pickled = _pickled_vae(path)
        raise ModelNotFound(
            f"{path.name} has no autoencoder (VAE), without which no picture can be decoded",
            hint=convert_hint(pickled) if pickled else f"put the one it was made for beside it as {other.name}",
        )
    held = {name: piece.shape for name, piece in pieces("vae", read_header(other).tensors)}
    config = singlefile.vae_config(shapes.autoencoder(held), single.architecture)
    return replace(single, configs={**single.configs, VAE_CONFIG: config}), other


def _pickled_vae(path: Path) -> Path | None:
    """An autoencoder beside the file that A1111 would use, and that is a pickle."""
    named = (path.with_suffix(f".vae{suffix}") for suffix in (".pt", ".ckpt"))
    return next((other for other in named if other.is_file()), None)


def _tokenizers(single: Single, means: Means) -> dict[str, Path]:
    """Tokenizer files by name, for every tokenizer of the architecture."""
    found: dict[str, Path] = {}
    for part, pad in single.architecture.pads.items():
        own = clip_words.beside(single.path, part) or clip_words.beside(single.path, "tokenizer")
        files = dict(own or clip_words.words(single.path, means.hashes, offline=means.offline))
        if "tokenizer_config.json" not in files:
            files["tokenizer_config.json"] = _kept(clip_words.config(pad), means.cache)
        found |= {f"{part}/{name}": path for name, path in files.items()}
    return found


def _with_end(single: Single, words: Mapping[str, Path]) -> dict[str, Mapping[str, object]]:
    """The configs, those of text encoders with the id of the end marker. Raises ``MismatchedWeights`` where the
    tokenizer has words that the encoder has no vector for."""
    configs = dict(single.configs)
    for part in single.architecture.texts:
        folder = part.replace("text_encoder", "tokenizer")
        text = tokenizer.read(Files(single.path.parent, words), folder)
        config = configs[f"{part}/config.json"]
        size, known = text.tokenizer.get_vocab_size(), int(str(config["vocab_size"]))
        if size > known:
            raise MismatchedWeights(
                f"the tokenizer found for {single.path.name} has {size:,} words, and its text encoder knows {known:,}",
                hint=f"put the right one beside it, into a folder named {folder}",
            )
        configs[f"{part}/config.json"] = {**config, "bos_token_id": text.bos, "eos_token_id": text.eos}
    return configs


def _kept(content: Mapping[str, object], cache: Path) -> Path:
    """A JSON file with this content in Limner's cache, named after it."""
    path = cache / "configs" / f"{content_hash(content).removeprefix('sha256:')}.json"
    text = canonical_json(content)
    try:
        if path.is_file() and path.read_bytes() == text:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(text)
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path.parent} cannot be written: {error.strerror}", hint="check the disk and permissions"
        ) from None
    return path


def _notices(shown: str, single: Single, vae: Path) -> Iterable[Notice]:
    learnt, architecture = single.trained, single.architecture
    if learnt.assumed or (doubtful(architecture) and learnt.prediction != "epsilon"):
        message = f"{shown}: {architecture.title} in one file, taken to predict {learnt.prediction} by {learnt.source}"
        if learnt.assumed:
            other = "epsilon" if learnt.prediction != "epsilon" else "v_prediction"
            message += f'; if pictures are noise, set [models."{shown}"] prediction = "{other}" in the settings'
        yield Notice(code="prediction", message=message)
    if vae != single.path:
        yield Notice(code="vae-beside", message=f"{shown}: decoded by {vae.name}, which lies beside it")
    elif (pickled := _pickled_vae(single.path)) is not None:
        message = f"{shown}: {pickled.name} beside it is a pickle and was not used; limner models convert makes it safe"
        yield Notice(code="vae-pickle-unused", message=message)
    if single.averaged:
        yield Notice(code="averaged-weights-unused", message=f"{shown}: it also holds averaged (EMA) weights; not used")
    if single.extra:
        some = ", ".join(name[:80] for name in single.extra[:3]) + (", ..." if len(single.extra) > 3 else "")
        yield Notice(code="unread-tensors", message=f"{shown}: {len(single.extra)} of its tensors are not read: {some}")
