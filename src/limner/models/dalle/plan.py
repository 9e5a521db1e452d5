"""DALL-E mini's part of a Plan: token ids and how image codes are chosen. Torch-free, from config files alone."""

from __future__ import annotations

from limner.errors import InvalidRequest, ModelNotFound
from limner.models.catalog import Card
from limner.models.dalle import text as dalle_text
from limner.models.dalle import tokens as dalle_tokens
from limner.models.dalle.files import FAMILY, KNOWN, MODEL, VQGAN, WORDS
from limner.models.family import Files, Planned
from limner.models.inspect import read_json
from limner.models.nets.dalle_configs import DalleConfig, VqganConfig, check_pair
from limner.prompts.plain import as_words
from limner.prompts.vocabulary import OpenVocabulary, TaughtVocabulary, Vocabulary
from limner.types import Estimate, Notice, Prompted, Recipe, Request

__all__ = ["configs", "plan", "vocabulary", "vqgan_config"]

GUIDANCE, TEMPERATURE, TOP_K, TOP_P = 10.0, 1.0, 50, 1.0  # what the original draws with where nothing is said


def plan(request: Request, card: Card, files: Files) -> Planned:
    """Fill in what the request leaves open and compute the Recipe. Raises ``InvalidRequest``, ``ModelError``."""
    dalle, vqgan = configs(files)
    filled = _fill(request, card)
    text, notices = _text(filled.prompt, dalle, files, card)
    tokens = _tokens(files, dalle)
    prompts = {"positive": (_prompted(text.ids),)}
    if filled.guidance != 1:
        prompts["unconditional"] = (_prompted(tokens.unconditional()),)
    recipe = Recipe(
        family=FAMILY,
        width=vqgan.resolution,
        height=vqgan.resolution,
        latent=(1, vqgan.grid, vqgan.grid),
        guidance=filled.guidance or 0.0,
        prompts=prompts,
        options={
            "temperature": _or(filled.temperature, TEMPERATURE),
            "top_k": TOP_K if filled.top_k is None else filled.top_k,
            "top_p": _or(filled.top_p, TOP_P),
            "text_length": dalle.text_length,
            "pad": tokens.pad,
            "start": dalle.start_token,
            "codes": vqgan.codes,
        },
    )
    size = sum(path.stat().st_size for name, path in files.paths.items() if name.endswith((".msgpack", ".safetensors")))
    notices = (*notices, *as_words(card.name, (request.prompt,)))
    return Planned(recipe, filled, notices, Estimate(weights_bytes=size))


def configs(files: Files) -> tuple[DalleConfig, VqganConfig]:
    """What both parts are made of. Raises ``ModelError``, also where they do not belong together."""
    if f"{MODEL}/config.json" not in files.paths:
        raise ModelNotFound("the checkpoint has no config.json", hint="it is not whole; fetch it again")
    dalle = DalleConfig.from_json(read_json(files.paths[f"{MODEL}/config.json"]))
    vqgan = vqgan_config(files)
    check_pair(dalle, vqgan)
    return dalle, vqgan


def vqgan_config(files: Files) -> VqganConfig:
    """The image decoder's; min-dalle's files have none, and are the published one."""
    path = files.paths.get(f"{VQGAN}/config.json")
    return VqganConfig.from_json({} if path is None else read_json(path))


def vocabulary(files: Files) -> Vocabulary:
    """What lint needs: how many tokens are read, and the words that a model of a small world was taught; else any."""
    dalle, _ = configs(files)
    tokens, words = _tokens(files, dalle), _words(files)

    def read(text: str) -> str:
        return dalle_text.normalise(text, words) if dalle.normalize_text else text

    def count(text: str) -> int:
        found = tokens.encode(read(text))
        return len(found.ids) - 2 + found.cut

    known, limit = files.paths.get(f"{MODEL}/{KNOWN}"), dalle.text_length - 2
    if known is None:
        return OpenVocabulary(count, limit)
    return TaughtVocabulary(dalle_text.read_words(known), limit, count, read)


def _fill(request: Request, card: Card) -> Request:
    """Defaults of the family, and nothing in the fields it has no use for: settings may have filled those."""
    guidance = request.guidance if request.guidance is not None else card.guidance
    return request.but(
        guidance=GUIDANCE if guidance is None else guidance,
        temperature=_or(request.temperature, TEMPERATURE),
        top_k=TOP_K if request.top_k is None else request.top_k,
        top_p=_or(request.top_p, TOP_P),
        negative=None,
        width=None,
        height=None,
        steps=None,
        solver=None,
        schedule=None,
    )


def _text(prompt: str, dalle: DalleConfig, files: Files, card: Card) -> tuple[dalle_tokens.TextIds, tuple[Notice, ...]]:
    text = dalle_text.normalise(prompt, _words(files)) if dalle.normalize_text else prompt
    if not text.strip():
        raise InvalidRequest(
            f"prompt: nothing of {prompt!r:.60} is left for {card.name}, which reads words only",
            field="prompt",
            hint="say what to draw in English words",
        )
    found = _tokens(files, dalle).encode(text)
    if not found.cut:
        return found, ()
    read = len(found.ids) - 2
    message = f"{card.name} reads {read} tokens of text: the last {found.cut} of {read + found.cut} were cut off"
    return found, (Notice(code="text-truncated", message=message),)


def _tokens(files: Files, dalle: DalleConfig) -> dalle_tokens.Tokens:
    return dalle_tokens.read(files, MODEL, length=dalle.text_length, vocabulary=dalle.text_vocab)


def _words(files: Files) -> dalle_text.Words | None:
    path = files.paths.get(f"{MODEL}/{WORDS}")
    return None if path is None else dalle_text.read_words(path)


def _prompted(ids: tuple[int, ...]) -> Prompted:
    return Prompted(until=1, ids=(ids,), weights=((1.0,) * len(ids),))


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
