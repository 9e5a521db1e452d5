"""What pocket-dalle is made of and drawing with it: its sizes, its words, its two networks, which are Limner's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from limner.models.dalle.text import normalise
from limner.models.dalle.tokens import BOS, EOS, PAD, Tokens
from limner.models.nets.bart import Bart, BiasNorm
from limner.models.nets.dalle_configs import DalleConfig, Stack
from limner.models.nets.vqgan import Vqgan
from limner.sampling.guidance import combine
from limner.sampling.tokens import choose, uniforms
from training import captions
from training.world import Thing

LENGTH = 32  # text tokens, markers included; the grammar's longest caption has 19
GUIDANCE, TOP_K = 3.0, 50
STD = 0.02  # of untrained weights, as the published config has it
_SPECIAL = (BOS, PAD, EOS, "<unk>", "<mask>")  # ids 0 to 4, as published


def sizes(words: int, codes: int, grid: int) -> DalleConfig:
    """2.6 M parameters with 2,912 words and 1,024 codes."""
    return DalleConfig(
        d_model=160,
        encoder=Stack(layers=2, heads=5, ffn=256),
        decoder=Stack(layers=4, heads=5, ffn=256),
        text_vocab=words,
        text_length=LENGTH,
        image_vocab=codes,
        image_length=grid * grid,
        start_token=codes,
        normalize_text=True,
    )


def published_config(config: DalleConfig) -> dict[str, object]:
    """The config.json of a model of these sizes: the keys and flags of the published one."""
    return {
        "activation_dropout": 0.0,
        "activation_function": "gelu",
        "architectures": ["eBart"],
        "attention_dropout": 0.0,
        "bos_token_id": config.image_vocab + 1,
        "d_model": config.d_model,
        "decoder_attention_heads": config.decoder.heads,
        "decoder_ffn_dim": config.decoder.ffn,
        "decoder_layers": config.decoder.layers,
        "decoder_start_token_id": config.start_token,
        "do_sample": True,
        "dropout": 0.0,
        "encoder_attention_heads": config.encoder.heads,
        "encoder_ffn_dim": config.encoder.ffn,
        "encoder_layers": config.encoder.layers,
        "encoder_vocab_size": config.text_vocab,
        "eos_token_id": config.image_vocab + 1,
        "force_ln_scale": False,
        "image_length": config.image_length,
        "image_vocab_size": config.image_vocab,
        "init_std": STD,
        "is_encoder_decoder": True,
        "ln_positions": "normformer",
        "ln_type": "layernorm",
        "max_length": config.image_length + 1,
        "max_text_length": config.text_length,
        "min_length": config.image_length + 1,
        "model_type": "dallebart",
        "normalize_text": config.normalize_text,
        "pad_token_id": config.image_vocab + 1,
        "scale_embedding": False,
        "tie_word_embeddings": False,
        "use_absolute_position_embeddings": True,
        "use_bias": False,
        "use_cache": True,
        "use_final_ln_decoder": True,
        "use_final_ln_encoder": True,
        "use_glu": True,
        "use_scan": False,
    }


def build(config: DalleConfig) -> Bart:
    """The transformer, untrained: normal weights, norms that change nothing."""
    bart = Bart(config)
    for part in bart.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=STD)
    return bart


def matrices(bart: Bart) -> list[nn.Parameter]:
    """The weights of its linear maps, but for the last: those that Muon moves."""
    maps = (part for layers in (bart.encoder, bart.decoder) for part in layers.modules())
    return [part.weight for part in maps if isinstance(part, nn.Linear)]


def widen_norms(bart: Bart) -> None:
    """Norms without a scale get float32, as automatic casting gives it to all norms on a GPU: on a CPU the backward of
    such a norm of bfloat16 does not exist."""
    for part in bart.modules():
        if isinstance(part, BiasNorm):
            part.register_forward_pre_hook(lambda _, given: (given[0].float(),))


def byte_pairs(known: tuple[Thing, ...]) -> Tokenizer:
    """Byte-level BPE of the published kind, in which every word of the grammar is one token. Other words are spelled by
    pieces of them and by bytes. The same words give the same ids."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    specials = [AddedToken(word, special=True, normalized=False) for word in _SPECIAL]
    trainer = trainers.BpeTrainer(
        vocab_size=1 << 16,  # far more than there are merges
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator([normalise(word) for word in captions.vocabulary(known) if word[0] != "<"], trainer)
    ids = made.get_vocab()
    made.post_processor = processors.RobertaProcessing(
        (EOS, ids[EOS]), (BOS, ids[BOS]), trim_offsets=True, add_prefix_space=False
    )
    return made


def words_of(tokenizer: Tokenizer, length: int = LENGTH) -> Tokens:
    """The tokenizer as Limner holds it, which encodes for training, too."""
    ids = tokenizer.get_vocab()
    return Tokens(tokenizer, length, ids[BOS], ids[EOS], ids[PAD])


def encode(text: str, words: Tokens) -> list[int]:
    """The padded ids that the text encoder reads of a caption or a prompt; ``""`` gives those of no text at all."""
    ids = words.encode(normalise(text)).ids if text else words.unconditional()
    return [*ids, *[words.pad] * (words.length - len(ids))]


def table_rows(words: Tokens) -> int:
    """Rows of the text encoder's table: the tokenizer's size, rounded up to what processors multiply well."""
    return -(-int(words.tokenizer.get_vocab_size(with_added_tokens=True)) // 16) * 16


def teacher_forced(bart: Bart, ids: Tensor, mask: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
    """States of the text [B, T, D], and of the decoder [B, L, D] before each of ``codes`` [B, L], which it is shown one
    place to the right, after the start token. ``bart.lm_head`` makes logits of the latter."""
    states = bart.encode(ids, mask)
    start = torch.full_like(codes[:, :1], bart.config.start_token)
    slots = bart.slots(bart.remember(states, mask), 1)
    return states, bart.decoder(torch.cat([start, codes[:, :-1]], 1), slots)


@dataclass(frozen=True)
class Dalle:
    """Everything that draws."""

    bart: Bart
    vqgan: Vqgan
    words: Tokens

    @torch.no_grad()
    def write(self, prompts: list[str], seeds: Iterable[int], guidance: float, top_k: int) -> Tensor:
        """Codes [B, L] of a picture of each prompt, chosen as Limner chooses them from the same seed."""
        bart, device, n = self.bart, self.bart.decoder.embed_tokens.weight.device, len(prompts)
        ids = torch.tensor([encode(text, self.words) for text in ("", *prompts)], device=device)
        mask = ids != self.words.pad
        rows = torch.tensor([0] * n + list(range(1, n + 1)), device=device)
        states = bart.encode(ids, mask)
        slots = bart.slots(bart.remember(states[rows], mask[rows]), 1)
        length = bart.config.image_length
        dice = torch.stack([uniforms(seed, length) for seed in seeds], dim=1).to(device)
        codes = torch.full((n, length + 1), bart.config.start_token, device=device)
        for at in range(length):
            logits = bart.decode(codes[:, at : at + 1].repeat(2, 1), slots)[:, 0, : self.vqgan.config.codes]
            without, given = logits.chunk(2)
            codes[:, at + 1] = choose(combine(without, given, guidance), dice[at], 1.0, top_k, 1.0)
        return codes[:, 1:]

    @torch.no_grad()
    def draw(self, prompts: list[str], seeds: Iterable[int], guidance: float = GUIDANCE, top_k: int = TOP_K) -> Tensor:
        """Pictures [B, 3, H, W] float32 in [-1, 1]."""
        codes = self.write(prompts, seeds, guidance, top_k)
        pixels = torch.cat([self.vqgan.decode(each) for each in torch.split(codes, 4)])
        return pixels.float().clamp(0, 1) * 2 - 1
