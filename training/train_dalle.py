"""pocket-dalle's transformer: captions to the codes of the frozen ``vqgan`` stage, by cross-entropy.

Trained is Limner's own ``Bart``, so what is trained is what ships. One caption in ten is empty, as a text of nothing is
tokenised, which is what super conditioning asks beside the words. Two heads (``hints.py``, not shipped) ask the
decoder's states which thing lies where they write, and the encoder's nouns which thing they say: it was that which
taught the UNet its things. Codes of things count five times those of the ground.
"""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from limner.models.dalle.tokens import Tokens
from limner.models.nets.bart import Bart
from limner.models.nets.dalle_configs import DalleConfig
from training import dalle, hints
from training.captions import caption
from training.contact import LOOK, sheet
from training.dalle_bank import Bank, Drawn, Nouns, Said, fed, tokenised
from training.data import Onward, Stream, held_out_scenes
from training.loop import Options, Trainer, autocast, fit
from training.render import Renderer
from training.scene import ALONE
from training.sprites import Atlas
from training.vq_nets import PictureTokenizer
from training.world import Thing

SILENT = 0.1  # share of captions that are left empty
MORE = 4.0  # codes of things count for so much more than those of the ground
WRONG = 0.8  # highest share of the codes behind it that the decoder is shown wrong
WEIGHTS, CONFIG, WORDS, FACTS = "bart.safetensors", "config.json", "tokenizer.json", "facts.json"
Sizes = Callable[[int, int, int], DalleConfig]


class Heads(hints.Heads):
    """The heads of ``hints``, reading the decoder's states in the picture's order."""

    def look(self, states: Tensor) -> None:
        """``states`` [B, L, D], each before its code was written."""
        side = int(states.shape[1] ** 0.5)
        placed = states.transpose(1, 2).reshape(len(states), -1, side, side)
        self._seen = F.adaptive_avg_pool2d(placed, hints.GRID)


def silenced(ids: Tensor, empty: Tensor) -> tuple[Tensor, Tensor]:
    """``ids`` [B, T] with one row in ten replaced by ``empty`` [T], and which."""
    silent = torch.rand(len(ids), device=ids.device) < SILENT
    return torch.where(silent[:, None], empty, ids), silent


def mistaken(codes: Tensor) -> Tensor:
    """``codes`` [B, L] with some replaced by others of the batch: in each row a share from none to ``WRONG``.

    Shown true codes only, the decoder goes on from its neighbours and hardly asks the words where in a thing it is;
    when it draws, its neighbours are its own mistakes.
    """
    share = WRONG * torch.rand(len(codes), 1, device=codes.device)
    wrong = torch.rand(codes.shape, device=codes.device) < share
    others = codes.flatten()[torch.randint(0, codes.numel(), codes.shape, device=codes.device)]
    return torch.where(wrong, others, codes)


def code_loss(logits: Tensor, codes: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted and plain mean cross-entropy, in nats a code, of ``logits`` [B, L, V] and ``codes`` [B, L]."""
    each = F.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none").view(codes.shape)
    return (weights * each).mean(), each.mean()


def train(
    atlas: Atlas,
    options: Options,
    pictures: PictureTokenizer,
    *,
    room: int,
    reuse: int,
    curriculum: int = 0,
    things: int | None = None,
    variants: int = 16,
    sizes: Sizes = dalle.sizes,
    checked: int = 64,
    begin: Path | None = None,
) -> Trainer:
    """Train into ``options.out``: ``bart.safetensors`` (averaged, float32), ``config.json``, ``tokenizer.json``,
    ``facts.json``, ``look.png``.

    ``pictures``: what tokenises them, not trained here; ``room``: scenes kept; ``reuse``: how often each is seen at
    least; ``curriculum``: scenes until all kinds are drawn; ``things``: only the first so many of the world; ``begin``:
    a folder that this stage exported, whose weights a new run starts from. Raises ValueError where a run goes on with
    other ``pictures`` than it began with, and where what it is to begin with has other pictures, words or sizes.
    """
    torch.manual_seed(options.seed)
    device = options.device
    known = atlas.things[:things]
    again = options.resume and (options.out / FACTS).exists()
    if again:
        _same_codes(options.out, pictures)
    words = dalle.words_of(_read_words(options.out) if again else dalle.byte_pairs(known))
    renderer = Renderer(atlas, variants, pictures.config.resolution).to(device)
    grid = pictures.config.grid
    config = sizes(dalle.table_rows(words), pictures.config.codes, grid)
    bart = dalle.build(config) if begin is None or again else _begun(begin, pictures, words, config)
    dalle.widen_norms(bart.to(device))
    heads = Heads(len(atlas.things), config.d_model, config.d_model).to(device)
    trainer = Trainer({"bart": bart, "heads": heads}, options, dalle.matrices(bart))
    body = torch.compile(dalle.teacher_forced) if options.compile else dalle.teacher_forced
    empty = torch.tensor(dalle.encode("", words), device=device)

    chunk = min(room, max(16, options.batch // reuse))  # scenes rendered at once
    plan = Stream(
        options.seed + 1 + 1000 * options.rank, chunk, curriculum, things=things, aligned=True, centred=True, full=ALONE
    )
    bank = Bank(room, config.image_length, words.length, device)
    # A GPU renders it again in seconds.
    keep = None if device.startswith("cuda") else options.out / f"bank{options.rank}.pt"

    def wanted(step: int) -> int:
        """Scenes that have gone into the bank before a step."""
        return (max(1, min(room // 4, 64 * options.batch) // chunk) + step * options.batch // (chunk * reuse)) * chunk

    if keep and options.resume and trainer.step and keep.exists():
        bank.load(keep)
    if not wanted(trainer.step) - room <= bank.held <= wanted(trainer.step):
        bank.held = max(0, wanted(trainer.step) - room // chunk * chunk)
    loader = torch.utils.data.DataLoader(
        Said(plan, atlas.things, words),
        batch_size=None,
        sampler=Onward(bank.held // chunk),
        num_workers=options.workers,
    )
    more = fed(bank, iter(loader), Nouns(atlas.things, words), renderer, pictures)

    def turns() -> Iterator[None]:
        while True:
            while bank.held < wanted(trainer.step):
                next(more)
            yield

    def answer(codes: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """States of text and decoder, and logits, where the decoder is shown ``codes``."""
        states, seen = body(bart, ids, ids != words.pad, codes)
        return states, seen, bart.lm_head(seen).float()

    def loss(_: None, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        drawn = bank.draw(options.batch)
        ids, silent = silenced(drawn.ids, empty)
        with autocast(device):
            states, seen, logits = answer(mistaken(drawn.codes), ids)
            heads.look(seen)
            marks = heads(states, drawn.cells, drawn.words, silent)
        weights = hints.emphasis(drawn.cells, grid, MORE).flatten(1)
        weighted, plain = code_loss(logits, drawn.codes, weights)
        total = weighted + 0.1 * marks.cells + 0.1 * marks.words
        return total, {"nats": plain, "cells": marks.cells, "words": marks.words, "named": marks.named}

    unseen = _unseen(known, words, renderer, pictures, checked)

    @torch.no_grad()
    def check() -> dict[str, float]:
        """Nats a code of held-out scenes, with their captions and without: the difference is what the words tell."""
        with autocast(device):
            said = answer(unseen.codes, unseen.ids)[2]
            unsaid = answer(unseen.codes, empty.expand_as(unseen.ids))[2]
        found = [code_loss(logits, unseen.codes, torch.ones(()))[1] for logits in (said, unsaid)]
        return {"unseen": found[0].item(), "unsaid": found[1].item()}

    drawer = dalle.Dalle(bart, pictures.vqgan, words)

    def export() -> None:
        if options.rank == 0:
            export_model()
        if keep:
            bank.save(keep)

    def export_model() -> None:
        save_file({k: v.detach().contiguous() for k, v in bart.state_dict().items()}, options.out / WEIGHTS)
        (options.out / CONFIG).write_text(json.dumps(dalle.published_config(config)))
        words.tokenizer.save(str(options.out / WORDS))
        facts: dict[str, object] = {"step": trainer.step, "seen": trainer.seen, "things": things}
        facts["pictures"] = pictures.digest()
        (options.out / FACTS).write_text(json.dumps(facts))
        sheet(drawer.draw(list(LOOK), range(len(LOOK))), options.out / "look.png")

    fit(trainer, turns(), loss, check, export)
    return trainer


def _unseen(known: tuple[Thing, ...], words: Tokens, renderer: Renderer, pictures: PictureTokenizer, n: int) -> Drawn:
    """Held-out scenes and their captions; without labels."""
    scenes, layout = held_out_scenes(n, 5, known, ALONE, aligned=True, centred=True)
    rng = random.Random(5)
    device = next(pictures.parameters()).device
    ids = torch.tensor([dalle.encode(caption(s, known, rng), words) for s in scenes], device=device)
    return Drawn(tokenised(pictures, renderer(layout)), ids, ids, ids)


def _begun(folder: Path, pictures: PictureTokenizer, words: Tokens, config: DalleConfig) -> Bart:
    made = load(folder, pictures, "cpu")
    if made.bart.config != config or made.words.tokenizer.get_vocab() != words.tokenizer.get_vocab():
        raise ValueError(f"{folder} has other words or sizes: begin with one that was taught as many things")
    return made.bart


def load(folder: Path, vqgan: PictureTokenizer, device: str) -> dalle.Dalle:
    """What the stage exported into ``folder``, ready to draw with the pictures' tokenizer.

    Raises ValueError where that is not the one it was taught with.
    """
    _same_codes(folder, vqgan)
    config = DalleConfig.from_json(json.loads((folder / CONFIG).read_text()))
    bart = Bart(config)
    bart.load_state_dict(load_file(folder / WEIGHTS))
    words = dalle.words_of(_read_words(folder), config.text_length)
    return dalle.Dalle(bart.to(device).eval(), vqgan.vqgan, words)


def _read_words(folder: Path) -> Tokenizer:
    made: Tokenizer = Tokenizer.from_file(str(folder / WORDS))
    return made


def _same_codes(folder: Path, pictures: PictureTokenizer) -> None:
    if json.loads((folder / FACTS).read_text())["pictures"] != pictures.digest():
        raise ValueError(f"{folder} was taught with the codes of another vqgan stage: begin it anew")
